"""Puts the parts of an attachment together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

from steadytrain.core.action import Event
from steadytrain.core.errors import UsageError
from steadytrain.guard._course import Course
from steadytrain.guard._data import Data
from steadytrain.guard._engine import Engine
from steadytrain.guard._judging import Judge
from steadytrain.guard._parts import Parts
from steadytrain.guard._recovery import Recovery
from steadytrain.guard._sealing import Resting, Sealing
from steadytrain.snapshots import RandomSources, Seal, SnapshotRing
from steadytrain.snapshots.rng import loader_generators


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What a guard keeps to go back to, and looks at in between.

    Raises:
        UsageError: an option cannot mean what was given.
    """

    snapshots: int
    snapshot_every: int | None
    snapshot_share: float
    seal_every: int | None
    max_batch_bytes: int

    def __post_init__(self) -> None:
        self.ring({})
        Seal({}, every=1 if self.seal_every is None else self.seal_every)

    def ring(self, parts: Mapping[str, Any]) -> SnapshotRing:
        """An empty ring of snapshots of the parts."""
        return SnapshotRing(
            parts,
            capacity=self.snapshots,
            max_share=self.snapshot_share,
            every=self.snapshot_every,
        )


def open_engine(
    course: Course,
    parts: Parts,
    storage: Storage,
    sources: RandomSources,
    *,
    clip: float | None,
    dry_run: bool,
    note: Callable[[Event], None],
    row: Callable[[], int],
    bundle: Callable[[Mapping[str, Any]], str],
) -> Engine:
    """The transactions of a loop; nothing of it was touched yet.

    Args:
        course: what is known of the run.
        parts: of the loop.
        storage: what is kept.
        sources: the random sources a step draws from.
        clip: the loop's own threshold of the gradient norm.
        dry_run: only say what would have been done.
        note: told of every event.
        row: the row of the history an event belongs to.
        bundle: writes the evidence of a stop.

    Raises:
        UsageError: `clip` is no norm.
    """
    if clip is not None and not (isinstance(cast("object", clip), Real) and clip > 0):
        msg = f"Guard.attach(clip): got {clip!r}, expected a norm above 0, or None"
        raise UsageError(f"{msg}. None switches clipping off.")
    data = Data(storage.max_batch_bytes)
    judge = Judge(parts, course.detector, float("inf") if clip is None else float(clip))
    named = {**parts.named(), "detector": course.detector, "rng": sources}
    ring = storage.ring(named)
    recovery = Recovery(course, parts, sources, data, judge, ring, note, row, bundle)
    sealing = None if storage.seal_every is None else Sealing(named, storage.seal_every)
    resting = Resting(parts, sealing)
    return Engine(course, parts, data, judge, recovery, resting, dry_run=dry_run)


def sources_of(parts: Parts, loader: Any) -> RandomSources:
    """The random sources that the models' devices and the loader draw from."""
    devices = {p.device for p in parts.parameters() if p.device.type not in ("cpu", "meta")}
    return RandomSources(tuple(sorted(devices, key=str)), tuple(loader_generators(loader)))


def averages_in(ema: Any) -> Sequence[Any]:
    """One average or several, as a list without those that are None."""
    if isinstance(ema, Mapping):
        ema = list(ema.values())
    return [one for one in (ema if isinstance(ema, list | tuple) else [ema]) if one is not None]


def check_type(name: str, value: object, kind: type) -> None:
    """An option of the guard is of its kind, or None.

    Raises:
        UsageError: it is not.
    """
    if value is not None and not isinstance(value, kind):
        msg = f"Guard({name}): got {type(value).__name__}, expected {kind.__name__}"
        raise UsageError(f"{msg}(...) from steadytrain.guard, or None for its defaults.")
