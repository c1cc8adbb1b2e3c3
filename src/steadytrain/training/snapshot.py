"""Everything training changes in a program, as one state to save and to restore exactly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch.nn.parameter import is_lazy

from steadytrain.core.errors import UsageError
from steadytrain.core.program import Program
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.stream import Stream

FORMAT: Final = 1

Shapes = list[list[list[int] | None]]


def capture(program: Program, microbatches: Stream, sources: RandomSources) -> dict[str, Any]:
    """The state of `program` after its last finished step; tensors are shared, not copied."""
    return {
        "format": FORMAT,
        "step": program.step,
        "parts": {name: part.state_dict() for name, part in stateful_parts(program).items()},
        "types": {name: type(part).__name__ for name, part in stateful_parts(program).items()},
        "buffers": dict(_unsaved_buffers(program.model)),
        "parameter_shapes": _parameter_shapes(program.optimizer),
        "data": microbatches.state_dict(),
        "rng": sources.capture(),
    }


def restore(
    program: Program, state: dict[str, Any], microbatches: Stream, sources: RandomSources
) -> list[str]:
    """`program` goes on as if it had never stopped.

    Returns:
        The optimizer settings that were the program's before and are now the checkpoint's.

    Raises:
        UsageError: the state is that of another program; nothing was changed.
    """
    check_fits(program, state)
    changed = changed_settings(program, state)
    microbatches.load_state_dict(state["data"])
    for name, part in stateful_parts(program).items():
        part.load_state_dict(state["parts"][name])
        if isinstance(part, torch.optim.Optimizer):
            _keep_dtypes(part, state["parts"][name])
    with torch.no_grad():
        for name, buffer in _unsaved_buffers(program.model):
            if name in state["buffers"]:
                buffer.copy_(state["buffers"][name])
    program.step = state["step"]
    sources.restore(state["rng"])
    return changed


def stateful_parts(program: Program) -> dict[str, Any]:
    """The parts of a program that have a state of their own, by the name of the field."""
    fields = ("model", "optimizer", "scheduler", "scaler")
    parts = {name: getattr(program, name) for name in fields}
    parts |= {f"extra[{name!r}]": part for name, part in program.extra.items()}
    return {name: part for name, part in parts.items() if _has_state(part)}


def check_fits(program: Program, state: dict[str, Any]) -> None:
    """The state can be loaded into `program`, every shape of it.

    Raises:
        UsageError: it cannot; says what differs first.
    """
    for difference in _differences(program, state):
        raise UsageError(
            f"the checkpoint is of another program: {difference}. Resume with the program that "
            "wrote it, or train into another run directory. Nothing was changed."
        )


def _differences(program: Program, state: dict[str, Any]) -> Iterator[str]:
    if state.get("format") != FORMAT:
        yield f"its format is {state.get('format')!r}, expected {FORMAT}"
        return
    parts = stateful_parts(program)
    if set(parts) != set(state["parts"]):
        yield f"it holds {_listed(state['parts'])}, the program has {_listed(parts)}"
        return
    for name, part in parts.items():
        saved, own = state["types"][name], type(part).__name__
        if isinstance(part, torch.nn.Module):
            yield from _module_differences(name, part, state["parts"][name])
        elif saved != own:
            yield f"its {name} is a {saved}, the program's a {own}"
    saved, own = state["parameter_shapes"], _parameter_shapes(program.optimizer)
    if not _same_shapes(saved, own):
        yield f"its optimizer holds parameters {_shapes(saved)}, the program's {_shapes(own)}"


def _module_differences(name: str, module: torch.nn.Module, saved: Mapping[str, Any]) -> Any:
    own = module.state_dict(keep_vars=True)
    for key in sorted(own.keys() ^ saved.keys()):
        where = "in the checkpoint" if key in saved else "in the program"
        yield f"{name} has {key!r} only {where}"
    for key in (key for key in own if key in saved):
        mine, theirs = own[key], saved[key]
        if not isinstance(mine, torch.Tensor) or is_lazy(mine):
            continue
        if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
            yield (
                f"{name} has {key!r} as {theirs.dtype} {list(theirs.shape)} in the checkpoint "
                f"and as {mine.dtype} {list(mine.shape)} in the program"
            )


def changed_settings(program: Program, state: dict[str, Any]) -> list[str]:
    """The optimizer settings where the checkpoint, which wins, says other than the program."""
    found: list[str] = []
    saved_groups = state["parts"]["optimizer"]["param_groups"]
    for index, group in enumerate(program.optimizer.param_groups):
        saved = saved_groups[index]
        # with a schedule `lr` is the schedule's business and `initial_lr` the setting
        moving = {"params", "lr"} if "initial_lr" in saved else {"params"}
        for key in sorted((group.keys() & saved.keys()) - moving):
            mine, theirs = group[key], saved[key]
            if isinstance(mine, int | float | str | tuple) and mine != theirs:
                found.append(f"group {index} {key} {theirs} (not {mine})")
    return found


def _keep_dtypes(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Undo torch's cast of the state to the parameter's dtype: fp32 moments stay fp32."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    indices = [index for group in saved["param_groups"] for index in group["params"]]
    for parameter, index in zip(parameters, indices, strict=True):
        own = optimizer.state.get(parameter, {})
        for key, value in saved["state"].get(index, {}).items():
            loaded = own.get(key)
            if isinstance(loaded, torch.Tensor) and loaded.dtype != value.dtype:
                own[key] = value.to(device=loaded.device)


def _unsaved_buffers(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Buffers registered with `persistent=False`: training may change them all the same."""
    saved = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name not in saved and not is_lazy(buffer):
            yield name, buffer


def _parameter_shapes(optimizer: Any) -> Shapes:
    """The shapes by group; None for a lazy parameter, which takes any."""
    groups = optimizer.param_groups
    return [[None if is_lazy(p) else list(p.shape) for p in group["params"]] for group in groups]


def _same_shapes(saved: Shapes, own: Shapes) -> bool:
    if [len(group) for group in saved] != [len(group) for group in own]:
        return False
    pairs = zip(itertools.chain(*saved), itertools.chain(*own), strict=True)
    return all(a == b or a is None or b is None for a, b in pairs)


def _has_state(part: object) -> bool:
    methods = ("state_dict", "load_state_dict")
    return all(callable(getattr(part, name, None)) for name in methods)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "nothing"


def _shapes(groups: Shapes) -> str:
    shown = str(groups)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."
