"""The layers that the zoo's networks share, written plainly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class SelfAttention(nn.Module):
    """Pre-normalised attention. Shape: [n, time, width] -> the same."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:2], 3, self.heads, -1)
        query, key, value = self.qkv(self.norm(x)).view(shape).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


def feed_forward(width: int, activation: Callable[[], nn.Module] = nn.GELU) -> nn.Sequential:
    """Norm, widen by four, activation, narrow."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width)
    )


def transformer_blocks(width: int, depth: int, heads: int, *, causal: bool) -> nn.Sequential:
    """Attention and feed-forward in turn, each a residual."""
    blocks: list[nn.Module] = []
    for _ in range(depth):
        blocks += [
            Residual(SelfAttention(width, heads, causal=causal)),
            Residual(feed_forward(width)),
        ]
    return nn.Sequential(*blocks)


def initialise_like_gpt2(model: nn.Module) -> None:
    """Weights N(0, 0.02), biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def positions(x: Tensor) -> Tensor:
    """0, 1, ... along the second dimension of `x`."""
    return torch.arange(x.shape[1], device=x.device)
