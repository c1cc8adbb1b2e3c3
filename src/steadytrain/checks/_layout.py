"""Whether the first dimension of the data counts samples, or time."""

from __future__ import annotations

import torch
from torch import Tensor

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import tensors_in


def samples_come_first(scene: Scene, size: int) -> bool:
    """Whether the data shows that its first dimension, of that size, is the samples'.

    It does where a loss has one target per sample, or targets that are a text shifted along its
    second dimension; tensors that merely share a length may be laid out with time first.
    """
    targets = [call["target"] for call in scene.first.calls if isinstance(call["target"], Tensor)]
    if any(target.dim() == 1 and len(target) == size for target in targets):
        return True
    leaves = tensors_in(scene.batch())
    texts = [one for one in leaves if one.dim() == 2 and not one.is_floating_point()]
    return any(_is_next(text, target) for text in texts for target in targets)


def _is_next(text: Tensor, target: Tensor) -> bool:
    """Whether the targets are the text shifted along its second dimension."""
    if target.is_floating_point() or not text[:, 1:].numel():
        return False
    later, flat = text[:, 1:].flatten(), target.flatten()
    return later.numel() == flat.numel() and torch.equal(later, flat.to(later))
