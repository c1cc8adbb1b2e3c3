"""What is done about a bad step; a pure function, so all of it can be walked through."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.core.errors import UsageError
from steadytrain.guard.decide import Ladder, Situation, decide
from steadytrain.guard.detect import SEVERITY
from steadytrain.guard.policy import Policy, rate_scale

FREE = Situation(can_roll_back=True, can_show_again=True)
SHOWN = replace(FREE, is_shown_again=True)
BLIND = replace(FREE, can_show_again=False)


def walk(verdicts, situation=FREE, policy=None, ladder=None):
    """The decisions on verdicts one after the other; a pair gives its own situation."""
    policy, ladder, decisions = policy or Policy(), ladder or Ladder(), []
    for one in verdicts:
        verdict, here = one if isinstance(one, tuple) else (one, situation)
        decision, ladder = decide(policy, ladder, verdict, here)
        decisions.append(decision)
    return decisions, ladder


def kinds(decisions):
    return [decision.kind for decision in decisions]


def test_good_steps_are_taken():
    assert kinds(walk(["good", "overflow"] * 5)[0]) == ["commit"] * 10


@pytest.mark.parametrize("verdict", ["nonfinite", "huge", "spike"])
def test_a_bad_batch_alone_is_skipped(verdict):
    decisions, ladder = walk([verdict, "good", verdict, "good"])
    assert kinds(decisions) == ["skip", "commit"] * 2
    assert ladder.level == 0


def test_after_some_in_a_row_a_good_batch_is_shown_again():
    decisions, _ = walk(["nonfinite"] * 4)
    assert [decision.show_again for decision in decisions] == [False, False, False, True]


def test_while_a_good_batch_is_good_still_the_data_is_at_fault():
    decisions, ladder = walk(["nonfinite"] * 4 + [("good", SHOWN)] + ["nonfinite"] * 100)
    assert kinds(decisions) == ["skip"] * 105
    assert ladder.num_rollbacks == 0


def test_data_that_never_gets_good_ends_the_run():
    decisions, _ = walk(["nonfinite"] * 4 + [("good", SHOWN)] + ["nonfinite"] * 200)
    assert kinds(decisions)[-5:] == ["stop"] * 5
    assert kinds(decisions).index("stop") == 200


def test_when_a_good_batch_is_bad_now_the_weights_are_at_fault():
    decisions, _ = walk(["nonfinite"] * 4 + [("nonfinite", SHOWN)])
    assert decisions[-1].kind == "rollback"
    assert not decisions[-1].step_around


def test_damage_climbs_the_ladder_one_rung_at_a_time():
    decisions, ladder = walk(["state"] * 5)
    assert kinds(decisions) == ["rollback"] * 4 + ["stop"]
    assert [d.step_around for d in decisions[:4]] == [False, True, True, True]
    assert [d.cut_rate for d in decisions[:4]] == [False, False, True, True]
    assert [d.reset_moments for d in decisions[:4]] == [False, False, False, True]
    assert ladder.num_rollbacks == 4


def test_after_calm_steps_a_fault_is_a_new_one_but_the_budget_is_for_the_run():
    policy = Policy(calm_steps=10, max_rollbacks=3)
    decisions, ladder = walk((["state"] + ["good"] * 10) * 4, policy=policy)
    assert [d.kind for d in decisions if d.kind != "commit"] == ["rollback"] * 3 + ["stop"]
    assert not any(d.step_around for d in decisions)
    assert ladder.num_rollbacks == 3


def test_without_a_snapshot_damage_ends_the_run():
    assert walk(["state"], replace(FREE, can_roll_back=False))[0][0].kind == "stop"


def test_without_batches_to_show_it_waits_longer_and_then_goes_back():
    decisions, _ = walk(["nonfinite"] * 25, BLIND)
    assert kinds(decisions) == ["skip"] * 24 + ["rollback"]


def test_spikes_that_stay_are_accepted_and_clipped_at_first():
    policy = Policy(reanchor_after=10, settle_steps=3)
    rows = [("spike", replace(BLIND, num_strangers=k)) for k in range(1, 11)]
    decisions, _ = walk([*rows, *["good"] * 5], policy=policy)
    assert kinds(decisions) == ["skip"] * 9 + ["clip"] * 4 + ["commit"] * 2
    assert decisions[9].reanchor


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(SEVERITY), st.booleans(), st.booleans(), st.booleans(),
            st.integers(0, 100),
        ),
        max_size=400,
    )
)  # fmt: skip
def test_no_row_of_verdicts_ever_takes_a_step_that_is_not_finite(row):
    policy, ladder = Policy(), Ladder()
    for verdict, back, show, shown, strangers in row:
        situation = Situation(
            can_roll_back=back, can_show_again=show, is_shown_again=shown, num_strangers=strangers
        )
        decision, ladder = decide(policy, ladder, verdict, situation)
        if decision.kind in ("commit", "clip"):
            assert verdict in ("good", "overflow", "suspect", "leap", "spike")
            assert verdict != "spike" or decision.kind == "clip"
        assert ladder.num_rollbacks <= policy.max_rollbacks
        assert Ladder.from_json(ladder.to_json()) == ladder


def test_a_cut_rate_comes_up_to_its_share_and_stays_there():
    policy = Policy(rate_factor=0.5, rewarm_steps=4)
    assert [rate_scale(policy, 1, k) for k in range(6)] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    assert rate_scale(policy, 2, 100) == 0.25
    assert rate_scale(policy, 0, 0) == 1.0


@pytest.mark.parametrize(
    "option", [{"patience": 0}, {"max_rollbacks": -1}, {"rate_factor": 0.0}, {"calm_steps": 1.5}, {"rate_factor": float("nan")}, {"patience": True}]
)  # fmt: skip
def test_a_policy_out_of_its_range_is_said_when_it_is_made(option):
    with pytest.raises(UsageError, match=next(iter(option))):
        Policy(**option)


@pytest.mark.parametrize("data", [{}, {"level": 1}, {"bad_in_a_row": "many"}])
def test_a_ladder_of_something_else_is_refused(data):
    with pytest.raises(UsageError, match="ladder"):
        Ladder.from_json(data)
