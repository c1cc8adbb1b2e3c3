"""Weights that are at fault are gone back on, to the bit; what comes again is answered otherwise."""

import json
import math

import pytest
import torch
from guarded_loops import Loop, assert_same, loss_of, make_batches, poisoned

import steadytrain as st
from steadytrain.core.errors import StoppedError, UsageError
from steadytrain.guard import Policy


def write_weight(loop, value=math.nan):
    with torch.no_grad():
        loop.model[0].weight[2, 1] = value


def write_moment(loop):
    loop.optimizer.state[loop.model[0].weight]["exp_avg_sq"][0, 0] = math.inf


def write_running_variance(loop):
    loop.model[1].running_var[0] = math.nan


def write_huge_weight(loop):
    write_weight(loop, 1e38)


def write_average(loop):
    with torch.no_grad():
        loop.ema.module[0].weight[1, 1] = math.nan


def once(place, damage):
    """`damage` before the batch at `place`, the first time it comes."""
    done = []

    def before(now):
        if now == place and not done:
            done.append(now)
            damage()

    return before


DAMAGE = [write_weight, write_moment, write_running_variance, write_huge_weight, write_average]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("place", [3, 17, 39])
def test_damage_at_rest_is_healed_to_the_bits_of_the_run_that_never_had_it(damage, place):
    batches = make_batches(50)
    loop = Loop().attach()
    loop.guarded(batches, before=once(place, lambda: damage(loop)))
    assert "rollback" in loop.kinds
    assert_same(Loop().plain(batches).state(), loop.state())


def test_the_event_says_what_was_damaged_and_from_where_to_where():
    loop = Loop().attach()
    loop.guarded(make_batches(), before=once(17, lambda: write_weight(loop)))
    (event,) = loop.guard.events
    assert event.step == 17
    assert event.evidence["tensors"] == ("0.weight",)
    assert (event.evidence["from_step"], event.evidence["to_step"]) == (17, 15)


def test_a_fault_that_comes_again_at_one_place_is_stepped_around():
    """Weights become NaN through one batch although its loss and gradients are fine."""
    batches = make_batches()
    loop, seen = Loop().attach(), []

    def loss_and_note(model, batch):
        seen.append(batch)
        return loss_of(model, batch)

    def break_weights(*_):
        if seen[-1] is batches[18]:
            write_weight(loop)

    loop.optimizer.register_step_post_hook(break_weights)
    loop.guarded(batches, loss_and_note)
    assert loop.kinds == ["rollback", "rollback"]
    assert loop.guard.events[1].evidence["batches_stepped_around"] == 4
    assert_same(Loop().plain([*batches[:15], *batches[19:]]).state(), loop.state())


def diverging(loop, at_step):
    def loss(model, batch):
        return loss_of(model, batch) * (math.nan if loop.guard.num_steps >= at_step else 1.0)

    return loss


def test_what_nothing_helps_ends_with_whole_weights_and_the_evidence(tmp_path):
    loop = Loop().attach(run_dir=tmp_path)
    loop.guarded(make_batches(400), diverging(loop, 12))
    assert loop.kinds[-1] == "stop"
    assert loop.kinds.count("rollback") == 4
    assert loop.kinds.count("lr-cut") == 2
    assert loop.kinds.count("reset-moments") == 1
    assert all(p.isfinite().all() for p in loop.model.parameters())
    bundle = json.loads((tmp_path / loop.guard.events[-1].evidence["bundle"]).read_text())
    assert bundle["reason"] == loop.guard.stopped
    assert bundle["events"][0]["kind"] == "skip"


def test_data_that_never_gets_good_ends_the_run_with_the_weights_of_its_last_good_step():
    batches = make_batches(10)
    loop = Loop().attach().guarded([*batches, *[poisoned()] * 300])
    assert loop.guard.num_skipped < 201
    assert loop.guard.stopped
    assert_same(Loop().plain(batches).state(), loop.state())


def test_a_stopped_guard_refuses_further_steps():
    loop = Loop().attach().guarded([*make_batches(10), *[poisoned()] * 300])
    with pytest.raises(StoppedError, match="weights are whole"):
        loop.guard.step()
    assert list(loop.guard.batches(make_batches())) == []


def test_the_budget_of_rollbacks_is_kept():
    loop = Loop().attach(st.Guard(Policy(max_rollbacks=1), snapshot_every=5))
    loop.guarded(make_batches(400), diverging(loop, 12))
    assert loop.kinds.count("rollback") == 1
    assert "budget" in loop.guard.stopped


def test_a_cut_rate_comes_up_slowly_and_the_schedule_does_not_know():
    policy = Policy(patience=1, rewarm_steps=4, rate_factor=0.5)
    loop = Loop("sgd").attach(st.Guard(policy, snapshot_every=5), scheduler=None)
    used, faults = [], [12, 12, 12]

    def loss_with_faults(model, batch):
        is_bad = bool(faults) and loop.guard.num_steps >= faults[0]
        return loss_of(model, batch) * (math.nan if is_bad else 1.0)

    def note(optimizer, args, kwargs):
        used.append(optimizer.param_groups[0]["lr"])

    loop.optimizer.register_step_pre_hook(note)
    loop.guard._tell = lambda event: faults.pop() if event.kind == "rollback" else None
    loop.guarded(make_batches(80), loss_with_faults)
    assert loop.kinds.count("lr-cut") == 1
    assert used[-30:] == [0.025] * 30
    ramp = used.index(pytest.approx(0.025 / 5))
    assert used[ramp : ramp + 5] == pytest.approx([0.025 * k / 5 for k in (1, 2, 3, 4, 5)])
    assert loop.optimizer.param_groups[0]["lr"] == 0.05


def test_a_parameter_added_since_the_snapshot_is_a_reason_not_a_crash():
    loop = Loop().attach(st.Guard(snapshot_every=50), ema=None, scheduler=None)

    def add_and_break():
        extra = torch.nn.Parameter(torch.zeros(1))
        loop.model.register_parameter("extra", extra)
        loop.optimizer.add_param_group({"params": [extra]})
        write_weight(loop)

    loop.guarded(make_batches(20), before=once(9, add_and_break))
    assert loop.kinds == ["stop"]
    assert "refused" in loop.guard.stopped


def test_a_parameter_added_to_a_whole_model_costs_nothing():
    loop = Loop().attach(ema=None, scheduler=None)

    def add():
        extra = torch.nn.Parameter(torch.zeros(1))
        loop.model.register_parameter("extra", extra)
        loop.optimizer.add_param_group({"params": [extra]})

    loop.guarded([*make_batches(20), poisoned(), *make_batches(20)], before=once(9, add))
    assert loop.kinds == ["skip"]
    assert loop.guard.num_steps == 40


def test_the_guard_learns_nothing_from_steps_that_were_left_out_and_is_saved_with_the_run():
    loop = Loop().attach().guarded([*make_batches(20), poisoned()])
    state = loop.guard.state_dict()
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    other = st.Guard()
    other.load_state_dict(state)
    assert other.state_dict() == state


def test_a_state_of_something_else_is_refused():
    with pytest.raises(UsageError, match="format"):
        st.Guard().load_state_dict({"norms": []})
