"""Zeroing, backward, step and schedule run in the wrong order.

## What it is
Zeroing, backward, clip, step and schedule run in the wrong order, so that gradients are lost or
checked too late.

## How it shows
Weights that do not move although steps are taken, a clip that limits nothing, a schedule that is
one step off.

## What proves it
Training comes back with one of these alone, and not with another seed: clear, backward, update:
nothing in between; the canonical training step instead of the program's own.

## What refutes it
If the canonical order changes nothing, the order was right. Against it speaks a run that comes
back with: gradients cleared before each step; every optimizer steps once per step.

## The fix
Write one step as: zero_grad, forward, backward, (unscale_), clip, step, scheduler.step; with
accumulation clear only before the first microbatch.

## Source
torch.optim, Taking an optimization step; the warning of torch.optim.lr_scheduler.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "gradients-thrown-away": 1.0,
        "clip-after-step": 0.9,
        "stale-gradients": 0.4,
        "optimizer-never-steps": 0.4,
        "misplaced-zero-grad": 1.0,
        "untrained-parameter": 0.3,
        "gradients-not-there": 0.9,
        "double-step": 0.8,
        "step-before-backward": 1.0,
    },
    proofs=("raw-gradients", "canonical-step"),
    refutations=("clear-gradients", "missing-step"),
    fix=(
        "Write one step as: zero_grad, forward, backward, (unscale_), clip, step, "
        "scheduler.step; with accumulation clear only before the first microbatch."
    ),
)
