"""SIGINT and SIGTERM end training between two steps, where the weights are whole."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final

_DEFAULTS: Final[dict[signal.Signals, Any]] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
_SAID: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class StopSignals:
    """Inside the block the first Ctrl-C or SIGTERM is only noted; the next one acts at once.

    An exception in the middle of `optimizer.step()` would leave some weights updated and others
    not. The second signal still acts, because a step may hang, and whoever waits (a person, a
    scheduler of jobs with little patience) must be able to end it. Where Python does not deliver
    signals (another thread) nothing is installed, and a signal the user handles is left to them.
    A process that is forked inside the block (a DataLoader's worker) does not take part.

    Example:
        ```python
        import os
        import signal

        from steadytrain.snapshots import StopSignals

        with StopSignals() as stop:
            for step in range(100):
                if step == 3:
                    os.kill(os.getpid(), signal.SIGTERM)  # the job's time is over
                if stop.requested:
                    break
        assert (step, stop.by, stop.exit_code) == (3, "SIGTERM", 143)
        ```
    """

    def __init__(self) -> None:
        self._signal: signal.Signals | None = None
        self._installed: list[signal.Signals] = []
        self._pid = os.getpid()

    @property
    def requested(self) -> bool:
        """Whether somebody wants training to end."""
        return self._signal is not None

    @property
    def by(self) -> str:
        """What asked for it, as people say it; empty while nothing did."""
        return "" if self._signal is None else _SAID[self._signal]

    @property
    def exit_code(self) -> int:
        """What the process should exit with: 130 or 143, as shells count; 0 without a signal."""
        return 0 if self._signal is None else 128 + self._signal

    @property
    def is_preemption(self) -> bool:
        """Whether the process was told to end, not only the training."""
        return self._signal is signal.SIGTERM

    def __enter__(self) -> StopSignals:
        self._pid = os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number, default in _DEFAULTS.items():
                if signal.getsignal(number) is default:
                    signal.signal(number, self._note)
                    self._installed.append(number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._take_out()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._take_out()
        if os.getpid() == self._pid:
            self._signal = signal.Signals(number)
        elif number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        else:
            os.kill(os.getpid(), number)

    def _take_out(self) -> None:
        for number in self._installed:
            if signal.getsignal(number) == self._note:
                signal.signal(number, _DEFAULTS[number])
        self._installed = []
