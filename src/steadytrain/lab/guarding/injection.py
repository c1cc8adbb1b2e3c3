"""What an injected fault is: one file of `lab/injections`, documented, found by folder.

    INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)

Where it strikes decides what it is handed and when:

    input       the first layer's input (or, of an embedding, its output), for a poisoned batch
    loss        the loss of a poisoned batch
    activation  the output of a layer in the middle, once
    gradient    the gradients of one backward pass, once
    rest        weights, moments, buffers and settings between two steps, once

A poisoned batch is poisoned whenever it is used; what strikes once does not come again when the
step is done again. Nothing here knows of the guard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, cast

import torch
from torch import Generator, Tensor

from steadytrain.core.discovery import modules
from steadytrain.core.errors import UnknownNameError, UsageError

Place = Literal["input", "loss", "activation", "gradient", "rest"]

POISONED: Final = frozenset({"input", "loss"})
"""Places that belong to a batch, and strike whenever it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One kind of fault."""

    name: str
    summary: str
    at: Place
    strike: Callable[..., Any]
    """`strike(tensor, generator) -> tensor` at input, loss and activation, `strike(gradients,
    generator)` in place at gradient, `strike(scene)` at rest."""
    batches: tuple[int, ...]
    """Poisoned batches, counted from the one at which the fault begins."""
    needs: Literal["", "buffers", "average"]
    """What a workload must have for it to mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a fault at rest finds between two steps."""

    parameters: list[Tensor]
    moments: list[dict[str, Any]]
    """The optimizers' state of each parameter."""
    buffers: list[Tensor]
    """Running statistics and the like, of floating point."""
    averages: list[Tensor]
    groups: list[dict[str, Any]]
    """The optimizers' groups."""
    generator: Generator


def injection(
    module: str,
    doc: str | None,
    *,
    at: Place,
    strike: Callable[..., Any],
    batches: tuple[int, ...] = (0,),
    needs: Literal["", "buffers", "average"] = "",
) -> Injection:
    """The injection of a file, named after it and documented by its first sentence.

    Raises:
        UsageError: the file does not say what it injects.
    """
    name = module.rpartition(".")[2].replace("_", "-")
    summary = " ".join((doc or "").partition("\n\n")[0].split())
    if not summary:
        raise UsageError(f"injection {name!r}: its file has no docstring. Say what it injects.")
    return Injection(name=name, summary=summary, at=at, strike=strike, batches=batches, needs=needs)


@cache
def known_injections() -> dict[str, Injection]:
    """Every kind in the folder, by name."""
    found = [vars(module).get("INJECTION") for module in modules("steadytrain.lab.injections")]
    kinds = [cast("Injection", one) for one in found if isinstance(one, Injection)]
    return {kind.name: kind for kind in kinds}


def find_injection(name: str) -> Injection:
    """The kind called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    known = known_injections()
    if name not in known:
        raise UnknownNameError.build("injection", name, known)
    return known[name]


def anywhere(tensor: Tensor, generator: Generator) -> int:
    """The place of one element, drawn."""
    return int(torch.randint(max(1, tensor.numel()), (), generator=generator))


def one_of(tensors: list[Tensor], generator: Generator) -> Tensor:
    """One of the tensors, drawn."""
    return tensors[int(torch.randint(len(tensors), (), generator=generator))]


def with_one(tensor: Tensor, value: float, generator: Generator) -> Tensor:
    """A copy in which one drawn element has the value; gradients pass through the others."""
    mask = torch.zeros(tensor.numel(), dtype=torch.bool)
    mask[anywhere(tensor, generator)] = True
    return tensor.masked_fill(mask.view(tensor.shape), value)


def set_one(tensor: Tensor, value: float, generator: Generator) -> None:
    """One drawn element has the value, written past torch's bookkeeping as a fault would."""
    tensor.detach().data.view(-1)[anywhere(tensor, generator)] = value


def flip_bit(tensor: Tensor, bit: int, generator: Generator) -> None:
    """One bit of one drawn float32 element is the other one, written as a fault would."""
    words = tensor.detach().data.view(-1).view(torch.int32)
    mask = (1 << bit) if bit < 31 else -(1 << 31)
    words[anywhere(tensor, generator)] ^= mask
