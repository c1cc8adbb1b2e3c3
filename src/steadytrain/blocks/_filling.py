"""How a scheme's numbers get into a model: each weight once, padding rows and frozen ones kept.

A scheme is a function from a weight's part in the network to a `Draw`. Everything around it is
the same for all: biases become zero, norms begin as the identity, a tied weight is drawn once,
rows of padding stay zero, and what is left as it was is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from steadytrain.blocks._changes import Change
from steadytrain.blocks._roles import Anatomy, Part, anatomy_of
from steadytrain.blocks._weights import is_reparametrized
from steadytrain.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a weight is drawn from."""

    stds: tuple[float, ...]
    """Standard deviations; of queries, keys and values, or keys and values, where packed."""
    why: str
    truncated: bool = False
    """Whether what lies beyond three standard deviations is drawn again."""

    @property
    def what(self) -> str:
        if not any(self.stds):
            return "zero"
        shown = " / ".join(f"{std:.4g}" for std in dict.fromkeys(self.stds))
        return f"{'truncated normal' if self.truncated else 'normal'}, std {shown}"


Rule = Callable[[Part], Draw | None]
"""What a weight is drawn from; None leaves it as it is."""


def normal(std: float, why: str, *, truncated: bool = False) -> Draw:
    """One standard deviation for the whole weight."""
    return Draw(stds=(std,), why=why, truncated=truncated)


def xavier(part: Part, why: str, *, gain: float = 1.0, value_gain: float | None = None) -> Draw:
    """Xavier's deviation times a gain; the values in a packed weight have their own."""
    gains = [gain] * (len(_rows(part)) - 1) + [gain if value_gain is None else value_gain]
    pairs = zip(_rows(part), gains, strict=True)
    stds = [factor * math.sqrt(2 / (part.weight.fan_in + rows)) for rows, factor in pairs]
    return Draw(stds=tuple(stds), why=why)


def fill(
    anatomy: Anatomy, model: nn.Module, rule: Rule, generator: torch.Generator | None
) -> list[Change]:
    """Every weight was drawn by `rule`; biases are zero and norms the identity."""
    changes = [_fill_part(part, rule(part), generator) for part in anatomy.parts]
    changes += [_reset_norm(path, norm) for path, norm in anatomy.norms]
    known = {id(one) for one in _touched(anatomy)}
    rest = [path for path, one in model.named_parameters() if id(one) not in known]
    return [one for one in changes if one is not None] + [
        _kept(path, "no layer that the scheme knows") for path in rest
    ]


def fill_only(
    anatomy: Anatomy, rule: Rule, generator: torch.Generator | None = None
) -> list[Change]:
    """Only the weights for which `rule` has a draw were changed, with their biases."""
    drawn = ((part, rule(part)) for part in anatomy.parts)
    changes = [_fill_part(part, draw, generator) for part, draw in drawn if draw is not None]
    return [one for one in changes if one is not None]


def structured(model: nn.Module, scheme: str) -> Anatomy:
    """The model's anatomy, which has residual blocks.

    Raises:
        UsageError: none were found, or a parameter has no numbers yet.
    """
    anatomy = anatomy_of(model)
    if not anatomy.stacks:
        raise UsageError(
            f"scheme {scheme!r} scales residual branches, and {type(model).__name__} has no "
            "residual block: expected modules in a container whose forward adds to its input. "
            "Use initialize(model, 'auto')."
        )
    return anatomy


@torch.no_grad()
def _fill_part(part: Part, draw: Draw | None, generator: torch.Generator | None) -> Change | None:
    if draw is None:
        return None
    if is_reparametrized(part.weight):
        return _kept(part.path, "computed from other tensors by a parametrization")
    weight = part.weight.tensor
    if not weight.requires_grad:
        return _kept(part.path, "frozen")
    _draw_into(part, draw, weight, generator)
    padding = getattr(part.weight.module, "padding_idx", None)
    if padding is not None:
        weight[padding].zero_()
    for bias in _biases(part):
        bias.zero_()
    also = "".join(f"; tied with {one.path}" for one in part.tied)
    return Change(path=part.path, what=draw.what, why=draw.why + also)


def _draw_into(
    part: Part, draw: Draw, weight: torch.Tensor, generator: torch.Generator | None
) -> None:
    rows = _rows(part)
    if len(draw.stds) == 1:
        _draw(weight, draw.stds[0], draw.truncated, generator)
        return
    by_output = weight.T if part.weight.transposed else weight
    for piece, std in zip(by_output.split(rows), draw.stds, strict=True):
        _draw(piece, std, draw.truncated, generator)


def _draw(
    tensor: torch.Tensor, std: float, truncated: bool, generator: torch.Generator | None
) -> None:
    if std == 0:
        nn.init.zeros_(tensor)
    elif truncated:
        nn.init.trunc_normal_(tensor, 0.0, std, -3 * std, 3 * std, generator=generator)
    else:
        nn.init.normal_(tensor, 0.0, std, generator=generator)


def _rows(part: Part) -> list[int]:
    """Outputs of queries, keys and values in a packed weight; of the whole in any other."""
    values, outputs = part.value_rows, part.weight.outputs
    if not values:
        return [part.weight.fan_out]
    return [rows for rows in (outputs - 2 * values, values, values) if rows > 0]


def _biases(part: Part) -> Iterator[torch.Tensor]:
    names = (
        ("in_proj_bias",) if isinstance(part.weight.module, nn.MultiheadAttention) else ("bias",)
    )
    for name in names:
        bias = part.weight.module._parameters.get(name)
        if bias is not None and bias.requires_grad:
            yield bias


@torch.no_grad()
def _reset_norm(path: str, norm: nn.Module) -> Change | None:
    """Torch's norms begin as the identity; one of another package is left to it."""
    own = [one for one in norm.parameters() if one.requires_grad]
    reset = getattr(norm, "reset_parameters", None)
    if not own or len(own) < len(list(norm.parameters())) or not callable(reset):
        return None
    reset()
    return Change(path=path, what="scale 1, shift 0", why="norm")


def _touched(anatomy: Anatomy) -> Iterator[nn.Parameter]:
    for part in anatomy.parts:
        yield from part.weight.module.parameters(recurse=False)
    for _, norm in anatomy.norms:
        yield from norm.parameters()


def _kept(path: str, why: str) -> Change:
    return Change(path=path, what="left as it was", why=why)
