"""A look at one microbatch of a program, on a copy, before a change is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.changes._calls import Handlers, intercepted, name_of
from steadytrain.doctor.changes._data import looked_at
from steadytrain.doctor.changes._terms import Arithmetic
from steadytrain.doctor.scene import Scene


@contextmanager
def same_draws(seed: int) -> Iterator[None]:
    """Random numbers are drawn from the seed, and go on afterwards as if none had been."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        yield


def run_once(program: Program, scene: Scene, handlers: Handlers) -> tuple[Program, list[Tensor]]:
    """A copy of the program that saw one microbatch, and the losses it would go backward from.

    Nothing is updated: the step ends where backward would begin.
    """
    twin = program.copy()
    batch = looked_at(twin, scene)[0]
    losses: list[Tensor] = []
    with same_draws(scene.seed):
        if twin.step_fn is None:
            assert twin.loss_fn is not None
            with intercepted(twin.model, handlers):
                losses.append(twin.loss_fn(twin.model, batch))
            return twin, losses

        def keep(_function: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
            losses.append(args[0])
            raise _Reached

        try:
            with intercepted(twin, {**handlers, "backward": keep}):
                twin.step_fn(twin, batch)
        except _Reached:
            pass
    return twin, losses


def calls_made(program: Program, scene: Scene, names: Iterable[str]) -> list[Call]:
    """The calls of the named functions of torch in one whole step of a copy, in order."""
    seen: list[Call] = []

    def note(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        seen.append(Call(name_of(function), args, kwargs))
        return function(*args, **kwargs)

    twin = program.copy()
    first = twin.model if twin.step_fn is None else twin
    with intercepted(first, dict.fromkeys(names, note)):
        step_once(twin, scene)
    return seen


def observed_terms(program: Program, scene: Scene) -> list[float]:
    """The norm of the gradient of each term of the loss, with its weight, in order."""
    arithmetic = Arithmetic()
    twin, losses = run_once(program, scene, arithmetic.handlers())
    if not losses:
        return []
    parameters = [p for p in twin.model.parameters() if p.requires_grad]
    terms = arithmetic.terms(losses[0])
    return [abs(weight) * _gradient_norm(term, parameters) for term, weight in terms]


class Call(NamedTuple):
    """A call of a function of torch."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Ran(NamedTuple):
    """A leaf module that ran, with what it was given and what it gave back."""

    path: str
    module: nn.Module
    inputs: Any
    output: Any


def executed(program: Program, scene: Scene) -> list[Ran]:
    """The leaf modules that ran on one microbatch, in order; they are those of a copy."""
    seen: list[Ran] = []
    twin = program.copy()
    paths = {id(module): path for path, module in twin.model.named_modules()}

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        seen.append(Ran(paths[id(module)], module, inputs, output))

    for module in twin.model.modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(note)
    step_once(twin, scene)
    return seen


def step_once(twin: Program, scene: Scene) -> None:
    batch = looked_at(twin, scene)[0]
    with same_draws(scene.seed):
        if twin.step_fn is not None:
            twin.step_fn(twin, batch)
        else:
            assert twin.loss_fn is not None
            twin.loss_fn(twin.model, batch)


def _gradient_norm(term: Tensor, parameters: list[nn.Parameter]) -> float:
    gradients = torch.autograd.grad(
        term.reshape(()), parameters, retain_graph=True, allow_unused=True
    )
    return math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))


class _Reached(Exception):  # noqa: N818 - no error: the place where the look ends
    """Backward was about to be called."""
