"""What the watch itself costs: host seconds inside steadytrain, counted once when nested."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Clock:
    """Seconds spent inside, and seconds since the last step ended."""

    def __init__(self) -> None:
        self._inside_seconds = 0.0
        self._depth = 0
        self._began = 0.0
        self._last_step: float | None = None

    def enter(self) -> None:
        """Time from here on counts as the watch's."""
        if not self._depth:
            self._began = perf_counter()
        self._depth += 1

    def leave(self) -> None:
        """The end of the block that `enter` began."""
        self._depth -= 1
        if not self._depth:
            self._inside_seconds += perf_counter() - self._began

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Time spent in the block counts as the watch's."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def step_ended(self) -> tuple[float, float]:
        """Seconds of the step that ends now (NaN for the first), and the watch's share of them."""
        now = perf_counter()
        seconds = float("nan") if self._last_step is None else now - self._last_step
        if self._depth:  # what the open block has spent belongs to the step that ends
            self._inside_seconds += now - self._began
            self._began = now
        inside, self._inside_seconds, self._last_step = self._inside_seconds, 0.0, now
        return seconds, inside
