"""The one boundary between the watch and the user's step: nothing of ours passes it.

Classes, because a step passes here a dozen times and a generator's context manager costs three
times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

from steadytrain.watching.clock import Clock

OnError = Callable[[str, Exception], None]
"""`on_error(part, error)`: told of what was raised; must not raise."""


class Boundary:
    """What an exception of the block becomes is a report; interrupts pass."""

    __slots__ = ("_on_error", "_part")

    def __init__(self, part: str, on_error: OnError) -> None:
        self._part = part
        self._on_error = on_error

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._on_error(self._part, error)
        return True


class Part:
    """The boundary of a hook or a call: on the clock, without gradients."""

    __slots__ = ("_clock", "_grad", "_on_error", "_part", "_recording")

    def __init__(self, part: str, on_error: OnError, recording: Any) -> None:
        self._part = part
        self._on_error = on_error
        self._recording = recording
        self._clock: Clock = recording.clock
        self._grad = False

    def __enter__(self) -> Any:
        self._clock.enter()
        self._grad = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        return self._recording

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        torch.set_grad_enabled(self._grad)
        self._clock.leave()
        if not isinstance(error, Exception):
            return False
        self._on_error(self._part, error)
        return True
