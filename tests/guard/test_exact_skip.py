"""A step that is left out leaves the run as if its batch had never come."""

import math

import pytest
import torch
from guarded_loops import OPTIMIZERS, Loop, assert_same, loss_of, make_batches, poisoned
from torch import nn

import steadytrain as st
from steadytrain.guard import SpikeOptions


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_a_run_without_a_fault_is_the_same_bits_as_without_a_guard(optimizer):
    batches = make_batches()
    guarded = Loop(optimizer).attach().guarded(batches)
    assert guarded.guard.events == []
    assert_same(Loop(optimizer).plain(batches).state(), guarded.state())


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_bad_batch_ends_as_if_it_had_never_come(optimizer, value):
    batches = make_batches()
    guarded = Loop(optimizer).attach()
    guarded.guarded([*batches[:20], poisoned(value), *batches[20:]])
    assert guarded.kinds == ["skip"]
    assert_same(Loop(optimizer).plain(batches).state(), guarded.state())


@pytest.mark.parametrize("length", [2, 5, 30, 80])
def test_a_window_of_bad_batches_ends_as_if_it_had_never_come(length):
    batches = make_batches()
    guarded = Loop().attach()
    guarded.guarded([*batches[:20], *[poisoned()] * length, *batches[20:]])
    assert guarded.guard.num_skipped == length
    assert set(guarded.kinds) == {"skip"}
    assert_same(Loop().plain(batches).state(), guarded.state())


def test_the_first_batch_of_all_may_be_bad():
    batches = make_batches()
    guarded = Loop().attach().guarded([poisoned(), *batches])
    assert_same(Loop().plain(batches).state(), guarded.state())


def test_a_nan_that_appears_in_the_backward_pass_only_is_left_out():
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * math.nan

    def loss_with_mark(model, batch):
        loss = loss_of(model, batch[:, :4])
        return Broken.apply(loss) if batch.shape[1] > 4 else loss

    batches = make_batches()
    marked = torch.ones(8, 5)
    guarded = Loop().attach().guarded([*batches[:9], marked, *batches[9:]], loss_with_mark)
    assert "gradient" in guarded.guard.events[0].reason
    assert_same(Loop().plain(batches).state(), guarded.state())


def test_the_event_names_the_sample_and_the_gradient():
    guarded = Loop().attach().guarded([*make_batches(20), poisoned()])
    (event,) = guarded.guard.events
    assert event.step == 20
    assert event.evidence["samples"] == (3,)
    assert event.evidence["gradients"][0] == "0.weight"
    assert guarded.steps[-1].committed is False
    assert guarded.steps[-1].reason == event.reason


def test_finite_gradients_whose_squares_overflow_are_huge_and_not_infinite():
    guarded = Loop("sgd", model=lambda: nn.Linear(4, 1)).attach(clip=None)
    batches = make_batches()

    def steep(model, batch):
        loss = loss_of(model, batch)
        return loss * 1e25 if guarded.guard.num_skipped == 0 and batch is batches[9] else loss

    guarded.guarded(batches, steep)
    assert "finite but above" in guarded.guard.events[0].reason
    assert "inf" not in guarded.guard.events[0].reason


def test_a_spike_is_left_out_with_the_running_statistics_it_moved():
    batches = make_batches()
    spike = batches[0] * 1e4
    guarded = Loop().attach().guarded([*batches[:30], spike, *batches[30:]])
    assert guarded.kinds == ["skip"]
    assert "usual" in guarded.guard.events[0].reason
    assert_same(Loop().plain(batches).state(), guarded.state())


def test_the_scheduler_and_the_average_do_not_move_on_a_step_that_is_left_out():
    guarded = Loop().attach().guarded([*make_batches(20), poisoned(), poisoned()])
    assert guarded.scheduler.last_epoch == 20
    assert int(guarded.ema.n_averaged) == 20


class Carrying(nn.Module):
    """Keeps a hidden state, a count, a trail and a generator between calls, in plain attributes."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(4, 8)
        self.head = nn.Linear(8, 1)
        self.hidden = torch.zeros(8, 8)
        self.calls = 0
        self.trail = []
        self.random = torch.Generator().manual_seed(3)

    def forward(self, batch):
        self.calls += 1
        self.trail.append(self.calls)
        noise = 0.01 * torch.randn(batch.shape, generator=self.random)
        hidden = self.cell(batch + noise, self.hidden)
        self.hidden = hidden.detach()
        return self.head(hidden)


def test_what_a_module_carries_from_call_to_call_is_put_back():
    batches = make_batches()
    guarded = Loop(model=Carrying).attach().guarded([*batches[:9], poisoned(), *batches[9:]])
    plain = Loop(model=Carrying).plain(batches)
    assert guarded.model.calls == plain.model.calls == 40
    assert guarded.model.trail == plain.model.trail
    assert torch.equal(guarded.model.hidden, plain.model.hidden)
    assert_same(plain.state(), guarded.state())


def test_a_buffer_that_is_replaced_is_the_one_it_was():
    class Replacing(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)
            self.register_buffer("mean", torch.zeros(4))

        def forward(self, batch):
            self.mean = 0.9 * self.mean + 0.1 * batch.detach().mean(0)
            return self.linear(batch - self.mean)

    batches = make_batches()
    guarded = Loop(model=Replacing).attach().guarded([*batches[:9], poisoned(), *batches[9:]])
    assert_same(Loop(model=Replacing).plain(batches).state(), guarded.state())


def test_a_mask_of_minus_infinity_is_no_damage():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)
            self.register_buffer("mask", torch.full((4, 4), -math.inf).triu(1))

        def forward(self, batch):
            return self.linear(batch @ torch.softmax(self.mask, -1))

    guarded = Loop(model=Masked).attach().guarded(make_batches())
    assert guarded.guard.events == []


@pytest.mark.parametrize("error", [KeyError("pixels"), KeyboardInterrupt(), StopIteration()])
def test_an_exception_in_the_block_leaves_the_state_as_before(error):
    loop = Loop().attach().guarded(make_batches())
    before = loop.state()

    def block():
        with loop.guard.step() as step:
            step.backward(loss_of(loop.model, make_batches()[0]))
            raise error

    with pytest.raises(type(error)) as caught:
        block()
    assert caught.value is error
    assert [entry.name for entry in caught.traceback] == [
        "test_an_exception_in_the_block_leaves_the_state_as_before",
        "block",
    ]
    assert_same(before, loop.state())
    assert all(p.grad is None for p in loop.model.parameters())


def test_gradients_from_before_the_block_take_part_and_come_back_after_an_exception():
    loop = Loop().attach()
    batch, other = make_batches(2)
    loss_of(loop.model, batch).backward()
    grads = [p.grad.clone() for p in loop.model.parameters()]

    def block():
        with loop.guard.step() as step:
            step.backward(loss_of(loop.model, other))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert all(torch.equal(p.grad, g) for p, g in zip(loop.model.parameters(), grads, strict=True))


def test_a_loop_may_ask_for_a_step_to_be_left_out():
    loop = Loop().attach()
    before = loop.state()
    with loop.guard.step() as step:
        step.backward(loss_of(loop.model, make_batches()[0]))
        step.skip("too many padded rows")
    assert "too many padded rows" in step.reason
    assert not step.committed
    assert_same(before, loop.state())


def test_a_dry_run_changes_nothing_and_says_what_it_would_have_done():
    batches = [*make_batches(20), poisoned(), *make_batches(20)]
    loop = Loop().attach(st.Guard(dry_run=True, snapshot_every=5)).guarded(batches)
    assert loop.kinds[0] == "skip"
    assert loop.guard.events[0].reason.startswith("would skip")
    assert all(event.evidence["dry_run"] for event in loop.guard.events)
    plain = Loop().plain(batches)
    for one, other in zip(loop.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(one.isnan(), other.isnan())
        assert torch.equal(one.nan_to_num(), other.nan_to_num())


def test_spikes_in_very_small_units_are_seen_when_the_guard_is_told():
    def small(model, batch):
        return 1e-6 * loss_of(model, batch)

    batches = make_batches()
    guard = st.Guard(spikes=SpikeOptions(natural=0.0))
    loop = Loop("sgd").attach(guard, clip=None)
    loop.guarded([*batches[:30], batches[0] * 1e3, *batches[30:]], small)
    assert loop.kinds == ["skip"]
