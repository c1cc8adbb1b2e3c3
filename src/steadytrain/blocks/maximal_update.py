"""Learning rates, deviations and a readout that make one learning rate right for every width.

In the usual parametrisation a wider network takes larger steps in what it computes, so its best
learning rate falls with the width, and a rate tuned on a small model breaks the large one. muP
scales what each weight begins with and learns with so that every layer's output moves by the same
at any width.

## Formula
    r, w: how many times more a weight reads and writes than in the base model
    deviation:         base * r^(-1/2) * min(1, sqrt(w / r))
    rate with Adam:    lr / r
    rate with SGD:     lr * w / r
    decay per step:    the base model's (weight_decay * lr / rate)
    head tied to the embedding: what it reads times 1 / r, in the forward

Hidden weights have r = w, a head w = 1, and embeddings, biases, norms and layers on the data
r = 1. A head that begins at zero stays at zero.

Attention must keep its scores the same too: grow the number of heads, not their width, or scale
them by 1/d instead of 1/sqrt(d).

## Shape
Parameters of any shape; those of the base model have as many dimensions.

## Dtype
Any.

## Cost
At construction one pass over the parameters. In training none; with a tied head one product.

## Source
Yang et al. 2022 (Tensor Programs V), tables 3 and 8; as one formula for every shape: Yang, Simon &
Bernstein 2023, section 2.

## Helps against
`lr-too-high`, `init-too-large`, `lr-too-low`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

from steadytrain.blocks._bounds import finite, positive
from steadytrain.blocks._roles import anatomy_of
from steadytrain.blocks._widths import Widening, widenings
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

Family = Literal["adam", "sgd"]


@dataclass(frozen=True, slots=True)
class ReadoutMultiplier:
    """A forward pre-hook that multiplies what a head reads."""

    factor: float

    def __call__(self, _: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[Any, ...]:
        return args[0] * self.factor, *args[1:]


def mup_groups(
    model: nn.Module,
    *,
    lr: float,
    base_width: float | None = None,
    base_model: nn.Module | None = None,
    optimizer: Family = "adam",
    weight_decay: float = 0.0,
    rescale: bool = True,
) -> list[dict[str, Any]]:
    """Parameter groups under which the base model's best learning rate is this model's too.

    Args:
        model: its weights are rescaled in place, unless `rescale` is False; a head that is tied
            to the embedding gets a forward pre-hook. Frozen parameters are in no group.
        lr: the rate that is right for the base model.
        base_width: what the head reads in the base model. The weights are then taken to begin
            with deviations like 1/sqrt(fan in), as torch's own, Xavier's and He's do. Call it once.
        base_model: the same network at the base width; from its weights the sizes are measured,
            whatever rule they were drawn by.
        optimizer: `"adam"` for any optimizer that divides by the gradient's size (AdamW, Lion,
            Adafactor), `"sgd"` for plain gradients.
        weight_decay: of the base model's matrices. Embeddings, biases and norms are not decayed.
        rescale: False where the weights are already right: they come from a checkpoint.

    Returns:
        Groups for any torch optimizer, each with `lr`, `weight_decay` and a `name`.

    Raises:
        UsageError: not exactly one of `base_width` and `base_model` is given, they do not fit, a
            number is out of range, or no parameter is trainable.

    Shape:
        As many groups as there are different rates and decays.

    Example:
        >>> def build(width):
        ...     return torch.nn.Sequential(
        ...         torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, 2)
        ...     )
        >>> groups = mup_groups(build(256), lr=0.01, base_model=build(64))
        >>> optimizer = torch.optim.Adam(groups)
        >>> {group["name"]: group["lr"] for group in groups}
        {'rate x1, decayed': 0.01, 'rate x1': 0.01, 'rate x0.25, decayed': 0.0025}
    """
    positive("lr", lr)
    _check_decay(weight_decay)
    if optimizer not in get_args(Family):
        msg = f"optimizer must be one of {', '.join(get_args(Family))}, got {optimizer!r}"
        raise UsageError(f"{msg}: muP's rates are known for these two families.")
    found = list(widenings(model, _base(base_width, base_model)))
    if not found:
        raise UsageError(
            f"{type(model).__name__} has no trainable parameter: expected at least one. "
            "Set requires_grad, or pass the model itself."
        )
    if rescale:
        _rescale(found)
    _scale_tied_heads(model, found)
    return _grouped(found, lr, weight_decay, optimizer)


def _base(width: float | None, model: nn.Module | None) -> nn.Module | float:
    if (width is None) == (model is None):
        given = "neither" if width is None else "both"
        msg = f"muP needs the base as base_width or as base_model, got {given}"
        raise UsageError(f"{msg}: give the one the learning rate was tuned with.")
    return model if model is not None else positive("base_width", width)


def _check_decay(weight_decay: float) -> None:
    if not finite("weight_decay", weight_decay) >= 0.0:
        msg = f"weight_decay must be at least 0, got {weight_decay}: 0.1 is a usual one."
        raise UsageError(msg)


@torch.no_grad()
def _rescale(found: Iterable[Widening]) -> None:
    """Weights have the deviation that their width asks for, seen from the base model's."""
    for one in found:
        if one.parameter.ndim < 2 or one.reads == one.writes == 1:
            continue
        if one.base is None:
            one.parameter.mul_(one.init_factor * one.reads**0.5)
            continue
        size, base = one.parameter.square().mean().sqrt(), one.base.square().mean().sqrt()
        one.parameter.mul_(torch.where(size > 0, base * one.init_factor / size, 1.0))


def _scale_tied_heads(model: nn.Module, found: Iterable[Widening]) -> None:
    """Heads that share the embedding's weight read less, because the weight itself may not."""
    wider = {id(one.parameter): one.writes for one in found}
    for part in anatomy_of(model).parts:
        heads = [one for one in part.tied if one.role == "head" and part.role == "embedding"]
        for head in heads:
            hooks = head.weight.module._forward_pre_hooks
            for key in [key for key, hook in hooks.items() if isinstance(hook, ReadoutMultiplier)]:
                del hooks[key]
            factor = 1 / wider.get(id(part.weight.tensor), 1.0)
            head.weight.module.register_forward_pre_hook(ReadoutMultiplier(factor))


def _grouped(
    found: Iterable[Widening], lr: float, weight_decay: float, optimizer: Family
) -> list[dict[str, Any]]:
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for one in found:
        factor = (1.0 if optimizer == "adam" else one.writes) / one.reads
        name = f"rate x{factor:g}{', decayed' if one.is_matrix else ''}"
        group = groups.setdefault(
            (factor, one.is_matrix),
            {
                "params": [],
                "name": name,
                "lr": lr * factor,
                "weight_decay": weight_decay / factor if one.is_matrix else 0.0,
            },
        )
        group["params"].append(one.parameter)
    return list(groups.values())


def _sample() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.Linear(32, 2))
    mup_groups(model, lr=0.1, base_width=8)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("mup_groups",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(3, 4),)),),
)
