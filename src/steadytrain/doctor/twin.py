"""A copy of a program that shares nothing with it that training could change.

`Program.copy` shares the functions. People's functions close over their model, their optimizer or
a counter, or find them by a global name, and a copy that called them would train the original.
Here every such function is made anew on copies of what it reaches, in one piece with the rest.

Out of reach is what a method of a person's own class finds by a global name; it is shared.
"""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import torch

from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program, complete_optimizers
from steadytrain.doctor.global_names import names_read
from steadytrain.doctor.scene import models_of, optimizers_of
from steadytrain.snapshots.rng import RandomSources

SHARED: Final = ("batches", "validation", "factory")
"""Fields that stay the very objects: the data is read, never written."""

DATA_BYTES: Final = 64 << 20
"""Size from which a tensor beside the program is data rather than state."""

Memo = dict[int, Any]


def twin_of(program: Program) -> Program:
    """A copy of `program` in one piece; running it leaves the original as it is.

    What cannot be copied is built anew by the program's factory, if it has one.

    Raises:
        ProgramError: some part cannot be copied; says which.
    """
    try:
        return _copy_of(program)
    except ProgramError:
        if program.factory is None or program.step:
            raise
        return _built_anew(program, program.factory)


def _built_anew(program: Program, factory: Callable[[int], Program]) -> Program:
    """A fresh program of the same seed, on the same data; draws nothing from the generators."""
    sources = RandomSources.of(program.model, program.batches)
    state = sources.capture()
    try:
        anew = Program.from_factory(factory, program.seed)
    finally:
        sources.restore(state)
    anew.batches = program.batches
    return anew


def _copy_of(program: Program) -> Program:
    memo: Memo = {id(v): v for name in SHARED if (v := getattr(program, name)) is not None}
    functions = list(_functions_of(program))
    scopes = _scopes(functions)
    made = [_made_anew(function, scopes, memo) for function in functions]
    _detach_graphs(program, memo)
    twin = object.__new__(Program)
    for option in fields(program):
        setattr(twin, option.name, _copied(program, option.name, memo))
    complete_optimizers(program, twin, memo)
    for function, anew in zip(functions, made, strict=True):
        _fill(function, anew, memo)
    for function in functions:
        for name, value in names_read(function).items():
            scopes[id(function.__globals__)][name] = _copied_or_shared(value, memo)
    for original, own in zip(optimizers_of(program), optimizers_of(twin), strict=True):
        _mark_scheduled(original, own)
    return twin


def _mark_scheduled(original: torch.optim.Optimizer, own: torch.optim.Optimizer) -> None:
    """A schedule knows its optimizer by a mark on `step`, and warns of one that lost it."""
    if not hasattr(original.step, "_wrapped_by_lr_sched"):
        return
    step = own.step

    @functools.wraps(step)
    def marked(*args: Any, **kwargs: Any) -> Any:
        vars(own)["_opt_called"] = True  # what a schedule asks before its first step
        return step(*args, **kwargs)

    vars(marked)["_wrapped_by_lr_sched"] = True
    vars(own)["step"] = marked


def _scopes(functions: Sequence[types.FunctionType]) -> dict[int, dict[str, Any]]:
    """One copy of the global names per file whose functions lead to something by such a name."""
    return {id(f.__globals__): dict(f.__globals__) for f in functions if names_read(f)}


def _copied(program: Program, name: str, memo: Memo) -> Any:
    try:
        return copy.deepcopy(getattr(program, name), memo)
    except Exception as error:
        msg = f"Program.{name} cannot be copied ({type(error).__name__}: {error}), and the doctor"
        raise ProgramError(
            f"{msg} only ever runs copies. Keep open files, locks and live iterators out of "
            "Program.extra and of the model's attributes, and make them inside the functions."
        ) from error


def _functions_of(program: Program) -> Iterator[types.FunctionType]:
    """Every function with a state of its own that the program reaches, each once."""
    seen: set[int] = set()
    waiting = list(_reached(program))
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        waiting += _inside(value)
        if isinstance(value, types.FunctionType) and _has_state(value):
            yield value


def _has_state(function: types.FunctionType) -> bool:
    return bool(function.__closure__ or function.__defaults__ or names_read(function))


def _reached(program: Program) -> Iterator[Any]:
    yield from (program.loss_fn, program.metric_fn, program.step_fn, program.extra)
    for model in models_of(program):
        for module in model.modules():
            yield vars(module)
    yield getattr(program.scheduler, "lr_lambdas", None)


def _inside(value: Any) -> list[Any]:
    """What a container or a callable holds, one level down."""
    if isinstance(value, types.FunctionType):
        cells = [c.cell_contents for c in value.__closure__ or () if not _is_empty(c)]
        return [*cells, *(value.__defaults__ or ()), *names_read(value).values()]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, dict):
        return [v for v in value.values() if not isinstance(v, torch.nn.Parameter)]
    if isinstance(value, list | tuple) and len(value) <= 64:
        return list(value)
    if isinstance(value, types.MethodType):
        return [value.__func__]
    return []


def _made_anew(
    function: types.FunctionType, scopes: Mapping[int, dict[str, Any]], memo: Memo
) -> types.FunctionType:
    """The function with empty cells, known to the copy as the original's stand-in."""
    cells = tuple(types.CellType() for _ in function.__closure__ or ())
    scope = scopes.get(id(function.__globals__), function.__globals__)
    anew = types.FunctionType(function.__code__, scope, function.__name__, None, cells or None)
    anew.__kwdefaults__ = function.__kwdefaults__
    anew.__dict__.update(function.__dict__)
    anew.__qualname__, anew.__module__ = function.__qualname__, function.__module__
    anew.__doc__, anew.__annotations__ = function.__doc__, function.__annotations__
    memo[id(function)] = anew
    return anew


def _fill(function: types.FunctionType, anew: types.FunctionType, memo: Memo) -> None:
    for cell, own in zip(function.__closure__ or (), anew.__closure__ or (), strict=True):
        if not _is_empty(cell):
            own.cell_contents = _copied_or_shared(cell.cell_contents, memo)
    if function.__defaults__:
        anew.__defaults__ = tuple(_copied_or_shared(v, memo) for v in function.__defaults__)


def _copied_or_shared(value: Any, memo: Memo) -> Any:
    """A copy; the very object where it cannot be copied: a module, a lock, a logger's file.

    Nor is a large tensor without a gradient that a function reaches by itself: it is data.
    """
    if isinstance(value, torch.Tensor) and id(value) not in memo and _is_data(value):
        return value
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value


def _is_data(tensor: torch.Tensor) -> bool:
    return not tensor.requires_grad and tensor.numel() * tensor.element_size() > DATA_BYTES


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - reading is the question
    except ValueError:
        return True
    return False


def _detach_graphs(program: Program, memo: Memo) -> None:
    """Tensors that stand in a graph, and generators, are copied by hand: deepcopy refuses them."""
    seen: set[int] = set()
    waiting = list(_reached(program))
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        waiting += _inside(value)
        if isinstance(value, torch.Generator):
            memo[id(value)] = value.clone_state()
        elif isinstance(value, torch.Tensor) and not value.is_leaf:
            memo[id(value)] = value.detach().clone().requires_grad_(value.requires_grad)
