"""A small character GPT whose stabilising parts are switches.

Without any of them it is the baseline of Wortsman et al. 2023: layer norm before each branch, no
biases, rotary positions, separate embedding and output weights, weights drawn from a truncated
normal of deviation 1 / sqrt(fan-in).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.blocks.logit_cap import soft_cap
from steadytrain.blocks.query_key_norm import QKNorm
from steadytrain.blocks.rms_norm import RMSNorm
from steadytrain.blocks.scale_free_weights import scale_free

Placement = Literal["pre", "post", "reordered", "sandwich"]
ROTARY_BASE: Final = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the model is; the same for every configuration."""

    width: int = 48
    layers: int = 3
    heads: int = 4
    context: int = 32
    """Characters of one sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What a configuration changes in the model."""

    placement: Placement = "pre"
    """Norm before the branch, after the sum, at the branch's end, or at both of its ends."""
    norm: Literal["layer", "rms"] = "layer"
    qk_norm: bool = False
    qk_gain: float = 1.0
    """Of queries and of keys at the start, where they are normalised."""
    soft_cap: float | None = None
    """Of the output logits."""
    zero_output: bool = False
    """Whether the last projection of each branch starts at zero."""
    stored_rms: float | None = None
    """Every matrix is scale-free, stored with this root mean square; plain weights if None."""


class CharGPT(nn.Module):
    """A decoder-only transformer over characters.

    Args:
        vocabulary: number of different characters.
        size: how large.
        switches: which parts.

    Shape:
        numbers [batch, time] -> logits [batch, time, vocabulary].
    """

    def __init__(self, vocabulary: int, size: Size, switches: Switches) -> None:
        super().__init__()
        self.cap = switches.soft_cap
        self.embedding = nn.Embedding(vocabulary, size.width)
        self.blocks = nn.ModuleList(_Block(size, switches) for _ in range(size.layers))
        self.norm = _norm(size.width, switches)
        self.head = nn.Linear(size.width, vocabulary, bias=False)
        self.register_buffer("turns", _turns(size), persistent=False)
        self._initialise(switches)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.capped(self.uncapped(numbers))

    def capped(self, logits: Tensor) -> Tensor:
        """The logits that the probabilities are made of."""
        return logits if self.cap is None else soft_cap(logits, self.cap)

    def uncapped(self, numbers: Tensor) -> Tensor:
        """The logits that a z-loss is taken of: the cap's slope would hide the largest."""
        x = self.embedding(numbers)
        turns = cast("Tensor", self.turns)[: numbers.shape[1]]
        for block in self.blocks:
            x = block(x, turns)
        return self.head(self.norm(x))

    @torch.no_grad()
    def _initialise(self, switches: Switches) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Embedding):
                deviation = layer.weight.shape[1] ** -0.5
                nn.init.trunc_normal_(layer.weight, 0, deviation, -3 * deviation, 3 * deviation)
        if switches.zero_output:
            for block in self.blocks:
                for layer in cast("_Block", block).last_layers:
                    nn.init.zeros_(layer.weight)
        if switches.stored_rms is not None:
            scale_free(self, stored_rms=switches.stored_rms)
            scale_free(self.embedding, rms=1.0, stored_rms=switches.stored_rms)


class _Block(nn.Module):
    def __init__(self, size: Size, switches: Switches) -> None:
        super().__init__()
        self.placement = switches.placement
        self.attention = _Attention(size, switches)
        self.mlp = nn.Sequential(
            nn.Linear(size.width, 4 * size.width, bias=False),
            nn.GELU(),
            nn.Linear(4 * size.width, size.width, bias=False),
        )
        self.norms = nn.ModuleList(_norm(size.width, switches) for _ in range(2))
        inner = 2 if self.placement == "sandwich" else 0
        self.inner_norms = nn.ModuleList(_norm(size.width, switches) for _ in range(inner))

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        for place in range(2):
            x = self._add(x, turns, place)
        return x

    @property
    def last_layers(self) -> tuple[nn.Linear, nn.Linear]:
        """The layers that write into the sum."""
        return self.attention.output, cast("nn.Linear", self.mlp[2])

    def _add(self, x: Tensor, turns: Tensor, place: int) -> Tensor:
        norm = self.norms[place]
        if self.placement == "pre":
            return x + self._branch(norm(x), turns, place)
        if self.placement == "post":
            return norm(x + self._branch(x, turns, place))
        if self.placement == "reordered":
            return x + norm(self._branch(x, turns, place))
        return x + self.inner_norms[place](self._branch(norm(x), turns, place))

    def _branch(self, x: Tensor, turns: Tensor, place: int) -> Tensor:
        return self.attention(x, turns) if place == 0 else self.mlp(x)


class _Attention(nn.Module):
    def __init__(self, size: Size, switches: Switches) -> None:
        super().__init__()
        self.heads = size.heads
        self.inputs = nn.Linear(size.width, 3 * size.width, bias=False)
        self.output = nn.Linear(size.width, size.width, bias=False)
        self.norm: QKNorm | None = None
        if switches.qk_norm:
            self.norm = QKNorm(size.width // size.heads)
            for gain in self.norm.parameters():
                nn.init.constant_(gain, switches.qk_gain)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        query, key, value = self._split(x, turns)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shape: [batch, time, width] -> three of [batch, heads, time, width / heads]."""
        parts = self.inputs(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind()
        if self.norm is not None:
            query, key = self.norm(query, key)
        return _turned(query, turns), _turned(key, turns), value


def _norm(width: int, switches: Switches) -> nn.Module:
    if switches.norm == "layer":
        return nn.LayerNorm(width, eps=1e-5, bias=False)
    return RMSNorm(width, eps=1e-5)


def _turns(size: Size) -> Tensor:
    """Cosine and sine of every position's angles. Shape: [context, 2, width of a head / 2]."""
    half = size.width // size.heads // 2
    speeds = ROTARY_BASE ** (-torch.arange(half) / half)
    angles = torch.arange(size.context).unsqueeze(1) * speeds
    return torch.stack((angles.cos(), angles.sin()), dim=1)


def _turned(x: Tensor, turns: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021): each pair of features turned by its position's angle."""
    cosine, sine = turns.unbind(1)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), dim=-1)
