"""Nothing that a person must change.

## What it is
Nothing that a person must change was found.

## How it shows
The loss falls, gradients and updates keep their size, nothing is non-finite.

## What proves it
No trial can: there is nothing to restore.

## What refutes it
Any change that makes the run better by more than the noise between seeds says otherwise.

## The fix
Nothing to do; look at the validation and decide when it is good enough.

## Source
The statement is that of the observed run and of its repetitions under other seeds.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={},
    proofs=(),
    fix="Nothing to do; look at the validation and decide when it is good enough.",
    unprovable="there is nothing to restore",
)
