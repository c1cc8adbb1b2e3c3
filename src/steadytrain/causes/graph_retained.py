"""Old graphs are kept, so memory grows from step to step.

## What it is
Old graphs are kept: a state carried with its history, losses added up with their graphs.

## How it shows
Memory and the time of a step grow from step to step until the run ends.

## What proves it
Training comes back with one of these alone, and not with another seed: carried state detached, no
graph retained.

## What refutes it
If detached state needs as much memory, something else is kept. Against it speaks a run that comes
back with: learning rate x 1/10.

## The fix
Detach what is carried over (state = state.detach()), keep loss.item() or loss.detach() for
logging, and remove retain_graph=True.

## Source
torch FAQ: my model reports out of memory; don't accumulate history across your training loop.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "memory-growth": 1.0,
        "graph-retained": 1.0,
        "retained-loss": 1.0,
        "retain-graph-in-loop": 0.7,
    },
    proofs=("detach-state",),
    refutations=("lr-tenth",),
    fix=(
        "Detach what is carried over (state = state.detach()), keep loss.item() or "
        "loss.detach() for logging, and remove retain_graph=True."
    ),
)
