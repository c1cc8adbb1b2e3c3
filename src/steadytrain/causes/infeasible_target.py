"""No output of the model can meet the target.

## What it is
No output of the model can meet the target: a transcript longer than its input under CTC, a value
outside the output's range.

## How it shows
An infinite or stuck loss on some samples that no setting of the optimizer brings down.

## What proves it
Training comes back with one of these alone, and not with another seed: targets that no output can
meet left out; no activation behind the last layer; the suspect batches left out.

## What refutes it
If the loss falls without those samples' batches only because there are fewer, the targets are
feasible. Against it speaks a run that comes back with: learning rate x 1/10.

## The fix
Check target lengths against output lengths before training (CTC needs one more step per repeated
character), leave out or split what is too long, and set zero_infinity=True; give the output a
range that holds all targets.

## Source
Graves et al. 2006, section 3; torch.nn.CTCLoss, zero_infinity.
"""

from __future__ import annotations

from steadytrain.core.root_cause import root_cause

CAUSE = root_cause(
    __name__,
    __doc__,
    nominations={"output-range": 0.3, "nonfinite-loss": 0.15, "unreachable-ctc-targets": 1.0},
    proofs=("feasible-targets", "no-final-activation", "drop-suspects"),
    refutations=("lr-tenth",),
    fix=(
        "Check target lengths against output lengths before training (CTC needs one more step "
        "per repeated character), leave out or split what is too long, and set "
        "zero_infinity=True; give the output a range that holds all targets."
    ),
)
