"""Schedules are clamped, start between zero and the peak, and never rise after it."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.core.errors import UsageError
from steadytrain.optim import warmup_cosine, warmup_linear, warmup_stable_decay

FACTORIES = [warmup_cosine, warmup_linear, warmup_stable_decay]
factories = st.sampled_from(FACTORIES)
warmups = st.integers(1, 300)
lengths = st.integers(1, 2000)
ratios = st.floats(0, 1)


@settings(deadline=None)
@given(factories, warmups, lengths, ratios)
def test_the_first_step_is_above_zero_and_below_the_peak(make, warmup, length, ratio):
    schedule = make(warmup_steps=warmup, total_steps=warmup + length, min_ratio=ratio)
    assert 0 < schedule(0) < 1
    assert schedule(warmup) == 1


@settings(deadline=None)
@given(factories, warmups, lengths, ratios)
def test_the_rate_rises_to_the_peak_and_never_after_it(make, warmup, length, ratio):
    schedule = make(warmup_steps=warmup, total_steps=warmup + length, min_ratio=ratio)
    rates = [schedule(step) for step in range(warmup + length + 50)]
    assert all(a < b for a, b in pairwise(rates[: warmup + 1]))
    assert all(a >= b for a, b in pairwise(rates[warmup:]))


@settings(deadline=None)
@given(factories, warmups, lengths, ratios, st.integers(0, 10**12))
def test_the_end_is_the_floor_for_ever(make, warmup, length, ratio, later):
    schedule = make(warmup_steps=warmup, total_steps=warmup + length, min_ratio=ratio)
    assert schedule(warmup + length + later) == ratio


@pytest.mark.parametrize("make", FACTORIES)
def test_without_warmup_the_first_step_is_the_peak(make):
    assert make(warmup_steps=0, total_steps=10)(0) == 1


def test_stable_decay_holds_the_peak_until_the_last_fifth():
    schedule = warmup_stable_decay(warmup_steps=10, total_steps=100)
    assert [schedule(step) for step in range(10, 81)] == [1.0] * 71
    assert schedule(81) < 1


def test_a_step_before_the_first_is_the_first():
    schedule = warmup_cosine(warmup_steps=4, total_steps=9)
    assert schedule(-1) == schedule(0)


@pytest.mark.parametrize("make", FACTORIES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"warmup_steps": -1},
        {"warmup_steps": 2.5},
        {"total_steps": True},
        {"total_steps": 10},
        {"min_ratio": 1.5},
        {"min_ratio": float("nan")},
    ],
)
def test_refuses_numbers_that_make_no_schedule(make, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        make(**{"warmup_steps": 10, "total_steps": 100} | wrong)


@pytest.mark.parametrize("wrong", [{"decay_steps": 95}, {"decay_steps": 0}, {"decay": "cubic"}])
def test_refuses_a_decay_that_does_not_fit(wrong):
    with pytest.raises(UsageError, match="decay"):
        warmup_stable_decay(warmup_steps=10, total_steps=100, **wrong)


def lambda_lr(schedule, rates=(0.1, 0.01)):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)


def test_every_group_keeps_its_own_base_rate():
    optimizer, scheduler = lambda_lr(warmup_cosine(warmup_steps=3, total_steps=9))
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]


def test_the_schedule_is_saved_in_the_schedulers_state():
    _, scheduler = lambda_lr(warmup_linear(warmup_steps=3, total_steps=9, min_ratio=0.25))
    _, other = lambda_lr(warmup_linear(warmup_steps=1, total_steps=2))
    other.load_state_dict(scheduler.state_dict())
    assert other.lr_lambdas[0](9) == 0.25
    assert other.lr_lambdas[0](0) == 0.25
