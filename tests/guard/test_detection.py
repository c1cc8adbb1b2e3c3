"""What is a spike, what is a fault, and what is neither; pure numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.core.errors import UsageError
from steadytrain.guard.detect import GRADIENT_CEILING, Detector, Reading, Verdict, worst
from steadytrain.guard.detect_spike import SpikeDetector, SpikeOptions

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def fed(values, **options):
    detector = SpikeDetector(SpikeOptions(**options))
    for value in values:
        detector.accept(value)
    return detector


def alarms(values, **options):
    """How many values of a series are spikes, each judged by those before it."""
    detector, count = SpikeDetector(SpikeOptions(**options)), 0
    for value in values:
        if detector.is_spike(value):
            count += 1
        else:
            detector.accept(value)
    return count


def noise(seed=0):
    return np.random.default_rng(seed)


HEALTHY = {
    "log-normal noise": lambda n: np.exp(1.5 * noise().standard_normal(n)),
    "heavy tails": lambda n: np.abs(noise().standard_t(3, n)),
    "crossing zero": lambda n: np.linspace(2, -2, n) + 0.1 * noise().standard_normal(n),
    "negative": lambda n: -np.linspace(1, 50, n) + noise().standard_normal(n),
    "falling by five decades": lambda n: 3 * 10 ** np.linspace(0, -5, n),
    "memorised, then a hard batch": lambda n: np.where(np.arange(n) % 50 == 49, 60.0, 1e-4),
    "a level shift": lambda n: np.where(np.arange(n) < n // 2, 0.3, 9.0),
    "a growing scale": lambda n: 1e-3 * 1.3 ** np.minimum(np.arange(n), 200),
    "exactly zero": lambda n: np.zeros(n),
    "zero, then ordinary": lambda n: np.where(np.arange(n) < n // 2, 0.0, 5.0),
    "a sawtooth of restarts": lambda n: 0.1 + 2.0 * ((np.arange(n) % 100) < 10),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_series_raise_no_alarm(name):
    assert alarms(HEALTHY[name](4000)) == 0


@pytest.mark.parametrize("ratio", [3e2, 1e3, 1e6, 1e10, 1e300])
def test_a_jump_far_above_everything_is_a_spike(ratio):
    assert fed([2.0 + 0.1 * (k % 3) for k in range(60)]).is_spike(2.0 * ratio)


def test_the_limit_lies_between_usual_and_absurd():
    detector = fed([1.0 + 0.1 * (k % 3) for k in range(60)])
    limit = detector.limit
    assert not detector.is_spike(0.99 * limit)
    assert detector.is_spike(1.01 * limit)
    assert limit == pytest.approx(100.0 * 1.1, rel=0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_spike_and_never_remembered(value):
    detector = fed([1.0] * 20)
    before = detector.state_dict()
    assert detector.is_spike(value)
    detector.accept(value)
    detector.refuse(value)
    assert detector.state_dict() == before


def test_nothing_is_a_spike_before_anything_is_known():
    assert not fed([1.0, 1.0, 1.0]).is_spike(1e30)
    assert fed([1.0] * 4).is_spike(1e30)


def test_one_outlier_at_the_beginning_does_not_hide_those_that_follow():
    assert fed([1.0, 1e9, *[1.0] * 40]).is_spike(1e6)


def test_spikes_that_stay_are_the_new_level_once_it_is_anchored():
    detector = fed([1.0] * 40)
    counts = [detector.refuse(500.0) for _ in range(5)]
    detector.reanchor()
    assert counts == [1, 2, 3, 4, 5]
    assert not detector.is_spike(700.0)
    assert detector.usual == 500.0


def test_a_value_that_is_accepted_ends_a_row_of_strangers():
    detector = fed([1.0] * 40)
    detector.refuse(500.0)
    detector.accept(1.0)
    assert detector.refuse(500.0) == 1


@settings(max_examples=60)
@given(st.lists(ANY_FLOAT, max_size=80), st.lists(ANY_FLOAT, max_size=40))
def test_a_saved_detector_goes_on_as_if_it_had_not_been_saved(first, later):
    one, other = fed(first), SpikeDetector(SpikeOptions())
    other.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    for value in later:
        assert one.is_spike(value) == other.is_spike(value)
        one.accept(value)
        other.accept(value)
    assert one.state_dict() == other.state_dict()


@pytest.mark.parametrize(
    "option",
    [
        {"window": 3},
        {"warmup": 1},
        {"deviations": math.nan},
        {"peak_ratio": 1.0},
        {"natural": -1.0},
        {"gradient_ratio": 1.0},
        {"suspect_ratio": math.nan},
        {"natural": math.nan},
        {"window": 20.5},
    ],
)
def test_an_option_out_of_its_range_is_said_when_it_is_made(option):
    with pytest.raises(UsageError, match=next(iter(option))):
        SpikeOptions(**option)


@pytest.mark.parametrize("state", [{}, {"recent": [math.nan]}, {"recent": [1.0], "level": "high"}])
def test_a_state_that_is_none_is_refused_and_nothing_changed(state):
    detector = fed([1.0] * 10)
    before = detector.state_dict()
    with pytest.raises(UsageError, match="state"):
        detector.load_state_dict(state)
    assert detector.state_dict() == before


@pytest.mark.parametrize(
    ("reading", "kind"),
    [
        (Reading(loss=1.0, grad_norm=1.0), "good"),
        (Reading(), "good"),
        (Reading(loss=math.nan), "nonfinite"),
        (Reading(loss=1.0, grad_norm=math.inf), "nonfinite"),
        (Reading(loss=1.0, grad_norm=math.inf, scaled=True), "overflow"),
        (Reading(loss=math.inf, grad_norm=math.inf, scaled=True), "nonfinite"),
        (Reading(loss=1.0, buffer_norm=math.nan), "nonfinite"),
        (Reading(loss=1.0, grad_norm=2 * GRADIENT_CEILING), "huge"),
        (Reading(loss=1.0, grad_norm=2 * GRADIENT_CEILING, max_norm=1.0), "huge"),
        (Reading(loss=1e300, grad_norm=1.0), "good"),
    ],
)
def test_each_fault_has_a_verdict_of_its_own(reading, kind):
    assert Detector(SpikeOptions()).judge(reading).kind == kind


def test_a_gradient_that_the_users_clip_bounds_is_no_spike():
    detector = Detector(SpikeOptions())
    for _ in range(40):
        detector.accept(Reading(loss=1.0, grad_norm=1.0, max_norm=1.0))
        detector.accept(Reading(loss=1.0, grad_norm=1.0), "unclipped")
    assert detector.judge(Reading(loss=1.0, grad_norm=1e6, max_norm=1.0)).is_good
    assert detector.judge(Reading(loss=1.0, grad_norm=1e6), "unclipped").kind == "spike"


def judged(gradients, loss, value, usual_loss=2.0):
    """The verdict on a gradient norm and a loss after a run at others."""
    detector = Detector(SpikeOptions())
    for place, gradient in enumerate(gradients):
        detector.accept(Reading(loss=usual_loss + 0.01 * (place % 3), grad_norm=gradient))
    return detector.judge(Reading(loss=loss, grad_norm=value)).kind


def test_a_gradient_that_jumps_alone_is_judged_more_closely_than_one_with_its_loss():
    small = [0.1 + 0.01 * (k % 3) for k in range(60)]
    assert judged(small, 2.0, 4.0) == "spike"
    assert judged(small, 2.0, 3.0) == "good"
    assert judged(small, 9.9, 20.0) == "good"
    assert judged(small, 9.9, 40.0) == "spike"


def test_a_gradient_that_wakes_up_is_no_spike():
    assert judged([1e-9] * 60, 2.0, 0.9) == "good"
    assert judged([0.0] * 60, 2.0, 0.9) == "good"


def test_a_loss_far_above_the_level_of_the_run_makes_one_doubt():
    steady = [1.0 + 0.01 * (k % 3) for k in range(60)]
    assert judged(steady, 9.9, 1.0) == "good"
    assert judged(steady, 10.2, 1.0) == "suspect"
    assert judged(steady[:9], 10.2, 1.0) == "good"


def test_a_loss_that_was_cleared_is_doubted_again_only_far_above_it():
    detector = fed([2.0 + 0.01 * (k % 3) for k in range(60)])
    assert detector.is_suspect(12.0)
    detector.accept(12.0)
    assert not detector.is_suspect(55.0)
    assert detector.is_suspect(65.0)
    other = SpikeDetector(SpikeOptions())
    other.load_state_dict(detector.state_dict())
    assert not other.is_suspect(55.0)


def test_the_reason_says_the_number_the_limit_and_what_is_usual():
    detector = Detector(SpikeOptions())
    for _ in range(40):
        detector.accept(Reading(loss=2.0))
    verdict = detector.judge(Reading(loss=4e5))
    assert verdict.reason == "the loss 4e+05 is above 200, where 2 is usual"
    assert verdict.evidence == {"loss": 4e5, "usual": 2.0, "limit": 200.0}


def test_the_worst_verdict_of_several_ranks_is_that_of_all():
    assert worst(["good", "nonfinite", "spike"]) == "nonfinite"
    assert worst([]) == "good"
    assert Verdict().is_good
