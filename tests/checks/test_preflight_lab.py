"""The preflight on the programs of the fault lab: healthy ones pass, planted faults are named."""

import pytest

import steadytrain as st
from steadytrain.core.finding import Severity
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, parts_of
from steadytrain.lab.zoo.planting import known_controls, known_faults

FOUND_AT_ONCE = {
    "batch-first-forgotten": "batch-dependence",
    "class-zero-ignored": "class-zero-unlearned",
    "double-softmax": "probabilities-for-logits",
    "equal-weights": "symmetric-units",
    "future-in-sight": "looks-ahead",
    "heads-by-view": "looks-ahead",
    "labels-one-too-large": "class-zero-unlearned",
    "large-head": "initial-loss",
    "loss-input-mismatch": "loss-input",
    "loss-reduction": "summed-loss",
    "negative-biases": "silent-units",
    "output-activation-mismatch": "output-range",
    "shape-broadcast": "shape-broadcast",
    "softmax-over-the-batch": "loss-input",
    "wide-sigmoids": "silent-units",
}
"""Faults that can be seen in one step, and the check that names them."""

LOOK_ALIKES = (
    "mixup",
    "zero-projections",
    "negative-losses",
    "early-clipping",
    "siamese-pairs",
    "lbfgs",
)
"""Healthy programs that a careless check would fail."""


def alarms(program, **options):
    diagnosis = st.preflight(program, progress=False, **options)
    return [one for one in diagnosis.findings if one.severity >= Severity.WARNING]


@pytest.mark.parametrize("name", sorted(FOUND_AT_ONCE))
def test_a_planted_fault_is_found_by_its_check_and_its_twin_passes(name):
    fault = known_faults()[name]
    case = Case(architecture=fault.on[0], seed=1)
    found = alarms(fault.program(case), select=[FOUND_AT_ONCE[name]], quick=True)
    assert {fault.cause, *fault.also} & {one.causes[0] for one in found}
    assert alarms(fault.twin(case), select=[FOUND_AT_ONCE[name]], quick=True) == []


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_only_looks_suspicious_passes(name):
    control = known_controls()[name]
    program = control.program(Case(architecture=control.on[0]))
    assert alarms(program, ignore=["loop", "optimizer", "overfit"], quick=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_no_healthy_architecture_fails(architecture, seed):
    assert alarms(parts_of(Case(architecture=architecture, seed=seed)).program()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FOUND_AT_ONCE))
def test_every_architecture_of_a_fault_is_found(name):
    fault = known_faults()[name]
    for architecture in fault.on:
        found = alarms(fault.program(Case(architecture=architecture)), quick=True)
        assert FOUND_AT_ONCE[name] in {one.rule for one in found}, architecture
