"""How much wider each parameter is than in a base model: the factors that muP is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from steadytrain.blocks._roles import Anatomy, Part, anatomy_of
from steadytrain.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Widening:
    """One parameter beside its counterpart of the base model."""

    path: str
    parameter: nn.Parameter
    reads: float = 1.0
    """How many times more it reads: 1 for an embedding, a bias, a layer on the data."""
    writes: float = 1.0
    """How many times more it writes: 1 for the head."""
    is_matrix: bool = False
    """Whether it is the weight of a linear map (and no embedding)."""
    base: torch.Tensor | None = None
    """The base model's parameter, where a base model is given."""

    @property
    def init_factor(self) -> float:
        """Its deviation, relative to the base model's."""
        return self.reads**-0.5 * min(1.0, math.sqrt(self.writes / self.reads))


def widenings(model: nn.Module, base: nn.Module | float) -> Iterator[Widening]:
    """Every trainable parameter of the model once, with its factors.

    Args:
        model: its parameters are only read.
        base: the same architecture at the base width, or that width: what the head reads there.

    Raises:
        UsageError: the base model has other parameters, or its width alone says too little.
    """
    anatomy = anatomy_of(model)
    parts = {id(part.weight.tensor): part for part in anatomy.parts if _is_own(part)}
    if isinstance(base, nn.Module):
        yield from _against_model(model, base, parts)
    else:
        yield from _against_width(model, _width(anatomy) / base, anatomy, parts)


def _is_own(part: Part) -> bool:
    return part.weight.name in part.weight.module._parameters


def _against_model(model: nn.Module, base: nn.Module, parts: dict[int, Part]) -> Iterator[Widening]:
    others = dict(base.named_parameters())
    for path, parameter in model.named_parameters():
        other = others.get(path)
        if other is None or other.ndim != parameter.ndim or not parameter.numel():
            found = "none" if other is None else f"shape {tuple(other.shape)}"
            msg = f"{path} of shape {tuple(parameter.shape)} has no counterpart: base_model has"
            raise UsageError(f"{msg} {found}. Build both with the same function, of one depth.")
        if parameter.requires_grad:
            yield _beside(path, parameter, other, parts.get(id(parameter)))


def _beside(path: str, parameter: nn.Parameter, other: torch.Tensor, part: Part | None) -> Widening:
    ratios = [mine / its for mine, its in zip(parameter.shape, other.shape, strict=True)]
    if part is not None and part.role == "embedding":
        reads, writes = 1.0, ratios[-1]
    elif parameter.ndim >= 2 and (part is not None or sum(one != 1 for one in ratios) > 1):
        writes, reads = ratios[0], ratios[1]
        if part is not None and part.weight.transposed:
            writes, reads = reads, writes
    else:
        reads, writes = 1.0, math.prod(ratios)
    matrix = part is not None and part.role != "embedding"
    return Widening(
        path=path, parameter=parameter, reads=reads, writes=writes, is_matrix=matrix, base=other
    )


def _against_width(
    model: nn.Module, ratio: float, anatomy: Anatomy, parts: dict[int, Part]
) -> Iterator[Widening]:
    fixed = {id(one) for one in _biases_of_heads(anatomy)}
    for path, parameter in model.named_parameters():
        part = parts.get(id(parameter))
        if isinstance(model.get_submodule(path.rpartition(".")[0]), nn.RNNBase):
            msg = f"base_width does not say which sides of {path} grow: expected linear maps."
            raise UsageError(f"{msg} Give base_model, the same network at the base width.")
        if not parameter.requires_grad:
            continue
        matrix = part is not None and part.role != "embedding"
        role = "embedding" if part is None else part.role
        yield Widening(
            path=path,
            parameter=parameter,
            reads=1.0 if role in ("embedding", "input") else ratio,
            writes=1.0 if role == "head" or id(parameter) in fixed else ratio,
            is_matrix=matrix,
        )


def _biases_of_heads(anatomy: Anatomy) -> Iterator[torch.Tensor]:
    for part in anatomy.parts:
        for one in (part, *part.tied):
            if one.role == "head":
                yield from one.weight.module.parameters(recurse=False)


def _width(anatomy: Anatomy) -> int:
    heads = [part for part in anatomy.parts if part.role == "head"]
    return heads[-1].weight.inputs if heads else anatomy.width
