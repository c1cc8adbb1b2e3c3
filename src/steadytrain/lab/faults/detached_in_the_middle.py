"""An intermediate result is detached, and all before it gets no gradient.

## What is wrong
`.data`, `.detach()`, a round trip through numpy or a block under `no_grad` stands between the
first layers and the loss: they keep their random weights.

## Remedy
Keep tensors in the graph; detach only what is logged.

## Source
TheDeepChecker's untrained parameters; a question of PyTorch's forum since its first year.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import layers
from steadytrain.lab.zoo.planting import fault


def _cut(_module: nn.Module, _inputs: Any, output: Any) -> Any:
    if isinstance(output, Tensor):
        return torch.from_numpy(output.detach().numpy().copy())
    return tuple(map(torch.Tensor.detach, output[:1])) + output[1:]


def _last_cut(parts: Parts) -> str:
    """The last layer whose output is detached; the embedding or a hidden layer before the end."""
    paths = [path for path in layers(parts.model) if "." not in path]
    if parts.case.architecture == "vae":
        return "encoder"
    if parts.case.architecture in ("gpt", "vit"):
        return "blocks"
    return paths[parts.case.pick("cut", range(len(paths) // 2, len(paths) - 1))]


def plant(parts: Parts) -> None:
    """The layer's output leaves the graph."""
    parts.model.get_submodule(_last_cut(parts)).register_forward_hook(_cut)


def places(parts: Parts) -> tuple[str, ...]:
    """Every layer up to the cut."""
    names = [path for path, _ in parts.model.named_children()]
    upstream = names[: names.index(_last_cut(parts)) + 1]
    return tuple(p for p, _ in parts.model.named_parameters() if p.split(".")[0] in upstream)


FAULT = fault(
    __name__,
    __doc__,
    cause="detached-graph",
    also=("frozen-params",),
    on=("mlp", "gpt", "cnn", "lstm", "vae"),
    plant=plant,
    sites=places,
)
