"""The change that proves a fault's cause brings its program back to where the healthy one gets."""

import math

import pytest
import torch
from changed_programs import scene_of

from steadytrain.core.root_cause import known_root_causes
from steadytrain.doctor.change import known_changes
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.training import train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Seems like `optimizer.step"),
]

PROVEN = (
    ("adam-eps-of-one", "mlp", "adam-eps-small"),
    ("backward-and-no-step", "mlp", "missing-step"),
    ("betas-swapped", "tabular", "momentum-09"),
    ("clip-to-a-trifle", "mlp", "clip-loosened"),
    ("decay-every-batch", "mlp", "constant-schedule"),
    ("decoder-forgotten", "vae", "add-params"),
    ("deep-sigmoid", "mlp", "insert-shortcuts"),
    ("detached-in-the-middle", "mlp", "reattach"),
    ("div-by-zero", "tabular", "safe-div"),
    ("double-softmax", "mlp", "no-final-activation"),
    ("equal-weights", "mlp", "initialise-apart"),
    ("exp-overflow", "mlp", "safe-exp"),
    ("fp16-underflow", "mlp", "loss-scaler"),
    ("gain-above-one", "mlp", "initialise-smaller"),
    ("group-lasso-at-zero", "mlp", "safe-sqrt"),
    ("keep-for-drop", "tabular", "less-dropout"),
    ("labels-of-the-next-image", "cnn", "realign-labels"),
    ("layers-in-a-list", "mlp", "register-modules"),
    ("loss-sign", "vae", "flip-term-2"),
    ("microbatches-summed", "mlp", "divide-by-microbatches"),
    ("missing-zero-grad", "mlp", "clear-gradients"),
    ("nan-in-a-batch", "mlp", "drop-nonfinite"),
    ("optimizer-of-a-copy", "mlp", "rebuild-optimizer"),
    ("rate-hundredfold", "mlp", "lr-hundredth"),
    ("second-moment-of-the-start", "mlp", "beta2-09"),
    ("shape-broadcast", "tabular", "shape-match"),
    ("softmax-over-the-batch", "mlp", "last-axis"),
    ("tiny-weights", "mlp", "initialise-larger"),
    ("unscale-order", "mlp", "unscale-first"),
    ("wide-sigmoids", "mlp", "initialise-unsaturated"),
)
"""Fault, architecture, and a change of those that prove its cause."""


def loss_after(program, twin, steps):
    """The twin's own loss under the program's weights after some steps."""
    torch.manual_seed(1)
    train(program, steps=steps, progress=False, watch=False)
    program.model.train()
    torch.manual_seed(1)
    losses = [float(twin.loss_fn(program.model, batch).detach()) for batch in twin.batches[:8]]
    return sum(losses) / len(losses)


@pytest.mark.parametrize(("name", "architecture", "proof"), PROVEN)
def test_the_proof_closes_most_of_the_gap_to_the_healthy_twin(name, architecture, proof):
    fault, case = known_faults()[name], Case(architecture=architecture, seed=1)
    twin, faulty = fault.twin(case), fault.program(case)
    causes = [known_root_causes()[one] for one in (fault.cause, *fault.also)]
    assert any(proof in cause.proofs for cause in causes)
    scene = scene_of(faulty, steps=fault.steps, batches=tuple(faulty.batches))
    changed = known_changes()[proof].apply(faulty.copy(), scene)
    wanted = loss_after(fault.twin(case), twin, fault.steps)
    broken = loss_after(faulty, twin, fault.steps)
    restored = loss_after(changed, twin, fault.steps)
    assert math.isfinite(restored)
    gap = broken - wanted if math.isfinite(broken) else max(1.0, wanted)
    assert restored - wanted < 0.25 * gap
