"""What is known of a program when a change is made on a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.core.program import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCall:
    """One call of a loss of `torch.nn.functional` while the loss of a microbatch was computed."""

    name: str
    """The function: `cross_entropy`, `mse_loss`, `binary_cross_entropy_with_logits`, ..."""
    input: torch.Tensor
    """Detached; what the loss was given as the model's output."""
    target: torch.Tensor | None
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    """The other arguments by name: `reduction`, `ignore_index`, `weight`, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was seen of a program before a trial; changes read it and never write it."""

    history: History
    """The observed run's measurements."""
    findings: tuple[Finding, ...] = ()
    """Of the observed run, of the preflight and of lint, in order of step."""
    batches: tuple[Any, ...] = ()
    """The microbatches that the observed run read, in order; not to be written to."""
    suspects: frozenset[int] = frozenset()
    """Places in `batches` of those that are non-finite or unlike the others."""
    loss_calls: tuple[LossCall, ...] = ()
    """Recorded on the first microbatch, before any training; empty where none was seen."""
    steps: int = 200
    """Optimizer steps of the observed run."""
    seed: int = 0


def optimizers_of(program: Program) -> Iterator[torch.optim.Optimizer]:
    """Every optimizer of the program, the main one first, then those in `extra`, each once."""
    seen: set[int] = set()
    for value in (program.optimizer, *_flat(program.extra)):
        if isinstance(value, torch.optim.Optimizer) and id(value) not in seen:
            seen.add(id(value))
            yield value


def models_of(program: Program) -> Iterator[torch.nn.Module]:
    """Every module of the program, the main one first, then those in `extra`, each once."""
    seen: set[int] = set()
    for value in (program.model, *_flat(program.extra)):
        if isinstance(value, torch.nn.Module) and id(value) not in seen:
            seen.add(id(value))
            yield value


def _flat(value: Any) -> Iterator[Any]:
    """The values in nested dicts, lists and tuples."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _flat(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value
