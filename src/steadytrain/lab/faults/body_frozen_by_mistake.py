"""A network that was never trained is frozen but for its head.

## What is wrong
The line that freezes a pretrained backbone was kept, and the backbone is a new one: random
features stay random.

## Remedy
Freeze only what was trained before; here, nothing.

## Source
`requires_grad_(False)` on the wrong name, in fine-tuning scripts used for training from scratch.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import head, layers
from steadytrain.lab.zoo.planting import fault


def _body(parts: Parts) -> list[str]:
    last = head(parts.model)
    return [path for path in layers(parts.model) if path != last]


def plant(parts: Parts) -> None:
    """All but the last layer."""
    for path in _body(parts):
        for parameter in parts.model.get_submodule(path).parameters(recurse=False):
            parameter.requires_grad_(False)


def places(parts: Parts) -> tuple[str, ...]:
    """The frozen layers."""
    return tuple(_body(parts))


FAULT = fault(
    __name__,
    __doc__,
    cause="frozen-params",
    on=("gpt", "cnn", "vit", "resnet"),
    plant=plant,
    sites=places,
    seen=("preflight",),
)
