"""Modules or parameters stand in a plain list, tuple or dict, where nobody finds them.

## What it does
Searches the attributes of every module for modules and parameters that `parameters()` does not
give, and for tensors that want a gradient and are no parameters; takes one step on a copy and sees
which of them get a gradient.

## Why it matters
They are run and never trained, do not move to another device, and are missing from the checkpoint.

## Passes when
Whatever gets a gradient is registered, or an optimizer holds it all the same.

## Fails when
Something unregistered gets a gradient and is in no optimizer.

## What to do
`nn.ModuleList`, `nn.ModuleDict`, `nn.ParameterList`, or an attribute of its own with
`nn.Parameter`.

## Source
PyTorch's documentation of `nn.ModuleList` and `nn.Parameter`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from steadytrain.checks._holdings import holdings_of
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(code="INI251", causes=("params-not-registered",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersNotRegistered:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        if not any(True for _ in _unregistered(scene.model)):
            return passed(self, "every parameter is registered", 0)
        found, reached = _reached(scene)
        seen = f"{len(found)} tensors are not registered, {len(reached)} of them get a gradient"
        if not reached:
            return passed(self, seen, 0)
        return failed(
            self,
            seen,
            len(reached),
            findings=[
                finding(
                    self,
                    f"{listed(reached)} get a gradient and are neither registered in the model nor "
                    "in an optimizer: they are not trained, moved or saved. Use nn.ModuleList, "
                    "nn.ModuleDict or nn.Parameter.",
                    severity=Severity.CRITICAL,
                    site=reached[0],
                    evidence={"tensors": reached[:8], "num_tensors": len(reached)},
                )
            ],
        )


def _reached(scene: Scene) -> tuple[list[str], list[str]]:
    """Names of the unregistered tensors, and of those that a step brings a gradient to."""
    with scene.trial() as trial:
        held = set(holdings_of(trial.program).held)
        found = dict(_unregistered(trial.model))
        before = {name: one.grad for name, one in found.items()}
        try:
            trial.step(scene.batch())
        except Exception as error:  # the user's step may raise anything
            raise Unseen(f"the step raised {type(error).__name__}: {error}") from error
        got = [name for name, one in found.items() if one.grad is not None and before[name] is None]
        return list(found), [name for name in got if id(found[name]) not in held]


def _unregistered(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Leaf tensors that want a gradient and that `parameters()` does not give, each once."""
    seen = {id(parameter) for parameter in model.parameters()}
    for path, module in model.named_modules():
        for name, value in list(vars(module).items()):
            if name.startswith("_"):
                continue
            for place, one in _tensors(value, f"{path}.{name}" if path else name, depth=4):
                if id(one) not in seen and one.is_leaf and one.requires_grad:
                    seen.add(id(one))
                    yield place, one


def _tensors(value: Any, path: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, nn.Module):
        yield from ((f"{path}.{name}", one) for name, one in value.named_parameters())
    elif depth and isinstance(value, list | tuple | Mapping):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _tensors(item, f"{path}.{key}", depth - 1)
