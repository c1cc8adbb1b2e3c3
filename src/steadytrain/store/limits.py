"""How much disk and memory a run may take, and how soon it is safe from a power cut."""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.core.errors import UsageError

_PARTS = 16
_MIN_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a run directory.

    Raises:
        UsageError: a bound that cannot be kept.
    """

    max_bytes: int = 1 << 30
    """All segments together stay below this, whatever the number of steps and sites."""
    full_steps: int = 2048
    """The newest steps that keep every row, as far as `max_bytes` has room for them."""
    max_queue_bytes: int = 64 << 20
    """Memory for what cannot be written; beyond it the oldest rows are dropped and counted."""
    sync_seconds: float = 5.0
    """After a power cut at most about this much of the run is gone; `kill -9` loses nothing."""

    def __post_init__(self) -> None:
        if self.max_bytes < _MIN_BYTES:
            msg = f"max_bytes must be at least {_MIN_BYTES:,}, got {self.max_bytes:,}"
            raise UsageError(f"{msg}: sixteen segments must fit. Leave it out for 1 GiB.")
        if self.full_steps < 0 or self.max_queue_bytes < 0 or not self.sync_seconds >= 0:
            msg = "full_steps, max_queue_bytes and sync_seconds must be 0 or more, got"
            found = f"{self.full_steps}, {self.max_queue_bytes} and {self.sync_seconds}"
            raise UsageError(f"{msg} {found}. Leave them out for the defaults.")

    @property
    def segment_bytes(self) -> int:
        """A segment is closed before it grows beyond this; also what the head rows may take."""
        return min(64 << 20, self.max_bytes // _PARTS)

    @property
    def merge_above_bytes(self) -> int:
        """Segments are merged while they take more than this together."""
        return self.max_bytes - 4 * self.segment_bytes

    @property
    def write_below_bytes(self) -> int:
        """Nothing is appended beyond this: the rest is room for the segment a merge writes."""
        return self.max_bytes - 2 * self.segment_bytes
