"""The networks that are made at several widths, and their optimizers in both parametrisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from steadytrain.blocks import mup_groups

STANDARD, MAXIMAL = "standard", "muP"
PARAMETRIZATIONS: Final = (STANDARD, MAXIMAL)

HEAD_WIDTH: Final = 16
"""Features of one attention head: wider networks get more heads, as muP asks."""


class Rows(nn.Module):
    """A small pre-norm transformer that reads an image row by row.

    Shape: [n, 1, height, width] -> [n, classes].
    """

    def __init__(self, row: int, width: int, classes: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width,
            width // HEAD_WIDTH,
            2 * width,
            dropout=0.0,
            batch_first=True,
            norm_first=True,
        )
        self.stem = nn.Linear(row, width)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.norm(self.encoder(self.stem(images.squeeze(1)))).mean(1))


def mlp(size: tuple[int, int], width: int, classes: int) -> nn.Module:
    """Three hidden layers of ReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(size[0] * size[1], width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )


def transformer(size: tuple[int, int], width: int, classes: int) -> nn.Module:
    """Two blocks over the rows of the image."""
    return Rows(size[1], width, classes)


NETWORKS: Final[dict[str, Callable[[tuple[int, int], int, int], nn.Module]]] = {
    "MLP": mlp,
    "transformer": transformer,
}


def optimizer_of(
    model: nn.Module, base: Callable[[], nn.Module], kind: str, rate: float, parametrization: str
) -> torch.optim.Optimizer:
    """Adam or SGD over the model; with muP at the rate that is right for the base model."""
    family = torch.optim.Adam if kind == "Adam" else torch.optim.SGD
    if parametrization == STANDARD:
        return family(model.parameters(), lr=rate)
    groups = mup_groups(
        model, lr=rate, base_model=base(), optimizer="adam" if kind == "Adam" else "sgd"
    )
    return family(groups, lr=rate)
