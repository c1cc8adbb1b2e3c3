"""Everything training changes in a program, to save and to take up again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from steadytrain.core.program import Program
from steadytrain.snapshots.nodes import Items, OptimizerNode, Value
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.snapshot import Snapshot, parts_of, restore
from steadytrain.snapshots.stream import Stream


def saved_parts(
    program: Program, stream: Stream, sources: RandomSources, **others: Any
) -> dict[str, Any]:
    """The parts of a run: those of its program, the place in the data, the random sources.

    Args:
        program: what is trained.
        stream: its data.
        sources: the generators it draws from.
        others: what a resumed run may do without: the guard.
    """
    return parts_of(program, **others, data=stream, rng=sources)


def take_up(program: Program, snapshot: Snapshot, parts: dict[str, Any]) -> list[str]:
    """`program` goes on as if it had never stopped.

    Returns:
        The optimizer settings that were the program's before and are now the snapshot's.

    Raises:
        UsageError: the snapshot is that of another program; nothing was changed.
    """
    saved = dict(snapshot.parts.items)
    optional = {"guard"} & (saved.keys() ^ parts.keys())
    kept = Items("dict", tuple(item for item in saved.items() if item[0] not in optional))
    here = {name: part for name, part in parts.items() if name not in optional}
    changed = changed_settings(program, snapshot)
    restore(replace(snapshot, parts=kept), here)
    program.step = snapshot.step
    return changed


def changed_settings(program: Program, snapshot: Snapshot) -> list[str]:
    """The optimizer settings where the snapshot, which wins, says other than the program."""
    node = dict(snapshot.parts.items).get("optimizer")
    if not isinstance(node, OptimizerNode):
        return []
    found: list[str] = []
    rows = zip(program.optimizer.param_groups, node.groups, strict=False)
    for index, (group, saved) in enumerate(rows):
        settings = dict(saved.items)
        # with a schedule `lr` is the schedule's business and `initial_lr` the setting
        moving = {"params", "lr"} if "initial_lr" in settings else {"params"}
        for key in sorted((group.keys() & settings.keys()) - moving):
            mine, theirs = group[key], _plain(settings[key])
            if isinstance(mine, int | float | str | tuple) and mine != theirs:
                found.append(f"group {index} {key} {theirs} (not {mine})")
    return found


def _plain(node: Any) -> Any:
    if isinstance(node, Value):
        return node.value
    return tuple(_plain(item) for item in getattr(node, "items", ()))
