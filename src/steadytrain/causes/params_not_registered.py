"""Modules stand in a plain list or dict, where nobody finds their parameters.

## What it is
Modules or parameters stand in a plain list, tuple or dict, where nn.Module does not find them.

## How it shows
model.parameters() is shorter than the network; those layers stay at their initial weights, on the
CPU, and out of the checkpoint.

## What proves it
Training comes back with one of these alone, and not with another seed: modules in plain lists
registered.

## What refutes it
If the registered modules train and nothing improves, they were not what is missing. Against it
speaks a run that comes back with: every parameter of the model in the optimizer.

## The fix
Use nn.ModuleList, nn.ModuleDict or nn.ParameterList in place of the list or dict in the place
that was found, before the optimizer is built.

## Source
torch.nn.ModuleList.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={
        "parameters-not-registered": 1.0,
        "modules-in-plain-container": 1.0,
        "module-built-in-forward": 0.9,
    },
    proofs=("register-modules",),
    refutations=("add-params",),
    fix=(
        "Use nn.ModuleList, nn.ModuleDict or nn.ParameterList in place of the list or dict in "
        "{site}, before the optimizer is built."
    ),
)
