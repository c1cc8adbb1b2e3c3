"""Small networks on which the initialisations of deep networks are shown and held to contract."""

from __future__ import annotations

import torch
from torch import nn


def small_transformer(layers: int = 2, width: int = 16, *, norm_first: bool = True) -> nn.Module:
    """Torch's own encoder without dropout."""
    layer = nn.TransformerEncoderLayer(
        width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=norm_first
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def small_residual_net(blocks: int = 2, channels: int = 8) -> nn.Sequential:
    """Residual blocks of two convolutions without norms, and a head."""
    body = [PlainResidual(channels) for _ in range(blocks)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4)]
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), *body, *head)


class PlainResidual(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(torch.relu(self.conv1(x)))
