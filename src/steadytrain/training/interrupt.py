"""Ctrl-C ends training between two steps, where the weights are whole."""

from __future__ import annotations

import signal
import threading
from types import TracebackType


class CtrlC:
    """Inside the block the first Ctrl-C only sets `requested`; a second one raises as usual.

    An exception in the middle of `optimizer.step()` would leave some weights updated and others
    not. The second one still raises, because a step may hang and a person must be able to leave.
    Where Python does not deliver signals (another thread) or the user handles them, nothing is
    installed.
    """

    def __init__(self) -> None:
        self.requested = False
        self._installed = False

    def __enter__(self) -> CtrlC:
        is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if is_default and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._request)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _request(self, *_: object) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
