"""Memory that changes by itself is found and healed; code that writes past torch is left its say."""

import pytest
import torch
from guarded_loops import Loop, assert_same, make_batches

import steadytrain as st
from steadytrain.core.errors import UsageError


def sealed(**options):
    return st.Guard(**({"snapshot_every": 5, "seal_every": 1} | options))


def flip(tensor, place, bit):
    tensor.view(-1).view(torch.int32).numpy()[place] ^= 1 << bit if bit < 31 else -(1 << 31)


def tensors_at_rest(loop):
    model = [*loop.model.parameters(), *(b for b in loop.model.buffers() if b.is_floating_point())]
    moments = [
        value
        for state in loop.optimizer.state.values()
        for key, value in state.items()
        if key != "step"
    ]
    return [tensor.data for tensor in [*model, *moments]]


def heals(num_flips, steps, seed=0):
    """Runs with a random flip before each of some batches, and without."""
    random = torch.Generator().manual_seed(seed)
    batches, loop, done = make_batches(steps), Loop().attach(sealed()), set()

    def draw(high):
        return int(torch.randint(high, (), generator=random))

    def before(place):
        if place in done or place < 2 or len(done) >= num_flips or draw(2):
            return
        done.add(place)
        tensors = tensors_at_rest(loop)
        tensor = tensors[draw(len(tensors))]
        flip(tensor, draw(tensor.numel()), draw(32))

    loop.guarded(batches, before=before)
    assert len(done) == num_flips
    assert loop.kinds == ["rollback"] * num_flips
    assert_same(Loop().plain(batches).state(), loop.state())


def test_bits_that_flip_at_rest_are_healed_to_the_bits_of_the_run_without():
    heals(12, 60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_hundreds_of_bits_that_flip_at_rest_are_healed(seed):
    heals(50, 300, seed)


def test_the_event_names_the_tensor():
    loop = Loop().attach(sealed())
    done = []

    def before(place):
        if place == 9 and not done:
            done.append(place)
            flip(loop.model[0].weight.data, 3, 30)

    loop.guarded(make_batches(20), before=before)
    (event,) = loop.guard.events
    assert event.evidence["tensors"] == ("model.0.weight",)
    assert (event.evidence["from_step"], event.evidence["to_step"]) == (9, 5)


def test_code_that_writes_past_torch_has_its_way_and_is_sealed_no_longer():
    def shrink(loop):
        return lambda place: loop.model[4].weight.data.mul_(0.999) if place % 5 == 4 else None

    batches = make_batches(40)
    loop = Loop().attach(sealed(), scheduler=None, ema=None)
    loop.guarded(batches, before=shrink(loop))
    assert loop.kinds.count("rollback") <= 2
    assert loop.guard.num_steps == 40
    assert loop.model[4].weight.isfinite().all()


def test_ordinary_changes_between_steps_are_no_fault():
    loop = Loop().attach(sealed())

    def clip_weights(place):
        with torch.no_grad():
            loop.model[0].weight.clamp_(-0.4, 0.4)

    loop.guarded(make_batches(20), before=clip_weights)
    assert loop.guard.events == []


def test_a_seal_every_no_step_is_refused():
    with pytest.raises(UsageError, match="every=0"):
        st.Guard(seal_every=0)
