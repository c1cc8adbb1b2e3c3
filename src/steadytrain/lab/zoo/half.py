"""Half precision on a processor that has no fast arithmetic for it.

The activations are cast to real float16 tensors and back, and so are the gradients that return:
both are rounded, overflow above 65,504 and vanish below 6e-8 exactly as under autocast. Only the
sums inside the matrix products stay float32, as they do on an accelerator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts


class ThroughHalf(nn.Module):
    """A layer whose output, and the gradient of it, pass float16."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).half().float()


def use_half(parts: Parts, *, scale: float = 2.0**16) -> None:
    """Every weighted layer of a Sequential passes float16; a scaler keeps gradients in range."""
    network = parts.model
    assert isinstance(network, nn.Sequential)
    for place, layer in enumerate(network):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            network[place] = ThroughHalf(layer)
    parts.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
