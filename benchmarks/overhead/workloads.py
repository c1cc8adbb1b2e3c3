"""The four training steps that are monitored, on seeded synthetic data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from steadytrain.lab.lesson.cnn import LessonCNN

Batch = tuple[Tensor, Tensor]

NUM_BATCHES: Final = 8
"""Batches drawn before anything is timed; every arm goes round them in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A model and what it is trained on."""

    name: str
    title: str
    build: Callable[[], nn.Module]
    draw: Callable[[Generator], Batch]

    def batches(self, seed: int, device: str) -> list[Batch]:
        """The batches of a run: the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        drawn = [self.draw(generator) for _ in range(NUM_BATCHES)]
        return [(inputs.to(device), targets.to(device)) for inputs, targets in drawn]


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """Cross entropy over the last dimension of what the model returns."""
    inputs, targets = batch
    logits = model(inputs)
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


class Block(nn.Module):
    """A pre-norm transformer block with causal attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:2], 3, self.heads, -1)
        q, k, v = self.qkv(self.norm_attention(x)).view(shape).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_mlp(x))


class GPT(nn.Module):
    """A decoder-only transformer: [n, context] tokens -> [n, context, vocabulary] logits."""

    def __init__(self, layers: int, width: int, context: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, width // 64) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.tokens(tokens) + self.places(places))))


class ManyLinears(nn.Module):
    """A residual chain of small layers: as many tensors as wanted, hardly any arithmetic."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + 0.01 * layer(x)
        return x


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut that is padded with zero channels."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.stride = width // width_in
        self.extra = width - width_in
        self.first = nn.Conv2d(width_in, width, 3, self.stride, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_first, self.norm_second = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        short = x[:, :, :: self.stride, :: self.stride]
        short = functional.pad(short, (0, 0, 0, 0, 0, self.extra))
        hidden = self.relu(self.norm_first(self.first(x)))
        return self.relu(short + self.norm_second(self.second(hidden)))


def resnet20(num_classes: int = 10) -> nn.Module:
    """The 20-layer residual network for 32x32 images, shortcuts without parameters.

    Source: He et al. 2015, section 4.2, option A.
    """
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    blocks = [Residual(*pair) for pair in pairwise(widths)]
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes)]
    return nn.Sequential(*stem, *blocks, *pool)


def _images(n: int, channels: int, size: int) -> Callable[[Generator], Batch]:
    def draw(generator: Generator) -> Batch:
        images = torch.randn(n, channels, size, size, generator=generator)
        return images, torch.randint(10, (n,), generator=generator)

    return draw


def _tokens(n: int, context: int, vocabulary: int) -> Callable[[Generator], Batch]:
    def draw(generator: Generator) -> Batch:
        tokens = torch.randint(vocabulary, (n, context + 1), generator=generator)
        return tokens[:, :-1], tokens[:, 1:].contiguous()

    return draw


def _vectors(n: int, width: int) -> Callable[[Generator], Batch]:
    def draw(generator: Generator) -> Batch:
        vectors = torch.randn(n, width, generator=generator)
        return vectors, torch.randint(width, (n,), generator=generator)

    return draw


def many_tensors(count: int, width: int = 16) -> Workload:
    """`count` small parameters, two to a layer."""
    return Workload(
        name=f"{count:,} tensors",
        title=f"{count // 2:,} linear layers of {width} x {width}",
        build=lambda: ManyLinears(count // 2, width),
        draw=_vectors(32, width),
    )


WORKLOADS: Final = {
    "W1": Workload(
        name="W1",
        title="the lesson's CNN, 28 x 28, batch 128",
        build=lambda: LessonCNN("batchnorm"),
        draw=_images(128, 1, 28),
    ),
    "W2": Workload(
        name="W2",
        title="GPT, 8 layers of width 512, 2 x 128 tokens",
        build=lambda: GPT(layers=8, width=512, context=128, vocabulary=256),
        draw=_tokens(2, 128, 256),
    ),
    "W3": replace(many_tensors(1000), name="W3"),
    "W4": Workload(
        name="W4",
        title="ResNet-20, 32 x 32, batch 32",
        build=resnet20,
        draw=_images(32, 3, 32),
    ),
}
