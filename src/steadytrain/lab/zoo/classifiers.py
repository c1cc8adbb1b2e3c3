"""Image classifiers: MLP, CNN with batch norm, ResNet, ViT."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.images import Batch, accuracy, images
from steadytrain.lab.zoo.layers import initialise_like_gpt2, transformer_blocks

NUM_CLASSES: Final = 10


def mlp(sizes: list[int], activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers with an activation between them, He-initialised."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width_in, width in pairwise(sizes):
        layers += [nn.Linear(width_in, width), activation()]
    layers.pop()
    model = nn.Sequential(*layers)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def cnn(width: int, depth: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU, `depth` times; pooled over space, classified."""
    layers: list[nn.Module] = []
    for place in range(depth):
        layers += [
            nn.Conv2d(width if place else 1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        if place == 0:
            layers.append(nn.MaxPool2d(2))
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, NUM_CLASSES)]
    return nn.Sequential(*layers, *head)


class BasicBlock(nn.Module):
    """Two convolutions with batch norm around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + self.norm2(self.conv2(inner)))


def resnet(width: int, depth: int) -> nn.Sequential:
    """A stem, `depth` basic blocks, pooled over space, classified."""
    stem = [nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width)]
    blocks = [BasicBlock(width) for _ in range(depth)]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, NUM_CLASSES)]
    return nn.Sequential(*stem, nn.ReLU(), *blocks, *head)


class ViT(nn.Module):
    """Patches of an image, attention over them, the mean classified."""

    def __init__(self, side: int, width: int, depth: int, heads: int = 2) -> None:
        super().__init__()
        patch = max(2, side // 4)
        self.embed = nn.Conv2d(1, width, patch, stride=patch)
        self.place = nn.Embedding((side // patch) ** 2, width)
        self.blocks = transformer_blocks(width, depth, heads, causal=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, NUM_CLASSES)
        initialise_like_gpt2(self)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens = self.embed(pictures).flatten(2).transpose(1, 2) + self.place.weight
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross entropy of a batch of images."""
    inputs, labels = batch
    return functional.cross_entropy(model(inputs), labels)


def _network(case: Case, side: int) -> nn.Module:
    width, depth = case.pick("width", (24, 32, 48)), case.pick("depth", (2, 3, 4))
    if case.architecture == "mlp":
        return mlp([side * side, *([2 * width] * depth), NUM_CLASSES])
    if case.architecture == "cnn":
        return cnn(width // 2, depth)
    if case.architecture == "resnet":
        return resnet(width // 3, depth)
    return ViT(side, width, depth)


def _build(case: Case) -> Parts:
    batches, test = images(case)
    return Parts(
        case=case,
        model=_network(case, batches[0][0].shape[-1]),
        batches=batches,
        loss_fn=cross_entropy,
        validation=test,
        metric_fn=accuracy,
        rate=case.pick("rate", (1e-3, 2e-3, 3e-3)),
    )


BUILDERS: Final = dict.fromkeys(("mlp", "cnn", "resnet", "vit"), partial(_build))
