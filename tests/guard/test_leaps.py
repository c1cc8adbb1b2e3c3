"""Weights that leap are seen, and nothing that training does is a leap."""

import numpy as np
import pytest
import torch
from guarded_loops import Loop, assert_same, make_batches

import steadytrain as st
from steadytrain.guard.detect_leap import FIRST, LeapDetector
from steadytrain.guard.detect_spike import SpikeOptions

SIZES = [4, 9, 16]


def fed(rows, sizes=SIZES):
    detector = LeapDetector()
    for row in rows:
        detector.accept(row, sizes)
    return detector


def steady(count=20):
    return [[1.0 + 0.01 * step, 2.0 - 0.01 * step, 0.1 + 0.001 * step] for step in range(count)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_tensor_that_leaps_is_named(place):
    now = steady()[-1]
    now[place] *= 1000.0
    assert fed(steady()).leaps(now, SIZES) == [place]


def test_all_tensors_that_leap_together_are_named():
    assert fed(steady()).leaps([500.0, 600.0, 400.0], SIZES) == [0, 1, 2]


def test_a_tensor_below_ten_times_its_largest_norm_has_not_leapt():
    detector = fed(steady())
    assert detector.leaps([1.19 * 9.9, 1.81, 0.119], SIZES) == []
    assert detector.leaps([1.19 * 10.1, 1.81, 0.119], SIZES) == [0]


def test_nothing_leaps_before_it_is_known_how_far_a_step_goes():
    assert fed(steady(FIRST)).leaps([1e9, 2.0, 0.1], SIZES) == []
    assert fed([[1.0, 2.0, 0.1]] * 50).leaps([1e9, 2.0, 0.1], SIZES) == []


@pytest.mark.parametrize(
    "series",
    [
        [[0.001 * step, 2.0 + 0.01 * step] for step in range(40)],  # begins at zero
        [[1e-6 * 2.0**step, 2.0 + 0.01 * step] for step in range(20)],  # a gate that opens
        [[0.0, 0.0] if step < 20 else [0.1, 0.3] for step in range(40)],  # frozen, then not
        [[1.0 + 0.5 * (step == 30), 2.0 + 0.5 * (step >= 30)] for step in range(40)],  # restart
    ],
)
def test_what_training_does_is_no_leap(series):
    detector = LeapDetector()
    for row in series:
        assert detector.leaps(row, [4, 9]) == []
        detector.accept(row, [4, 9])


def test_what_was_written_to_on_purpose_is_not_judged_and_then_is_usual():
    detector = fed(steady())
    detector.forget([0])
    now = [300.0, 1.8, 0.12]
    assert detector.leaps(now, SIZES) == []
    detector.accept(now, SIZES)
    assert detector.leaps([301.0, 1.8, 0.12], SIZES) == []
    assert detector.leaps([301.0, 1800.0, 0.12], SIZES) == [1]


def test_other_tensors_begin_anew():
    detector = fed(steady())
    assert detector.leaps([1e9, 1.0], [4, 9]) == []
    detector.accept([1e9, 1.0], [4, 9])
    assert detector.leaps([1e9, 1.0], [4, 9]) == []


def test_norms_near_the_largest_number_do_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        assert fed(steady()).leaps([1e200, 1e200, 1e200], SIZES) == [0, 1, 2]


def once(loop, at, harm):
    done = []

    def before(place):
        if place == at and not done:
            done.append(place)
            harm(loop)

    return before


HARMS = {
    "a bias times a thousand": lambda loop: loop.model[4].weight.data.mul_(1000.0),
    "a rate times a million": lambda loop: loop.optimizer.param_groups[0].update(lr=1e4),
    "second moments lost": lambda loop: [
        state["exp_avg_sq"].data.zero_() for state in loop.optimizer.state.values()
    ],
    "first moments times minus one": lambda loop: [
        state["exp_avg"].data.neg_() for state in loop.optimizer.state.values()
    ],
}


@pytest.mark.parametrize("harm", HARMS)
def test_finite_damage_is_healed_to_the_bits_of_the_run_without_it(harm):
    loop = Loop().attach()
    loop.guarded(make_batches(), before=once(loop, 22, HARMS[harm]))
    assert loop.kinds[-1:] == ["rollback"]
    assert_same(Loop().plain(make_batches()).state(), loop.state())


def test_a_sealed_guard_heals_a_whole_tensor_that_no_edit_would_make():
    loop = Loop().attach(st.Guard(snapshot_every=5, seal_every=1))
    loop.guarded(make_batches(), before=once(loop, 22, HARMS["a bias times a thousand"]))
    assert loop.kinds == ["rollback"]
    assert_same(Loop().plain(make_batches()).state(), loop.state())


def test_statistics_of_an_evaluation_in_train_mode_are_no_fault():
    def evaluate(loop):
        with torch.no_grad():
            loop.model(torch.randn(8, 4))

    loop = Loop().attach(st.Guard(snapshot_every=5, seal_every=1))
    loop.guarded(make_batches(), before=once(loop, 22, evaluate))
    assert loop.kinds == []


def test_moments_that_somebody_resets_are_left_alone():
    def reset(loop):
        for state in loop.optimizer.state.values():
            state["exp_avg"].zero_()

    loop = Loop().attach()
    loop.guarded(make_batches(), before=once(loop, 22, reset))
    assert loop.kinds == []


def test_weights_that_somebody_writes_to_are_left_alone():
    def write(loop):
        with torch.no_grad():
            loop.model[4].weight.mul_(2.0)

    loop = Loop().attach()
    loop.guarded(make_batches(), before=once(loop, 22, write))
    assert loop.kinds == []


def doubtful():
    return st.Guard(snapshot_every=5, spikes=SpikeOptions(deviations=4.0))


def hard(batches, place, factor):
    return [*batches[:place], batches[place] * factor, *batches[place + 1 :]]


def test_a_hard_batch_is_looked_at_and_then_taken_as_if_nothing_had_been():
    batches = hard(make_batches(60), 40, 5.0)
    loop = Loop().attach(doubtful())
    loop.guarded(batches)
    waited = [step.reason for step in loop.steps if not step.committed]
    assert len(waited) == 2
    assert "it waits" in waited[0]
    assert loop.kinds == []
    assert loop.guard.num_steps == 60
    assert_same(Loop().plain(batches).state(), loop.state())


def test_a_batch_that_waits_is_handed_out_with_the_same_random_numbers():
    def noisy(model, batch):
        return ((model(batch + 0.1 * torch.randn(8, 4)) - batch.sum(1, keepdim=True)) ** 2).mean()

    batches = hard(make_batches(60), 40, 9.0)
    loop = Loop().attach(doubtful())
    loop.guarded(batches, loss_of=noisy)
    assert sum(not step.committed for step in loop.steps) == 2
    assert_same(Loop().plain(batches, loss_of=noisy).state(), loop.state())


def test_a_loss_that_is_high_because_the_weights_are_is_rolled_back():
    def spoil(loop):
        with torch.no_grad():
            loop.model[4].bias.add_(9.0)  # written on purpose, and yet no run can go on so

    loop = Loop().attach(doubtful())
    loop.guarded(make_batches(60), before=once(loop, 42, spoil))
    assert loop.kinds == ["rollback"]
    assert_same(Loop().plain(make_batches(60)).state(), loop.state())


def test_the_other_turns_of_a_batch_that_waits_wait_too():
    batches, reasons = hard(make_batches(60), 40, 12.0), []

    def train(guard=None):
        torch.manual_seed(0)
        one, two = torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)
        pairs = [(m, torch.optim.Adam(m.parameters(), lr=1e-2)) for m in (one, two)]
        if guard is not None:
            guard.attach([one, two], [optimizer for _, optimizer in pairs], clip=1e9)
        for batch in batches if guard is None else guard.batches(batches):
            for model, optimizer in pairs:
                loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
                if guard is None:
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
                else:
                    with guard.step(batch, optimizer=optimizer) as step:
                        step.backward(loss)
                    reasons.append(step.reason)
        return torch.nn.ModuleList([one, two])

    guard = doubtful()
    guarded, bare = train(guard), train()
    assert guard.events == []
    assert sum(map(bool, reasons)) == 4  # two turns of the batch that waits, two of the other
    pairs = zip(guarded.parameters(), bare.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
