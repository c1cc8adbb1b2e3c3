"""Everything a step changes, copied to the host, and put back to the bit."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from steadytrain.core.errors import SnapshotError, UsageError
from steadytrain.core.program import Program
from steadytrain.snapshots.capturing import Capture
from steadytrain.snapshots.fitting import differences, owners_of
from steadytrain.snapshots.memory import HostMemory
from steadytrain.snapshots.nodes import Items, StateNode
from steadytrain.snapshots.restoring import Restore

_PLACES: Final = {"data": 0, "rng": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of some parts after a finished step; nothing in it is shared with them."""

    step: int
    parts: Items
    """Part by part, the tree whose leaves are `tensors`."""
    tensors: list[Tensor]
    names: list[str]
    """The path of each tensor, as `model.0.weight`."""
    uncovered: tuple[str, ...] = ()
    """Paths of objects that no snapshot can hold; a restore leaves them as they are."""
    owners: Mapping[str, weakref.ref[Any]] = field(default_factory=dict[str, "weakref.ref[Any]"])
    """The live parameters it was taken from; empty for one that was read from a disk."""
    data: Any = None
    """The position in the data, or whatever else was given to be kept with it."""
    events: tuple[Any, ...] = ()
    """One for each GPU, reached when the copies from it are complete."""

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    def wait(self) -> None:
        """The copies are complete."""
        for event in self.events:
            event.synchronize()


def parts_of(program: Program, **others: Any) -> dict[str, Any]:
    """The parts of a program that a step changes, by the name of the field.

    Args:
        program: what is trained.
        others: further parts: the position in the data, the random sources.
    """
    fields = ("model", "optimizer", "scheduler", "scaler", "extra")
    parts = {name: getattr(program, name) for name in fields}
    return {name: part for name, part in (parts | others).items() if part is not None}


def capture(
    parts: Mapping[str, Any],
    *,
    step: int = 0,
    memory: HostMemory | None = None,
    data: Any = None,
) -> Snapshot:
    """A copy of everything in `parts` that a step changes, on the host, equal to the bit.

    Parameters, buffers (those that `state_dict` leaves out too), optimizer state and settings,
    whatever else has a `state_dict`, random generators, tensors, containers, and the plain
    attributes of modules and of objects without a `state_dict` (a hand-written average).
    Tensors that are one in the parts are one in the snapshot.

    Args:
        parts: name -> object; None stands for a part that is not there.
        step: finished steps.
        memory: where to copy to; new memory is asked for if None. Giving a snapshot's tensors
            back to it lets the next one use them.
        data: kept with the snapshot as it is: the position in the data.

    Cost: one pass over the memory of the parts; from a GPU it does not wait for the device.

    Example:
        ```python
        import torch
        from steadytrain.snapshots import capture, restore

        model = torch.nn.Linear(2, 1)
        snapshot = capture({"model": model}, step=3)
        with torch.no_grad():
            model.weight.fill_(float("nan"))
        restore(snapshot, {"model": model})
        assert model.weight.isfinite().all()
        ```
    """
    walk = Capture()
    items = tuple((name, walk.live(part, name)) for name, part in _present(parts).items())
    copies = (memory or HostMemory()).copies(walk.tensors)
    return Snapshot(
        step=step,
        parts=Items("dict", items),
        tensors=copies,
        names=walk.names,
        uncovered=tuple(walk.uncovered),
        owners=owners_of(_present(parts)),
        data=data,
        events=tuple(_recorded(walk.tensors)),
    )


def restore(snapshot: Snapshot, parts: Mapping[str, Any]) -> None:
    """The parts are what they were when the snapshot was taken, to the bit.

    Tensors are written to in place, so whoever else holds them sees the restored values.
    Random generators come last: nothing draws from them afterwards.

    Raises:
        SnapshotError: it does not fit the parts, or one of them refused its state; says why,
            and nothing was changed.
    """
    refuse(snapshot, parts)
    snapshot.wait()
    live = _present(parts)
    ordered = sorted(snapshot.parts.items, key=_order)
    # reading data again is the one thing that cannot be taken back, and it comes first
    undo = capture({name: part for name, part in live.items() if name != "data"})
    name = ""
    try:
        change = Restore(snapshot.tensors)
        for name, node in ordered:
            change.live(node, live[name])
        change.finish()
    except Exception as error:  # a state_dict of the user's own may refuse what it once gave
        _put_back(undo, live)
        if isinstance(error, UsageError):
            raise
        raise SnapshotError(
            f"{name} refused the state of step {snapshot.step} ({type(error).__name__}: {error}). "
            "Expected that load_state_dict takes what state_dict gave. Nothing was changed."
        ) from error


def misfit(snapshot: Snapshot, parts: Mapping[str, Any]) -> str | None:
    """Why the snapshot cannot be restored into the parts; None where it can."""
    if len(snapshot.tensors) != len(snapshot.names):
        return "its memory was given to a newer one"
    return next(
        differences(snapshot.parts, _present(parts), snapshot.tensors, snapshot.owners), None
    )


def refuse(snapshot: Snapshot, parts: Mapping[str, Any]) -> None:
    """The snapshot fits the parts.

    Raises:
        SnapshotError: it does not; says what differs first.
    """
    if (reason := misfit(snapshot, parts)) is not None:
        raise SnapshotError(
            f"the snapshot of step {snapshot.step} does not fit: {reason}. Expected the same "
            "parts with the same parameters as when it was taken. Nothing was changed."
        )


def _present(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


def _put_back(undo: Snapshot, live: Mapping[str, Any]) -> None:
    change = Restore(undo.tensors)
    for name, node in sorted(undo.parts.items, key=_order):
        with suppress(Exception):  # what refused once may do so again; the others must not wait
            change.live(node, live[name])
    change.finish()


def _order(item: tuple[str, Any]) -> int:
    """First what may refuse its state, then what cannot; random sources after all that draw."""
    name, node = item
    if name in _PLACES:
        return _PLACES[name]
    return 1 if isinstance(node, StateNode) else 2


def _recorded(tensors: list[Tensor]) -> Iterator[Any]:
    devices = {tensor.device for tensor in tensors if tensor.device.type == "cuda"}
    for device in sorted(devices, key=str):
        with torch.cuda.device(device):
            event = torch.cuda.Event()
            event.record()
        yield event
