"""Where a recipe begins: the rate for a batch size, the warm-up for a length, the precision."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch

from steadytrain.blocks.norm_choice import norm_for
from steadytrain.core.program import Precision
from steadytrain.recipes._settings import (
    ScheduleName,
    ScheduleSettings,
    check_count,
    check_name,
)

PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]


def adaptive_rate(lr: float, at_batch: int, batch_size: int) -> float:
    """A rate of Adam's family that was published for `at_batch`, for another batch size.

    Formula: lr * sqrt(batch_size / at_batch).
    Source: Malladi et al. 2022 (On the SDEs and Scaling Rules for Adaptive Gradient Algorithms).

    Example:
        >>> adaptive_rate(4e-3, 4096, 256)
        0.001
    """
    check_count("batch_size", batch_size, remedy="items per optimizer step on one device")
    return lr * math.sqrt(batch_size / at_batch)


def sgd_rate(lr: float, at_batch: int, batch_size: int) -> float:
    """A rate of SGD that was published for `at_batch`, for another batch size.

    Formula: lr * batch_size / at_batch.
    Source: Goyal et al. 2017 (Accurate, Large Minibatch SGD), section 2.1.

    Example:
        >>> sgd_rate(0.1, 256, 512)
        0.2
    """
    check_count("batch_size", batch_size, remedy="items per optimizer step on one device")
    return lr * batch_size / at_batch


def warmed_up(
    name: ScheduleName, total_steps: int, *, share: float, min_ratio: float = 0.0
) -> ScheduleSettings:
    """A schedule that warms up over a share of the run: over a step at least, or not at all."""
    check_count("total_steps", total_steps, remedy="optimizer steps of the whole run")
    wanted = max(1, round(share * total_steps)) if share > 0.0 else 0
    warmup_steps = min(wanted, total_steps - 1)
    return ScheduleSettings(
        name=name, warmup_steps=warmup_steps, total_steps=total_steps, min_ratio=min_ratio
    )


def chosen_norm(architecture: str, batch_size: int, accumulate: int) -> tuple[str, str]:
    """Which norm, where, and why: `blocks.norm_for` of one microbatch."""
    for name, value in (("batch_size", batch_size), ("accumulate", accumulate)):
        check_count(name, value, remedy="items per optimizer step, and the parts they come in")
    choice = norm_for(architecture, max(1, batch_size // accumulate), verbose=False)
    return f"{choice.kind} norm, {choice.site}", choice.why


def chosen_precision(choice: PrecisionChoice) -> tuple[Precision, str]:
    """The precision and why: bf16 where a CUDA device has it, fp32 elsewhere.

    Raises:
        UnknownNameError: `choice` is no precision.
    """
    check_name("precision", choice, get_args(PrecisionChoice))
    if choice != "auto":
        return choice, "as asked"
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", "the device has it, and it needs no loss scale"
    return "fp32", "no CUDA device with bf16 is here"
