"""The schedule decays at once, rises again, or counts batches as epochs.

## What it is
The schedule decays at once, rises again, or counts batches as epochs.

## How it shows
The rate is near zero after a fraction of the run, saws up and down, or never leaves its ramp; the
loss follows.

## What proves it
Training comes back with one of these alone, and not with another seed: constant learning rate
instead of the schedule; one ramp and one cosine over the run instead of the schedule.

## What refutes it
If a constant rate is no better, the schedule did not hinder. Against it speaks a run that comes
back with: learning rate x 10.

## The fix
Print scheduler.get_last_lr() over the whole run. Step it once per optimizer step with lengths in
steps, or once per epoch with lengths in epochs; T_max and total_steps are those of the whole run.

## Source
torch.optim.lr_scheduler; Loshchilov and Hutter 2017.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "implausible-schedule": 0.9,
        "schedule-over-the-run": 0.95,
        "schedule-interval": 0.9,
        "scheduler-before-optimizer-step": 0.6,
        "endless-warmup": 1.0,
    },
    proofs=("constant-schedule", "cosine-schedule"),
    refutations=("lr-times-ten",),
    fix=(
        "Print scheduler.get_last_lr() over the whole run. Step it once per optimizer step with"
        " lengths in steps, or once per epoch with lengths in epochs; T_max and total_steps are"
        " those of the whole run."
    ),
)
