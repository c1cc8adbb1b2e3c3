"""A reset optimizer is a new one, and moments that stop a tensor are named."""

import math

import pytest
import torch
from torch import nn

from steadytrain.core.errors import UsageError
from steadytrain.optim import check_moments, reset_moments

OPTIMIZERS = {
    "Adadelta": {},
    "Adafactor": {},
    "Adagrad": {"initial_accumulator_value": 0.5},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "ASGD": {},
    "NAdam": {},
    "RAdam": {},
    "RMSprop": {"centered": True, "momentum": 0.9},
    "Rprop": {},
    "SGD": {"momentum": 0.9},
}


def made(name, params, **options):
    return getattr(torch.optim, name)(params, **{"lr": 0.01} | OPTIMIZERS[name] | options)


def step(optimizer, parameter, value):
    parameter.grad = torch.full_like(parameter, value)
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_reset_optimizer_steps_like_a_new_one(name):
    old, new = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(3, 2))
    optimizer = made(name, [old])
    for value in (5.0, -3.0, 100.0):
        step(optimizer, old, value)
    assert reset_moments(optimizer) == 1
    with torch.no_grad():
        old.fill_(1)
    fresh = made(name, [new])
    for value in (1.0, 2.0):
        step(optimizer, old, value)
        step(fresh, new, value)
        assert torch.equal(old, new)


def test_fresh_moments_under_an_old_step_count_would_step_too_far():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=1.0)
    for _ in range(5000):
        step(optimizer, weight, 1.0)
    optimizer.state[weight]["exp_avg"].zero_()
    optimizer.state[weight]["exp_avg_sq"].zero_()
    before = weight.item()
    step(optimizer, weight, 1.0)
    assert before - weight.item() > 3
    reset_moments(optimizer)
    before = weight.item()
    step(optimizer, weight, 1.0)
    assert before - weight.item() == pytest.approx(1.0, rel=1e-3)


def test_only_the_chosen_parameters_forget():
    kept, reset = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([kept, reset])
    for one in (kept, reset):
        one.grad = torch.ones(1)
    optimizer.step()
    assert reset_moments(optimizer, [reset]) == 1
    assert optimizer.state[kept]["exp_avg"].item() == pytest.approx(0.1)
    assert optimizer.state[reset]["exp_avg"].item() == 0


def test_known_state_is_overwritten_in_place_for_captured_graphs():
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight])
    step(optimizer, weight, 1.0)
    before = optimizer.state[weight]["exp_avg_sq"]
    reset_moments(optimizer)
    assert optimizer.state[weight]["exp_avg_sq"] is before


def test_an_optimizer_that_never_stepped_has_nothing_to_forget():
    assert reset_moments(torch.optim.AdamW([nn.Parameter(torch.ones(1))])) == 0


def test_a_step_count_by_group_starts_again():
    optimi = pytest.importorskip("optimi")
    old, new = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer, fresh = (optimi.AdamW([one], lr=0.1, triton=False) for one in (old, new))
    for value in (5.0, -3.0):
        step(optimizer, old, value)
    reset_moments(optimizer)
    with torch.no_grad():
        old.fill_(1)
    step(optimizer, old, 1.0)
    step(fresh, new, 1.0)
    assert torch.equal(old, new)


@pytest.mark.parametrize("wrong", [[], iter(()), [nn.Parameter(torch.ones(1))]])
def test_refuses_parameters_it_does_not_have(wrong):
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(1))])
    with pytest.raises(UsageError, match="expected parameters of the optimizer"):
        reset_moments(optimizer, wrong)


def moment_after(gradients, **options):
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.AdamW([weight], **options)
    for value in gradients:
        step(optimizer, weight, value)
    (row,) = check_moments(optimizer).rows
    return row


def test_one_finite_huge_gradient_freezes_a_tensor_without_any_nan():
    weight = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.0)
    step(optimizer, weight, 1e30)
    frozen = weight.detach().clone()
    for _ in range(50):
        step(optimizer, weight, 1.0)
    assert torch.equal(weight, frozen)
    assert torch.isfinite(weight).all()
    (row,) = check_moments(optimizer).problems
    assert row.verdict == "nonfinite"
    reset_moments(optimizer, [weight])
    step(optimizer, weight, 1.0)
    assert (weight < frozen).all()


def test_a_spike_that_is_over_still_shortens_the_steps():
    assert moment_after([1.0] * 20).verdict == "ok"
    assert moment_after([1e6] + [1.0] * 200).verdict == "stale"


@pytest.mark.parametrize(
    ("gradient", "verdict"), [(1.1e-7, "ok"), (0.9e-7, "eps"), (0.0, "unused")]
)
def test_epsilon_is_weighed_against_the_gradient(gradient, verdict):
    assert moment_after([gradient] * 3, eps=1e-8).verdict == verdict


def test_noise_alone_is_not_stale():
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.zeros(100))
    optimizer = torch.optim.AdamW([weight])
    for _ in range(300):
        weight.grad = torch.randn(100, generator=generator)
        optimizer.step()
    (row,) = check_moments(optimizer).rows
    assert row.verdict == "ok"
    assert row.update == pytest.approx(math.sqrt(0.1 / 1.9), rel=0.3)


def test_names_come_from_the_model_and_problems_are_printed():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    step(optimizer, model.weight, 1.0)
    step(optimizer, model.bias, 1e30)
    text = str(check_moments(optimizer, model))
    assert text.startswith("2 parameters with moments, 1 of them not:\nbias: nonfinite")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64, torch.float64])
def test_moments_of_other_dtypes_are_checked(dtype):
    weight = nn.Parameter(torch.ones(3, dtype=dtype))
    optimizer = torch.optim.AdamW([weight])
    step(optimizer, weight, 1.0)
    assert check_moments(optimizer).rows[0].verdict == "ok"


def test_an_optimizer_without_second_moments_has_no_rows():
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    step(optimizer, weight, 1.0)
    assert check_moments(optimizer).rows == ()
