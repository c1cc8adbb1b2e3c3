"""The contract of every planted fault and every control, over all that are found."""

import pytest
import torch

import steadytrain as st
from steadytrain.core.errors import SteadytrainError
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import fault, known_controls, known_faults

FAULTS, CONTROLS = known_faults(), known_controls()


def cases(known):
    """Every one on its first architecture; on the others among the slow tests."""
    return [
        pytest.param(name, architecture, marks=pytest.mark.slow if place else ())
        for name, one in known.items()
        for place, architecture in enumerate(one.on)
    ]


CASES, SETTINGS = cases(FAULTS), cases(CONTROLS)


def trained(program, steps):
    torch.manual_seed(0)
    return st.train(program, steps=steps, progress=False)


def digest(program):
    return [value.detach().clone() for value in program.model.state_dict().values()]


def differ(one, other):
    return len(one) != len(other) or any(
        a.shape != b.shape or not torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in zip(one, other, strict=False)
    )


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_a_fault_changes_what_training_does_and_its_twin_stays_finite(name, architecture):
    one, case = FAULTS[name], Case(architecture=architecture, seed=1)
    steps = min(one.onset + 6, one.steps)
    faulty, twin = one.program(case), one.twin(case)
    trained(faulty, steps), trained(twin, steps)
    assert all(torch.isfinite(value).all() for value in digest(twin))
    costs_memory_only = one.cause == "graph-retained"
    assert "training" not in one.seen or costs_memory_only or differ(digest(faulty), digest(twin))


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_the_place_of_a_fault_is_a_path_of_the_program(name, architecture):
    one, case = FAULTS[name], Case(architecture=architecture, seed=1)
    model = one.program(case).model
    paths = {path for path, _ in model.named_modules()} | {p for p, _ in model.named_parameters()}
    assert set(one.places(case)) <= paths


@pytest.mark.parametrize(("name", "architecture"), SETTINGS)
def test_a_control_trains_and_stays_finite(name, architecture):
    program = CONTROLS[name].program(Case(architecture=architecture, seed=1))
    run = trained(program, 8)
    assert all(torch.isfinite(value).all() for value in digest(program))
    assert (
        run.history.step >= 3
    )  # optimizers that take turns share a row, several steps write several


def test_a_fault_of_an_unknown_cause_is_refused():
    doc = "It breaks.\n\n## What is wrong\nx\n\n## Remedy\nx\n\n## Source\nx"
    with pytest.raises(SteadytrainError, match="root cause 'bad-luck'"):
        fault("lab.faults.bad_luck", doc, cause="bad-luck", on=("mlp",), plant=lambda parts: None)


def test_a_fault_without_a_remedy_is_refused():
    doc = "It breaks.\n\n## What is wrong\nx\n\n## Source\nx"
    with pytest.raises(SteadytrainError, match="no section Remedy"):
        fault("lab.faults.x", doc, cause="lr-too-high", on=("mlp",), plant=lambda parts: None)
