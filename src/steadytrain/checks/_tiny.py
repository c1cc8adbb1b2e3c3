"""One tiny batch: its samples, the best answer without inputs, and what stays silent on it."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.checks._batches import num_samples, take
from steadytrain.checks._losses import class_dim, indices, output_of, target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call, FirstStep

_LEAST_ENTROPY: Final = 0.3
"""Nats below which nearly all labels of the tiny batch are the same."""


def tiny(scene: Scene, size: int) -> Any:
    """The first samples of the first batch, at most `size`; all of it where it cannot be cut."""
    batch = scene.batch()
    there = num_samples(batch)
    if there is None or there <= size:
        return batch
    return take(batch, list(range(size)))


def without_dropout(model: nn.Module) -> None:
    """Every dropout of the model drops nothing."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase | nn.MultiheadAttention):
            module.dropout = 0.0


def best_constant(first: FirstStep) -> float | None:
    """The loss of the best answer that ignores the inputs; None where it is not known."""
    calls = [one for one in first.calls if one.name in ("cross_entropy", "mse_loss")]
    if len(calls) != 1 or not math.isclose(
        float(calls[0].output.float().mean()), first.loss, rel_tol=1e-3, abs_tol=1e-6
    ):
        return None
    call = calls[0]
    value = _entropy(call) if call.name == "cross_entropy" else _variance(target_of(call))
    least = _LEAST_ENTROPY if call.name == "cross_entropy" else 1e-12
    return value if value is not None and value > least else None


def _entropy(call: Call) -> float | None:
    """Of the labels, in nats; None for weighted, smoothed or soft ones."""
    if call["weight"] is not None or call["label_smoothing"] or call["reduction"] == "sum":
        return None
    used = indices(call)
    if not used.numel():
        return None
    classes = output_of(call).shape[class_dim(output_of(call))]
    shares = torch.bincount(used.flatten().cpu(), minlength=classes).double() / used.numel()
    return float(-(shares * shares.clamp_min(1e-12).log()).sum())


def _variance(target: Tensor) -> float | None:
    """Of the targets over the samples; None where one sample is all there is."""
    if target.dim() == 0 or len(target) < 2:
        return None
    return float(target.double().var(dim=0, unbiased=False).mean())


def speaks(one: Any) -> bool:
    """Whether a parameter gets a gradient other than zero."""
    return one.gradient is not None and one.gradient.rms > 0


def causes(first: FirstStep, silent: list[str]) -> tuple[str, ...]:
    """By what the silent parameters got: no gradient is a cut graph, one of zeros a dead unit."""
    if not silent:
        return ("vanishing-gradient", "output-activation-mismatch", "underfitting-capacity")
    is_cut = any(first.gradients[name].gradient is None for name in silent)
    if is_cut:
        return ("detached-graph", "frozen-params", "dying-relu")
    return ("dying-relu", "output-activation-mismatch", "vanishing-gradient")
