"""The lesson's small convolutional network, with a switch for its normalisation."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

from torch import Tensor, nn

Norm = Literal["none", "batchnorm", "groupnorm1"]
"""`groupnorm1` is `GroupNorm(1, C)`, which the lesson calls layernorm. Its statistics are those
of a layer norm over [C, H, W]; its affine parameters are 2C, not 2CHW, and it is not the
per-position layer norm over C that transformers use."""

WIDTHS: Final = (16, 32, 64)


class LessonCNN(nn.Module):
    """Three times conv 3x3 - norm - ReLU, halved between them, averaged over space, classified.

    Args:
        norm: which normalisation follows each convolution.
        num_classes: width of the output.
        conv_bias: whether the convolutions have a bias; under batch norm it is dead weight,
            because the mean that it shifts is subtracted right after.

    Shape: [n, 1, height, width] -> [n, num_classes]; height and width at least 4.
    """

    def __init__(self, norm: Norm = "none", num_classes: int = 10, conv_bias: bool = True) -> None:
        super().__init__()
        pairs = enumerate(pairwise((1, *WIDTHS)))
        self.stages = nn.Sequential(
            *(_stage(*pair, norm, conv_bias, halve=place > 0) for place, pair in pairs)
        )
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """The logits of `images`."""
        return self.classifier(self.stages(images).mean(dim=(2, 3)))


def _stage(width_in: int, width: int, norm: Norm, bias: bool, *, halve: bool) -> nn.Sequential:
    stage = nn.Sequential()
    if halve:
        stage.add_module("pool", nn.MaxPool2d(2))
    stage.add_module("conv", nn.Conv2d(width_in, width, 3, padding=1, bias=bias))
    if norm == "batchnorm":
        stage.add_module("norm", nn.BatchNorm2d(width))
    elif norm == "groupnorm1":
        stage.add_module("norm", nn.GroupNorm(1, width))
    stage.add_module("relu", nn.ReLU())
    return stage
