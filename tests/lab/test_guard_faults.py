"""The faults strike where they say, once or whenever their batch is used, whoever takes the steps."""

import math

import pytest
import torch

from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.lab.guarding.arms import GUARD
from steadytrain.lab.guarding.injection import (
    Scene,
    find_injection,
    injection,
    known_injections,
)
from steadytrain.lab.guarding.injector import Injector
from steadytrain.lab.guarding.one_run import Job, Outcome, run_job, train
from steadytrain.lab.guarding.plan import FULL, jobs_of
from steadytrain.lab.guarding.tables import claims, passed, tables
from steadytrain.lab.guarding.workloads import BUILDERS, build, distance

KINDS = known_injections()
STEPS = 8


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def job(kind, arm=GUARD, workload="BatchNorm CNN", steps=STEPS):
    return Job(workload=workload, kind=kind, arm=arm, seed=0, steps=steps)


def scene():
    """A weight, its moments, a buffer and a rate."""
    torch.manual_seed(0)
    return Scene(
        parameters=[torch.randn(6, requires_grad=True)],
        moments=[{"exp_avg": torch.randn(6), "exp_avg_sq": torch.rand(6) + 0.1}],
        buffers=[torch.ones(4)],
        averages=[torch.ones(6)],
        groups=[{"lr": 0.1}],
        generator=random(),
    )


def numbers(value):
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return value.detach().flatten().tolist() if isinstance(value, torch.Tensor) else [value]


def held(found):
    parts = (found.parameters, found.moments, found.buffers, found.averages, found.groups)
    return [repr(number) for part in parts for number in numbers(part)]


def test_there_are_at_least_forty_kinds_on_five_workloads():
    assert len(KINDS) >= 40
    assert len(BUILDERS) == 5
    assert len({job.workload for job in jobs_of(FULL)}) == 5


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_says_what_it_is_and_changes_something(name):
    kind = KINDS[name]
    assert kind.summary.endswith(".")
    if kind.at == "rest":
        found = scene()
        kind.strike(found)
        assert held(found) != held(scene())
        return
    torch.manual_seed(1)
    tensor = torch.randn(4, 3)
    if kind.at == "gradient":
        before = tensor.clone()
        kind.strike([tensor], random())
        assert not torch.equal(tensor, before)
        return
    inputs = (tensor.mean() if kind.at == "loss" else tensor).requires_grad_()
    struck = kind.strike(inputs, random())
    (gradient,) = torch.autograd.grad(struck.sum(), inputs)
    is_changed = not torch.equal(struck, inputs) or not gradient.isfinite().all()
    assert is_changed
    assert struck.shape == inputs.shape


def test_an_unknown_kind_is_refused_with_its_neighbours():
    with pytest.raises(UnknownNameError, match="nan-weight"):
        find_injection("nan_weight")


def test_a_file_that_does_not_say_what_it_injects_is_refused():
    with pytest.raises(UsageError, match="no docstring"):
        injection("lab.injections.odd", None, at="loss", strike=lambda loss, _: loss)


@pytest.mark.parametrize("workload", sorted(BUILDERS))
def test_a_workload_is_the_same_bits_again_and_its_entrance_lets_a_fault_in(workload):
    first, again = build(workload, 3, STEPS), build(workload, 3, STEPS)
    pairs = zip(first.everything(), again.everything(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert 0 <= first.cost() < math.inf
    injector = Injector(first, KINDS["nan-in-every-sample"], begin=0, seed=0)
    turn = first.turns[0]
    injector.begin_batch(0)
    assert turn.loss_fn(first.batches[0]).isnan()
    injector.begin_batch(1)
    assert turn.loss_fn(first.batches[1]).isfinite()


@pytest.mark.parametrize("kind", ["one-nan-gradient", "nan-activation"])
def test_what_strikes_once_does_not_come_again_with_the_same_batch(kind):
    workload = build("LSTM", 0, STEPS)
    injector = Injector(workload, KINDS[kind], begin=2, seed=0)
    finite = []
    for place in (1, 2, 2, 3):
        injector.begin_batch(place)
        turn = workload.turns[0]
        turn.optimizer.zero_grad()
        injector.loss(turn.loss_fn(workload.batches[place]), turn).backward()
        finite.append(all(p.grad.isfinite().all() for p in workload.model.parameters()))
    assert finite == [True, False, True, True]


def test_no_hook_is_left():
    workload = build("LSTM", 0, STEPS)
    Injector(workload, KINDS["nan-activation"], begin=0, seed=0).detach()
    assert not any(module._forward_hooks for module in workload.model.modules())


@pytest.mark.parametrize(
    "kind",
    [
        "nan-in-one-sample",
        "nan-running-statistic",
        pytest.param("nan-loss", marks=pytest.mark.slow),
        pytest.param("one-nan-gradient", marks=pytest.mark.slow),
    ],
)
def test_the_guard_ends_as_without_the_fault_where_a_clip_does_not(kind):
    assert run_job(job(kind, arm="clip_grad_norm_")).is_finite is False
    outcome = run_job(job(kind))
    assert outcome.is_finite
    assert outcome.has_ended
    assert outcome.events


def test_the_guard_without_a_fault_is_the_clipped_loop_to_the_bit():
    ends = [train(job("", arm), STEPS, (), None) for arm in ("clip_grad_norm_", GUARD)]
    assert ends[0].cost == ends[1].cost
    assert ends[1].events == ()


def test_the_distance_of_points_is_zero_only_for_the_same_places():
    points = torch.randn(200, 2, generator=random())
    assert distance(points, points) < 1e-3
    assert distance(points + 3, points) > 1


def outcome(arm, **fields):
    made = {"cost": 1.0, "reference": 1.0, "is_finite": True, "has_ended": True}
    made |= {"extra_fraction": 0.0, "events": (("skip", 1),)} | fields
    return Outcome(job=job("nan-loss", arm), **made)


@pytest.mark.parametrize(
    "fields",
    [
        {"cost": 1.06},
        {"cost": math.inf},
        {"is_finite": False},
        {"has_ended": False},
        {"extra_fraction": 0.03},
    ],
)
def test_a_run_that_falls_short_in_one_way_does_not_pass(fields):
    runs = [outcome(GUARD), outcome(GUARD, **fields)]
    assert [one.has_passed for one in runs] == [True, False]
    assert passed(runs) == "1 of 2"
    assert claims(runs)[-1].verdict == "contradicted"
    assert len(tables(runs)[-1].rows) == 1
