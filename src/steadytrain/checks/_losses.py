"""What reaches a program's loss functions: outputs, targets, and where the outputs come from."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from steadytrain.checks._functions import LOSSES, SQUASHES
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.check import Unseen

CLASSES: Final = ("cross_entropy", "nll_loss")
"""Losses over classes, dimension 1 of their input (dimension 0 of an input of one dimension)."""

ELEMENTWISE: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Losses that compare every output with a number."""

BINARY: Final = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


def loss_calls(scene: Scene, *names: str) -> list[Call]:
    """The calls of those loss functions on the first step, of all of them without a name.

    Raises:
        Unseen: there was none.
    """
    wanted = names or LOSSES
    found = [call for call in scene.calls if call.name in wanted]
    if not found:
        named = ", ".join(wanted) if len(wanted) <= 4 else "torch's loss functions"
        raise Unseen(f"the first step calls none of {named}")
    return found


def output_of(call: Call) -> Tensor:
    """What the program predicts: the first argument of a loss.

    Raises:
        Unseen: it is no tensor.
    """
    return _tensor(call, "input", "log_probs")


def target_of(call: Call) -> Tensor:
    """What it is compared with.

    Raises:
        Unseen: it is no tensor.
    """
    return _tensor(call, "target", "targets")


def _tensor(call: Call, *names: str) -> Tensor:
    for name in names:
        if isinstance(call[name], Tensor):
            return call[name]
    raise Unseen(f"{call.name} was given no tensor as {names[0]}")


def squash_before(scene: Scene, call: Call) -> Call | None:
    """The softmax, sigmoid, tanh or relu whose output is what the loss is given, if one is."""
    output = output_of(call)
    before = scene.calls[: _place(scene, call)]
    squashes = [one for one in before if one.name in SQUASHES and not one.raised]
    return next((one for one in reversed(squashes) if is_same(one.output, output)), None)


def _place(scene: Scene, call: Call) -> int:
    return next(place for place, one in enumerate(scene.calls) if one is call)


def is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers: a view, a reshaped or a converted copy."""
    if one.numel() != other.numel():
        return False
    if one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr():
        return True
    return bool(torch.equal(one.reshape(-1).float(), other.reshape(-1).float()))


def class_dim(output: Tensor) -> int:
    """The dimension of a loss over classes that counts the classes."""
    return 1 if output.dim() > 1 else 0


def ignored(call: Call) -> int:
    """The target that a loss over classes leaves out."""
    index = call["ignore_index"]
    return -100 if index is None else int(index)


def indices(call: Call) -> Tensor:
    """The class indices of a loss over classes that are not left out; empty for other targets."""
    target = target_of(call)
    if target.is_floating_point() or target.is_complex():
        return torch.empty(0, dtype=torch.long)
    return target[target != ignored(call)]
