"""Schedules that people use, and those that nobody means."""

import math

import numpy as np
import pytest
import torch
from preflight_programs import answer, classifier
from torch.optim import lr_scheduler as schedulers

from steadytrain.checks._schedule_shape import ENDLESS, oddities

EPOCH = 40

USUAL = {
    "constant": lambda t: 1.0,
    "linear to zero": lambda t: max(0.0, 1 - t / 100),
    "cosine to zero": lambda t: 0.5 * (1 + math.cos(math.pi * min(t, 30) / 30)),
    "one long cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t / 300)),
    "warmup and inverse root": lambda t: min((t + 1) / 20, math.sqrt(20 / (t + 1))),
    "warm restarts": lambda t: 0.5 * (1 + math.cos(math.pi * (t % 50) / 50)),
    "staircase per epoch": lambda t: 0.1 ** (t // EPOCH),
    "exponential per epoch": lambda t: 0.8 ** (t // EPOCH),
    "triangles": lambda t: 0.25 + 0.75 * abs((t % 40) / 20 - 1),
    "constant warmup": lambda t: 0.1 if t < 20 else 1.0,
    "warmup from zero": lambda t: min(1.0, t / 50),
    "cut by ten": lambda t: 1.0 if t < 30 else 0.1,
}

MEANT_BY_NOBODY = {
    "gone": lambda t: 0.7**t,
    "gone ": lambda t: 0.1 ** (t // 10),
    "cosine-again": lambda t: 0.5 * (1 + math.cos(math.pi * t / 10)),
    "repeated-ramp": lambda t: ((t % EPOCH + 1) / EPOCH) ** 2,
    "drop": lambda t: 300.0 if t < 10 else 1.0,
    "jump": lambda t: 50.0 if t >= 100 else 1.0,
    "invalid": lambda t: 1 - t / 100,
}


def found(factor, *, steps=200, epoch=EPOCH):
    rates = np.array([1e-3 * factor(step) for step in range(steps)])
    return [odd.kind for odd in oddities(rates, 1e-3, epoch)]


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_schedule_has_nothing_odd(name):
    assert found(USUAL[name]) == []


@pytest.mark.parametrize("name", MEANT_BY_NOBODY)
def test_a_schedule_that_nobody_means_is_named(name):
    assert found(MEANT_BY_NOBODY[name]) == [name.strip()]


def test_a_warmup_that_does_not_end_within_ten_thousand_steps_is_named():
    assert found(lambda t: min(1.0, (t + 1) / 40_000), steps=ENDLESS) == ["endless-warmup"]
    assert found(lambda t: min(1.0, (t + 1) / 10_000), steps=ENDLESS) == []
    assert found(lambda t: min(1.0, (t + 1) / 40_000), steps=ENDLESS, epoch=None) == []


def test_decay_by_factors_is_judged_against_the_pass_over_the_data():
    assert found(lambda t: 0.9**t, epoch=70) == ["gone"]
    assert found(lambda t: 0.9**t, epoch=60) == []
    assert found(lambda t: 0.1 ** (t // 10), epoch=20) == []


def test_decay_by_factors_that_is_over_in_fifty_steps_is_named_for_any_data():
    assert found(lambda t: 0.8**t, epoch=None) == ["gone"]
    assert found(lambda t: 0.8**t, epoch=5) == ["gone"]
    assert found(lambda t: 0.9**t, epoch=None) == []


def scheduled(make, **fields):
    program = classifier(batches=EPOCH, size=8, **fields)
    program.scheduler = make(program.optimizer)
    return answer(program, "schedule-over-the-run")


def test_a_scheduler_is_stepped_on_a_copy():
    said = scheduled(lambda own: schedulers.ExponentialLR(own, gamma=0.7))
    assert said.verdict == "failed"
    assert said.findings[0].evidence["kind"] == "gone"


def test_schedulers_that_end_or_wait_for_a_metric_are_no_error():
    cycle = scheduled(lambda own: schedulers.OneCycleLR(own, max_lr=0.1, total_steps=50))
    assert cycle.verdict == "passed"
    waiting = scheduled(schedulers.ReduceLROnPlateau)
    assert waiting.verdict == "not-applicable"


def test_a_scheduler_that_the_loop_steps_per_epoch_is_not_judged_per_step():
    def step(program, batch):
        return torch.tensor(1.0)

    said = scheduled(lambda own: schedulers.ExponentialLR(own, gamma=0.7), step_fn=step)
    assert said.verdict == "not-applicable"
