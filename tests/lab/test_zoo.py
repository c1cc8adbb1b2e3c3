"""The zoo's programs are healthy, and the same case is the same program."""

import pytest
import torch

import steadytrain as st
from steadytrain.core.errors import SteadytrainError
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, parts_of


def weights(program):
    return torch.cat([param.detach().flatten() for param in program.model.parameters()])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_case_is_the_same_program_and_another_seed_is_not(architecture):
    before = torch.get_rng_state()
    one, same, other = (
        weights(parts_of(Case(architecture=architecture, seed=seed)).program())
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert one.shape != other.shape or not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_healthy_program_learns_and_nothing_is_found(architecture):
    parts = parts_of(Case(architecture=architecture, seed=3))
    run = st.train(parts.program(), steps=parts.steps, progress=False)
    losses = run.history.series("loss")
    if architecture not in ("gan", "actor-critic"):
        assert losses[-10:].mean() < 0.9 * losses[:5].mean()
    assert [one.rule for one in run.findings() if one.severity > st.Severity.NOTE] == []


def test_an_unknown_architecture_is_named_with_the_known_ones():
    with pytest.raises(SteadytrainError, match=r"unknown architecture 'mpl'.*mlp"):
        Case(architecture="mpl")
