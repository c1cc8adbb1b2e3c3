"""From measured blocks to figures: every number of the table, on blocks made by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.overhead.footprint import (
    Disk,
    Growth,
    Held,
    disk_use,
    full_history_bytes,
    live_tensor_bytes,
)
from benchmarks.overhead.monitors import BareAgain, ItemPerParameter, Monitor
from benchmarks.overhead.peers import Absence
from benchmarks.overhead.ratios import Spread, overheads, passes_gate
from benchmarks.overhead.scaling import TensorCost, fitted_microseconds
from benchmarks.overhead.table import Measured, Results, markdown
from benchmarks.overhead.timing import Block, make_arms
from benchmarks.overhead.workloads import many_tensors

from steadytrain.core.history import DEFAULT_CAPACITY, History


def block(*steps, cpu=1.0):
    return Block(steps=steps, wall=sum(steps), cpu=cpu * len(steps))


@pytest.fixture
def arms(tmp_path):
    kinds = (Monitor, BareAgain, ItemPerParameter)
    made = make_arms(many_tensors(2), kinds, seed=0, device="cpu", fused=False, folder=tmp_path)
    made[0].blocks = [block(1.0, 1.0), block(2.0, 2.0)]
    made[1].blocks = [block(1.0, 1.0), block(2.0, 2.0)]
    made[2].blocks = [block(1.0, 1.0, 4.0), block(2.0, 2.0, 8.0)]
    return made


def test_ratios_are_taken_within_a_round(arms):
    _, watched = overheads(arms)
    assert watched.median_step.median == 1.0
    assert watched.mean_step.median == 2.0


def test_added_time_is_that_of_the_mean_step(arms):
    _, watched = overheads(arms)
    assert watched.added_seconds.median == pytest.approx((1.0 + 2.0) / 2)


def test_the_second_bare_arm_is_compared_with_the_first_alone(arms):
    arms[1].blocks = [block(1.2, 1.2), block(2.4, 2.4)]
    again, watched = overheads(arms)
    assert again.mean_step.median == pytest.approx(1.2)
    assert watched.mean_step.median == pytest.approx((2.0 + 2.0 / 1.2) / 2)  # each bare arm counts


def test_weights_are_not_compared_where_the_arm_took_fewer_steps(arms):
    arms[2].num_steps = 1
    assert overheads(arms)[1].trains_the_same is None


def test_different_weights_are_told(arms):
    with torch.no_grad():
        next(arms[2].monitor.model.parameters()).add_(1.0)
    assert overheads(arms)[1].trains_the_same is False


@pytest.mark.parametrize(
    ("ratio", "passes"), [(0.92, False), (0.94, True), (1.06, True), (1.08, False)]
)
def test_a_run_counts_only_if_the_bare_arms_agree(arms, ratio, passes):
    again = replace(overheads(arms)[0], mean_step=Spread(ratio, ratio, ratio))
    assert passes_gate(again) is passes


def test_a_gate_is_not_passed_by_nan(arms):
    nan = float("nan")
    assert not passes_gate(replace(overheads(arms)[0], mean_step=Spread(nan, nan, nan)))


def test_a_linear_cost_is_fitted_as_linear():
    costs = [
        TensorCost(count, Spread.of([20e-6 * count]), Spread.of([1.1]))
        for count in (100, 1000, 10_000)
    ]
    slope, exponent = fitted_microseconds(costs)
    assert slope == pytest.approx(20.0)
    assert exponent == pytest.approx(1.0)


def test_live_tensors_are_counted_once_however_many_views_they_have():
    before = live_tensor_bytes()
    tensor = torch.zeros(1000)
    views = [tensor[:10], tensor.view(10, 100)]
    assert live_tensor_bytes() - before == 4000
    assert len(views) == 2


def test_a_full_history_holds_at_least_its_capacity_of_rows():
    period = History({"parameter": ["a", "b"]})
    for step in range(10):
        period.append(step, "grad_norm", [1.0, 2.0])
    assert full_history_bytes(period) >= DEFAULT_CAPACITY * 2 * 4


def test_the_run_directory_stays_below_its_bound_however_much_is_recorded(tmp_path):
    disk = disk_use(steps=1500, sites=50, max_bytes=256 << 10, seed=0, folder=tmp_path)
    assert disk.given_bytes > 4 * disk.max_bytes
    assert disk.num_dropped_rows == 0
    assert 0 < disk.final_bytes <= disk.largest_bytes <= disk.max_bytes


def test_the_page_shows_every_monitor_every_absence_and_the_command(arms):
    measured = Measured.of(many_tensors(2), arms, 2, overheads(arms), 1)
    results = Results(
        command="python -m benchmarks.overhead --seed 7",
        seed=7,
        device="cpu",
        monitors=(Monitor, BareAgain, ItemPerParameter),
        absent=(Absence("peer", "ImportError: not here"),),
        measured=(measured,),
        growth=Growth((10, 20, 30, 40), (1e8, 1e8, 1e8, 1e8)),
    )
    page = markdown(results)
    assert "python -m benchmarks.overhead --seed 7" in page
    assert "| .item() per parameter | 1.000 [1.000, 1.000] | 2.000 [2.000, 2.000] |" in page
    assert "peer: ImportError: not here" in page


def test_the_page_shows_what_the_watch_holds_and_leaves():
    one = Spread.of([1.0])
    results = Results(
        command="x",
        seed=0,
        device="cpu",
        monitors=(),
        absent=(),
        measured=(),
        costs=tuple(TensorCost(n, Spread.of([12e-6 * n]), one) for n in (100, 1000)),
        held=(
            Held(
                title="a model",
                num_tensors=4,
                model_bytes=100 << 20,
                tensor_bytes=2 << 20,
                history_bytes=3 << 20,
            ),
        ),
        growth=Growth((10, 20, 30, 40), (1e8, 1e8, 1e8 + 50, 1e8 + 100)),
        disk=Disk(
            steps=10,
            sites=4,
            max_bytes=8 << 20,
            given_bytes=40 << 20,
            largest_bytes=7 << 20,
            final_bytes=6 << 20,
            num_dropped_rows=5,
        ),
    )
    page = markdown(results)
    assert "Fitted: 12.0 microseconds per tensor" in page
    assert "| a model | 4 | 100.0 | 2.0 | 2.0% | 3.0 |" in page
    assert "grows by 5.0 bytes per step" in page
    assert "Rows dropped: 5" in page


def test_the_page_says_when_the_bare_arms_disagree(arms):
    arms[1].blocks = [block(2.0, 2.0), block(4.0, 4.0)]
    measured = Measured.of(many_tensors(2), arms, 2, overheads(arms), 2)
    results = Results(
        command="x", seed=0, device="cpu", monitors=(), absent=(), measured=(measured,)
    )
    assert "The two bare arms disagree" in markdown(results)
    assert np.isfinite(measured.bare_seconds.median)
