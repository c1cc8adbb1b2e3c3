"""The two-layer perceptron inside residual blocks, at unit scale from its first step."""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.blocks._activation import Activation
from steadytrain.blocks._bounds import share, whole
from steadytrain.blocks._nonlinearity import Nonlinearity
from steadytrain.blocks.gains import gain_for


def feed_forward(
    dim: int,
    hidden_dim: int | None = None,
    activation: Activation | type[nn.Module] = "gelu",
    dropout: float = 0.0,
) -> nn.Sequential:
    """Two linear maps, dim -> hidden_dim -> dim; inputs of unit variance give outputs of unit variance.

    Raises:
        UsageError: a size is no positive whole number, the dropout no share, or the activation
            no elementwise function.
    """
    width = whole("dim", dim)
    hidden = 4 * width if hidden_dim is None else whole("hidden_dim", hidden_dim)
    middle = Nonlinearity(activation)
    rise, fall = nn.Linear(width, hidden), nn.Linear(hidden, width)
    unit_linear_(rise)
    unit_linear_(fall, gain_for(middle))
    drop = nn.Dropout(share("dropout", dropout)) if dropout else nn.Identity()
    return nn.Sequential(rise, middle, drop, fall)


@torch.no_grad()
def unit_linear_(layer: nn.Linear, gain: float = 1.0) -> None:
    """Weights of variance gain^2 / fan_in, biases of zero."""
    nn.init.normal_(layer.weight, std=gain * layer.in_features**-0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
