"""A bit that flips at rest is found and named; restoring and doing the step again heals it."""

import random

import pytest
import torch
from snapshot_parts import assert_same_state, make_parts, state_of, train
from torch import nn

from steadytrain.core.errors import UsageError
from steadytrain.snapshots import Seal, SnapshotRing, capture, restore
from steadytrain.snapshots.hashing import folded_hash
from steadytrain.snapshots.seal import origin_of

SEALED = ("model", "optimizer", "ema", "average")


def memory_of(tensor):
    """The tensor's bytes, past torch's version counter."""
    return tensor.detach().data.view(-1).view(torch.uint8)


def flip(tensor, bit):
    memory_of(tensor)[bit // 8] ^= 1 << bit % 8


def sealed_parts(steps=2):
    parts = make_parts()
    train(parts, steps)
    seal = Seal({name: parts[name] for name in SEALED})
    seal.close()
    return parts, seal


def tensors_at_rest(parts):
    walk = capture({name: parts[name] for name in SEALED})
    model, optimizer = parts["model"], parts["optimizer"]
    named = dict(model.named_parameters(prefix="model")) | dict(model.named_buffers(prefix="model"))
    for place, weight in enumerate(model.parameters()):
        for key, value in optimizer.state[weight].items():
            named[f"optimizer.param_groups[0][{place}]['{key}']"] = value
    named["ema"] = parts["ema"].module[0].weight
    assert len(walk.tensors) > len(named)
    return list(named.values())


def heal_trials(num_trials, seed):
    """Flips one bit in each trial; how many were named and ended as if they had not been."""
    generator = random.Random(seed)
    parts, seal = sealed_parts()
    ring = SnapshotRing(parts, every=1)
    ring.take(2)
    train(parts, 2)
    seal.close()
    end = state_of(parts)
    right = dict(zip(end[1], end[2], strict=True))
    for _ in range(num_trials):
        tensor = generator.choice(tensors_at_rest(parts))
        flip(tensor, generator.randrange(tensor.numel() * tensor.element_size() * 8))
        broken = seal.broken()
        assert [found.tensor.data_ptr() for found in broken] == [tensor.data_ptr()]
        damaged = tensor.clone()
        restore(ring.newest(), parts)
        train(parts, 2)
        assert seal.judge(broken[0].name, damaged, right[broken[0].name]) == "memory"
        assert_same_state(state_of(parts), end)
        seal.close()


@pytest.mark.parametrize(
    ("num_trials", "seed"), [(12, 0), pytest.param(300, 1, marks=pytest.mark.slow)]
)
def test_any_flipped_bit_is_named_and_healed_to_the_same_bits(num_trials, seed):
    heal_trials(num_trials, seed)


def test_every_single_bit_of_a_tensor_is_noticed():
    model = nn.Linear(3, 2)
    seal = Seal({"model": model})
    seal.close()
    for bit in range(6 * 32):
        flip(model.weight, bit)
        assert [broken.name for broken in seal.broken()] == ["model.weight"]
        flip(model.weight, bit)
    assert seal.broken() == []


DAMAGES = {
    "two rows exchanged": lambda t: t.data.copy_(t.data.flip(0)),
    "a row from another": lambda t: t.data[1].copy_(t.data[0]),
    "zeros": lambda t: t.data.zero_(),
    "a stripe": lambda t: t.data[:, ::4].neg_(),
    "exchanged neighbours": lambda t: t.data[0].copy_(t.data[0].roll(1)),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_damage_that_keeps_the_sum_of_all_bits_is_noticed(damage):
    model = nn.Linear(8, 8)
    seal = Seal({"model": model})
    seal.close()
    DAMAGES[damage](model.weight)
    assert [broken.name for broken in seal.broken()] == ["model.weight"]
    device_hash = folded_hash(model.weight.detach())
    torch.manual_seed(0)
    fresh = nn.Linear(8, 8)
    before = folded_hash(fresh.weight.detach())
    DAMAGES[damage](fresh.weight)
    assert not torch.equal(folded_hash(fresh.weight.detach()), before)
    assert device_hash.dtype == torch.int64


def test_the_hash_of_a_gpu_sees_every_bit_of_a_long_tensor():
    tensor = torch.randn(3 * 8192 + 5)
    before = folded_hash(tensor)
    for bit in random.Random(0).sample(range(tensor.numel() * 32), 200):
        flip(tensor, bit)
        assert not torch.equal(folded_hash(tensor), before)
        flip(tensor, bit)
    assert torch.equal(folded_hash(tensor), before)


def test_nothing_is_reported_where_nothing_changed():
    _, seal = sealed_parts()
    assert seal.broken() == []


@pytest.mark.parametrize("edit", ["clamp", "load", "average"])
def test_what_torch_was_told_of_is_no_fault(edit):
    parts, seal = sealed_parts()
    model = parts["model"]
    with torch.no_grad():
        if edit == "clamp":
            model[0].weight.clamp_(-0.01, 0.01)
        elif edit == "load":
            model.load_state_dict(make_parts(seed=5)["model"].state_dict())
        else:
            parts["average"].update()
    assert seal.broken() == []


def test_an_edit_past_torch_is_told_from_a_fault_and_excluded_after_the_second():
    model = nn.Linear(8, 8)
    seal = Seal({"model": model})
    for _ in range(2):
        seal.close()
        right = model.weight.detach().clone()
        model.weight.data.mul_(0.5)
        (broken,) = seal.broken()
        assert seal.judge(broken.name, model.weight, right) == "edit"
    seal.close()
    model.weight.data.mul_(0.5)
    assert seal.excluded == ("model.weight",)
    assert seal.broken() == []


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        (lambda t: flip(t, 30), "memory"),
        (lambda t: t.view(torch.int32)[::3].bitwise_xor_(0x55), "memory"),
        (lambda t: t.mul_(0.99), "edit"),
        (lambda t: t.zero_(), "edit"),
    ],
)
def test_few_bits_or_a_part_is_memory_and_the_whole_is_code(change, origin):
    right = torch.randn(64)
    found = right.clone()
    change(found)
    assert origin_of(found, right) == origin


def test_a_seal_that_is_not_due_or_was_opened_reports_nothing():
    model = nn.Linear(2, 2)
    seal = Seal({"model": model}, every=3)
    assert [seal.close(step) for step in range(4)] == [True, False, False, True]
    seal.open()
    flip(model.weight, 3)
    assert seal.broken() == []
    assert not seal.is_closed


def test_a_seal_on_no_steps_is_refused():
    with pytest.raises(UsageError, match="from 1 on"):
        Seal({}, every=0)
