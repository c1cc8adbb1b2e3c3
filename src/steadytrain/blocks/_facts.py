"""What the choice of an initialisation depends on, read from a model without running it."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from torch import nn

from steadytrain.blocks._activation import key_of, name_of
from steadytrain.blocks._code import mixes_positions
from steadytrain.blocks._flow import Flow, flow_of
from steadytrain.blocks._stacks import stacks_of
from steadytrain.blocks._weights import is_norm
from steadytrain.blocks.gains import gradient_factor
from steadytrain.blocks.mirrored import chains_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A model in a few numbers."""

    num_layers: int
    activations: tuple[str, ...]
    num_norms: int
    num_sums: int
    """Additions to a residual stream."""
    attends: bool
    is_recurrent: bool
    num_mirrorable: int
    """Layers in chains that can be mirrored."""
    gradient_change: float
    """Factor on the gradients' second moment from the last layer to the first, by the exact gain."""
    seed_spread: float
    """Standard deviation over seeds of the logarithm of the signal's second moment."""
    is_traced: bool

    def __str__(self) -> str:
        acts = ", ".join(self.activations) or "none seen"
        return (
            f"{self.num_layers} layers with weights, activations: {acts}; norms: {self.num_norms}; "
            f"additions to a residual stream: {self.num_sums}"
        )


def facts_of(model: nn.Module) -> tuple[Facts, Flow]:
    """The facts of a model, and its layers."""
    flow = flow_of(model)
    modules = list(model.modules())
    attention = nn.MultiheadAttention
    facts = Facts(
        num_layers=len(flow.layers),
        activations=tuple(dict.fromkeys(map(name_of, flow.activations))),
        num_norms=sum(map(is_norm, modules)),
        num_sums=sum(stack.num_branches for stack in stacks_of(model)),
        attends=any(isinstance(one, attention) or mixes_positions(one) for one in modules),
        is_recurrent=any(isinstance(one, nn.RNNBase | nn.RNNCellBase) for one in modules),
        num_mirrorable=len(chains_of(flow)),
        gradient_change=_gradient_change(flow),
        seed_spread=_seed_spread(flow),
        is_traced=flow.is_traced,
    )
    return facts, flow


def _gradient_change(flow: Flow) -> float:
    """The product over the layers of E[phi'^2] / E[phi^2]; infinite or 0 where one has none."""
    factors: dict[Hashable, float] = {}
    total = 0.0
    for activation in flow.activations:
        key = key_of(activation)
        if key not in factors:
            factors[key] = gradient_factor(activation)
        total += math.log(factors[key]) if factors[key] > 0 else -math.inf
    return math.exp(min(total, 700.0))


def _seed_spread(flow: Flow) -> float:
    """sqrt(5 sum 1/fan_in) over the hidden layers: wider ones average more.

    Source: Hanin & Rolnick 2018, theorem 5 (the sum of reciprocal widths); 5 for ReLU.
    """
    inner = [
        layer
        for layer in flow.layers
        if layer.before is not None and layer.matrices and not layer.is_output
    ]
    return math.sqrt(5.0 * sum(1.0 / layer.matrices[0].fan_in for layer in inner))
