"""Every schedule keeps one contract; restarts and re-warming say where they rise."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import LambdaLR

from steadytrain.core.errors import UsageError
from steadytrain.optim import (
    Schedule,
    cosine_restarts,
    one_cycle,
    rewarm,
    warmup_constant,
    warmup_cosine,
    warmup_inverse_sqrt,
    warmup_linear,
    warmup_polynomial,
    warmup_stable_decay,
)

ENDING = [
    warmup_cosine,
    warmup_linear,
    warmup_stable_decay,
    warmup_inverse_sqrt,
    warmup_polynomial,
    one_cycle,
    cosine_restarts,
]
FALLING = [make for make in ENDING if make is not cosine_restarts]
warmups = st.integers(1, 60)
lengths = st.integers(12, 500)
ratios = st.floats(0, 1)


def lambda_lr(schedule, rates=(0.1, 0.01)):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups)
    return optimizer, LambdaLR(optimizer, schedule)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ENDING), warmups, lengths, ratios)
def test_neither_a_wasted_first_step_nor_one_at_the_full_peak(make, warmup, length, ratio):
    schedule = make(warmup_steps=warmup, total_steps=warmup + length, min_ratio=ratio)
    rates = [schedule(step) for step in range(warmup + 1)]
    assert 0 < rates[0] < 1
    assert all(a < b for a, b in pairwise(rates))
    assert rates[-1] == 1


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(FALLING), warmups, lengths, ratios)
def test_the_rate_never_rises_after_the_peak(make, warmup, length, ratio):
    schedule = make(warmup_steps=warmup, total_steps=warmup + length, min_ratio=ratio)
    rates = [schedule(step) for step in range(warmup, warmup + length + 50)]
    assert all(a >= b for a, b in pairwise(rates))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ENDING), warmups, lengths, ratios, st.integers(0, 10**12))
def test_the_rate_does_not_climb_back_when_training_goes_on(make, warmup, length, ratio, later):
    schedule = make(warmup_steps=warmup, total_steps=warmup + length, min_ratio=ratio)
    assert schedule(warmup + length + later) == ratio


def test_a_billion_steps_do_not_lose_precision_in_the_step_count():
    schedule = warmup_cosine(warmup_steps=10**6, total_steps=10**9)
    middle = (10**9 + 10**6) // 2
    assert schedule(middle) == pytest.approx(0.5, abs=1e-12)
    assert schedule(middle) > schedule(middle + 1) > schedule(middle + 2)


def test_no_milestone_starts_at_another_rate_than_its_first():
    """`SequentialLR` with a milestone at 0 starts at the wrong rate."""
    optimizer, _ = lambda_lr(warmup_stable_decay(warmup_steps=0, total_steps=10))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01]


@pytest.mark.parametrize("make", ENDING)
@pytest.mark.parametrize("wrong", [{"warmup_steps": 100}, {"warmup_steps": -1}, {"min_ratio": -1}])
def test_refuses_a_warmup_longer_than_training(make, wrong):
    with pytest.raises(UsageError, match="got"):
        make(**{"warmup_steps": 5, "total_steps": 100} | wrong)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (warmup_polynomial, {"power": 0.0}),
        (warmup_polynomial, {"power": float("nan")}),
        (warmup_inverse_sqrt, {"timescale": 0}),
        (warmup_inverse_sqrt, {"timescale": float("nan")}),
        (warmup_inverse_sqrt, {"cooldown_steps": 96}),
        (one_cycle, {"start_ratio": 0.0}),
        (one_cycle, {"start_ratio": 1.0}),
        (one_cycle, {"start_ratio": float("nan")}),
        (cosine_restarts, {"num_cycles": 0}),
        (cosine_restarts, {"num_cycles": 96}),
        (cosine_restarts, {"num_cycles": 20}),
        (cosine_restarts, {"growth": 0.5}),
        (cosine_restarts, {"growth": float("nan")}),
        (cosine_restarts, {"peak_decay": 1.5}),
    ],
)
def test_refuses_an_option_out_of_range(make, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong)).partition("_")[2] or next(iter(wrong))):
        make(warmup_steps=5, total_steps=100, **wrong)


def test_the_inverse_root_is_the_transformers_own_until_the_cooldown():
    schedule = warmup_inverse_sqrt(warmup_steps=4000, total_steps=100_000, cooldown_steps=1)
    for step in (4000, 10_000, 99_998):
        assert schedule(step) == pytest.approx((4001 / (step + 1)) ** 0.5, rel=1e-12)


def test_the_inverse_root_does_not_depend_on_the_length_of_the_run():
    short = warmup_inverse_sqrt(warmup_steps=10, total_steps=200, cooldown_steps=50)
    long = warmup_inverse_sqrt(warmup_steps=10, total_steps=900, cooldown_steps=50)
    assert [short(step) for step in range(150)] == [long(step) for step in range(150)]


def test_a_power_of_one_is_the_straight_line():
    one = warmup_polynomial(warmup_steps=3, total_steps=40, min_ratio=0.25, power=1.0)
    line = warmup_linear(warmup_steps=3, total_steps=40, min_ratio=0.25)
    assert all(one(step) == pytest.approx(line(step), rel=1e-12) for step in range(50))


def test_one_cycle_ends_where_torch_does():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=101)
    assert one_cycle(total_steps=100)(0) == pytest.approx(optimizer.param_groups[0]["lr"])
    for _ in range(100):
        optimizer.step()
        scheduler.step()
    assert one_cycle(total_steps=100)(100) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_restarts_rise_at_the_start_of_a_cycle_only():
    schedule = cosine_restarts(warmup_steps=5, total_steps=705, peak_decay=0.5)
    rates = [schedule(step) for step in range(5, 800)]
    rises = [step + 6 for step, (a, b) in enumerate(pairwise(rates)) if b > a]
    assert rises == schedule.starts[1:-1] == [105, 305]
    assert [schedule(step) for step in schedule.starts] == [1.0, 0.5, 0.25, 0.0]


def test_a_constant_rate_has_no_end():
    assert warmup_constant(warmup_steps=0)(0) == 1
    assert warmup_constant(warmup_steps=9)(10**12) == 1


@pytest.mark.parametrize("make", [*ENDING, lambda **numbers: warmup_constant(warmup_steps=5)])
def test_a_resumed_scheduler_goes_on_at_the_same_rates(make):
    schedule = make(warmup_steps=5, total_steps=60, min_ratio=0.125)
    _, scheduler = lambda_lr(schedule)
    state = scheduler.state_dict()
    assert all(isinstance(x, int | float | str) for x in state["lr_lambdas"][1].values())
    _, other = lambda_lr(type(schedule)(**vars(schedule) | {"warmup_steps": 2}))
    other.load_state_dict(state)
    assert [other.lr_lambdas[1](s) for s in range(70)] == [schedule(s) for s in range(70)]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(ENDING), st.integers(0, 120), st.integers(1, 80))
def test_rewarming_never_exceeds_the_inner_schedule(make, at_step, steps):
    inner = make(warmup_steps=5, total_steps=100)
    outer = rewarm(inner, at_step, steps)
    for step in range(150):
        inside = at_step <= step < at_step + steps
        assert outer(step) < inner(step) if inside and inner(step) else outer(step) == inner(step)
    assert outer(at_step) > 0 or inner(at_step) == 0


def test_a_second_rollback_rewarms_a_rewarmed_schedule():
    outer = rewarm(rewarm(warmup_constant(warmup_steps=0), 10, 3), 20, 1)
    assert [outer(step) for step in (9, 10, 13, 19, 20, 21)] == [1, 0.25, 1, 1, 0.5, 1]


def test_the_ramp_is_part_of_the_schedulers_checkpoint():
    _, scheduler = lambda_lr(rewarm(warmup_linear(warmup_steps=2, total_steps=50), 20, 4))
    _, other = lambda_lr(rewarm(warmup_linear(warmup_steps=9, total_steps=10), 0, 1))
    other.load_state_dict(scheduler.state_dict())
    expected = [scheduler.lr_lambdas[0](step) for step in range(60)]
    assert [other.lr_lambdas[0](step) for step in range(60)] == expected


def test_a_checkpoint_of_the_inner_schedule_leaves_the_ramp_in_place():
    inner = warmup_linear(warmup_steps=2, total_steps=50)
    _, saved = lambda_lr(inner)
    _, scheduler = lambda_lr(rewarm(inner, 20, 4))
    scheduler.load_state_dict(saved.state_dict())
    assert scheduler.lr_lambdas[0](20) == pytest.approx(inner(20) / 5)


def test_a_plain_function_can_be_rewarmed():
    assert rewarm(lambda step: 0.5, 4, 1)(4) == 0.25


@pytest.mark.parametrize(
    "wrong", [(1.0, 4, 1), (Schedule, -1, 1), (Schedule, 4, 0), (Schedule, 4, True)]
)
def test_refuses_a_ramp_that_is_none(wrong):
    with pytest.raises(UsageError, match="got"):
        rewarm(*wrong)
