"""What a step changes is copied, and put back to the bit, in place."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from snapshot_parts import (
    HandWrittenAverage,
    assert_same_state,
    make_model,
    make_parts,
    same_bits,
    state_of,
    train,
)
from torch import nn

from steadytrain.core.errors import SnapshotError
from steadytrain.snapshots import HostMemory, capture, misfit, restore

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
    "lbfgs": lambda params, lr: torch.optim.LBFGS(params, lr=0.1, max_iter=3),
    "asgd": torch.optim.ASGD,
    "rprop": torch.optim.Rprop,
}


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("before", [0, 3])
def test_steps_done_again_after_a_restore_give_the_same_bits(optimizer, before):
    parts = make_parts(OPTIMIZERS[optimizer])
    train(parts, before)
    snapshot = capture(parts, step=before)
    start = state_of(parts)
    train(parts, 4)
    end = state_of(parts)
    restore(snapshot, parts)
    assert_same_state(state_of(parts), start)
    train(parts, 4)
    assert_same_state(state_of(parts), end)


def test_what_happens_later_does_not_reach_into_the_snapshot():
    parts = make_parts()
    train(parts, 2)
    snapshot = capture(parts)
    before = [tensor.clone() for tensor in snapshot.tensors]
    train(parts, 3)
    restore(snapshot, parts)
    train(parts, 3)
    assert all(torch.equal(a, b) for a, b in zip(before, snapshot.tensors, strict=True))


def test_references_held_elsewhere_stay_right():
    parts = make_parts()
    train(parts, 2)
    weight, moment = parts["model"][0].weight, None
    moment = parts["optimizer"].state[weight]["exp_avg"]
    snapshot = capture(parts)
    values = weight.detach().clone(), moment.clone()
    train(parts, 2)
    restore(snapshot, parts)
    assert parts["model"][0].weight is weight
    assert parts["optimizer"].state[weight]["exp_avg"] is moment
    assert torch.equal(weight, values[0])
    assert torch.equal(moment, values[1])


def test_state_that_did_not_exist_yet_is_gone_again():
    parts = make_parts()
    snapshot = capture(parts)
    train(parts, 1)
    assert parts["optimizer"].state
    restore(snapshot, parts)
    assert not parts["optimizer"].state


def test_settings_of_the_optimizer_come_back_and_new_ones_go():
    parts = make_parts()
    group = parts["optimizer"].param_groups[0]
    before = group["lr"], group["betas"]
    snapshot = capture(parts)
    parts["optimizer"].param_groups[0].update(lr=7.0, betas=(0.1, 0.2), invented=1)
    restore(snapshot, parts)
    group = parts["optimizer"].param_groups[0]
    assert (group["lr"], group["betas"]) == before
    assert "invented" not in group


def test_a_hand_written_average_is_restored_without_a_state_dict():
    model = nn.Linear(2, 1)
    average = HandWrittenAverage(model)
    snapshot = capture({"model": model, "average": average})
    shadow, kept = average.shadow["weight"], average.shadow["weight"].clone()
    with torch.no_grad():
        model.weight.fill_(9.0)
    average.update()
    restore(snapshot, {"model": model, "average": average})
    assert average.num_updates == 0
    assert average.shadow["weight"] is shadow
    assert torch.equal(shadow, kept)


def test_attributes_and_buffers_outside_the_state_dict_are_restored():
    model = make_model()
    snapshot = capture({"model": model})
    model(torch.randn(4, 4))
    restore(snapshot, {"model": model})
    assert model[2].num_calls == 0
    assert torch.equal(model[2].carried, torch.zeros(8))
    assert torch.equal(model[2].seen, torch.zeros(8))


def test_a_buffer_that_grew_or_was_not_there_comes_back():
    model = nn.Linear(2, 1)
    model.register_buffer("mask", torch.ones(3), persistent=False)
    model.register_buffer("cache", None)
    snapshot = capture({"model": model})
    model.mask, model.cache = torch.zeros(9), torch.zeros(2)
    restore(snapshot, {"model": model})
    assert torch.equal(model.mask, torch.ones(3))
    assert model.cache is None


def test_tied_weights_have_one_copy_and_stay_tied():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    snapshot = capture({"model": model})
    assert len(snapshot.tensors) == 1
    with torch.no_grad():
        model["head"].weight.zero_()
    restore(snapshot, {"model": model})
    assert model["head"].weight is model["embed"].weight
    assert model["embed"].weight.abs().sum() > 0


def test_views_of_one_memory_are_put_back_together():
    flat = torch.arange(6.0)
    views = {"left": flat[:4], "right": flat[2:]}
    snapshot = capture({"extra": views})
    flat.fill_(-1)
    restore(snapshot, {"extra": views})
    assert torch.equal(flat, torch.arange(6.0))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, dtype=torch.complex64),
        torch.randn(3).to(torch.bfloat16),
        torch.tensor([float("nan"), -0.0, float("inf")]),
        torch.tensor(3, dtype=torch.int64),
        torch.zeros(0, 4),
        torch.randn(3, 4, dtype=torch.float64).t(),
        torch.ones(1).expand(5),
        torch.eye(3).to_sparse(),
        torch.randn(2, dtype=torch.complex64).conj(),
        torch.randn(1, 2, 3, 4).to(memory_format=torch.channels_last),
        torch.arange(4, dtype=torch.uint8),
        torch.tensor([True, False]),
        torch.randn(4).to(torch.float8_e4m3fn),
    ],
    ids=lambda t: f"{t.dtype}-{t.layout}-{tuple(t.shape)}",
)
def test_every_kind_of_tensor_comes_back_as_it_was(tensor):
    holder = {"it": tensor}
    expected = tensor.clone()
    snapshot = capture({"extra": holder})
    (tensor[:1] if tensor.shape == (5,) else tensor).zero_()
    restore(snapshot, {"extra": holder})
    assert holder["it"] is tensor
    assert same_bits(tensor.to_dense(), expected.to_dense())


def test_float32_moments_of_half_precision_weights_stay_float32():
    weight = nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    optimizer.state[weight]["wide"] = torch.full((2,), 1 / 3)
    snapshot = capture({"optimizer": optimizer})
    optimizer.state[weight]["wide"] = torch.zeros(2, dtype=torch.bfloat16)
    restore(snapshot, {"optimizer": optimizer})
    assert torch.equal(optimizer.state[weight]["wide"], torch.full((2,), 1 / 3))


def test_parameters_that_only_the_optimizer_holds_are_restored():
    temperature = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([temperature], lr=0.1)
    snapshot = capture({"optimizer": optimizer})
    with torch.no_grad():
        temperature.fill_(5)
    restore(snapshot, {"optimizer": optimizer})
    assert temperature.item() == 0


def test_a_scaler_that_had_unscaled_stands_between_two_steps_again():
    parts = make_parts()
    scaler, optimizer = parts["scaler"], parts["optimizer"]
    snapshot = capture(parts)
    scaler.scale(parts["model"](torch.randn(6, 4)).sum()).backward()
    scaler.unscale_(optimizer)
    restore(snapshot, parts)
    scaler.scale(parts["model"](torch.randn(6, 4)).sum()).backward()
    scaler.unscale_(optimizer)  # a second unscale within one step raises
    assert scaler.get_scale() == 8.0


def test_extra_state_of_a_module_is_restored():
    class Keeps(nn.Linear):
        def __init__(self):
            super().__init__(2, 1)
            self._table = ["a"]

        def get_extra_state(self):
            return {"table": self._table}

        def set_extra_state(self, state):
            self._table = state["table"]

    model = nn.Sequential(Keeps())
    snapshot = capture({"model": model})
    model[0]._table.append("b")
    restore(snapshot, {"model": model})
    assert model[0]._table == ["a"]


def test_containers_are_refilled_and_not_replaced():
    rows, table, kept = [1, [2]], {"a": 1, "b": {"c": 2}}, {3}
    parts = {"extra": {"rows": rows, "table": table, "kept": kept}}
    snapshot = capture(parts)
    rows[1].append(5)
    rows.append(4)
    del table["a"]
    table["b"]["c"] = 9
    kept.add(8)
    restore(snapshot, parts)
    assert rows == [1, [2]]
    assert list(table.items()) == [("a", 1), ("b", {"c": 2})]
    assert kept == {3}


def test_arrays_of_numpy_are_written_to_in_place():
    array = np.arange(4.0)
    snapshot = capture({"extra": {"array": array}})
    array[:] = 0
    restore(snapshot, {"extra": {"array": array}})
    assert array.tolist() == [0, 1, 2, 3]


def test_what_no_snapshot_can_hold_is_named_and_left():
    class Slotted:
        __slots__ = ("value",)

    odd = Slotted()
    parts = {"extra": {"odd": odd, "log": print}}
    snapshot = capture(parts)
    restore(snapshot, parts)
    assert snapshot.uncovered == ("extra['odd']",)
    assert parts["extra"]["odd"] is odd


def test_parts_that_are_not_there_are_passed_over():
    model = nn.Linear(2, 1)
    snapshot = capture({"model": model, "scaler": None})
    restore(snapshot, {"model": model, "ema": None})


def test_memory_given_back_is_used_again():
    memory, parts = HostMemory(), make_parts()
    first = capture(parts, memory=memory)
    places = {tensor.data_ptr() for tensor in first.tensors if tensor.numel()}
    memory.give_back(first.tensors)
    train(parts, 1)
    second = capture(parts, memory=memory)
    assert places <= {tensor.data_ptr() for tensor in second.tensors}


def tie(parts):
    parts["model"][4].bias = parts["model"][0].bias


def reshape(parts):
    parts["model"][4].weight.data = torch.zeros(2, 8)


def swap_optimizer(parts):
    parts["optimizer"] = torch.optim.SGD(parts["model"].parameters(), lr=0.1)


def swap_schedule(parts):
    parts["scheduler"] = torch.optim.lr_scheduler.StepLR(parts["optimizer"], 3)


def test_memory_for_shapes_that_never_come_again_is_not_kept():
    memory = HostMemory()
    held = set()
    for size in range(1, 200):
        snapshot = capture({"extra": {"cache": torch.zeros(1000 + size)}}, memory=memory)
        memory.give_back(snapshot.tensors)
        held.add(sum(t.nbytes for free in memory._free.values() for t in free))
    assert max(held) <= 3 * 4 * 1200


CHANGES = {
    "reshaped": (reshape, r"model\.4\.weight as torch\.float32 \[1, 8\], here .* \[2, 8\]"),
    "added": (lambda p: p["model"].append(nn.Linear(1, 1)), r"model\.5\.bias is only here"),
    "removed": (lambda p: p["model"].pop(4), r"model\.4\.bias is only in it"),
    "replaced": (
        lambda p: p["model"].__setitem__(4, nn.Linear(8, 1)),
        r"model\.4\.weight is another parameter now",
    ),
    "retyped": (lambda p: p["model"].double(), r"here it is torch\.float64"),
    "tied": (tie, r"here it is torch.float32 \[8\]"),
    "grouped": (
        lambda p: p["optimizer"].add_param_group({"params": [nn.Parameter(torch.zeros(1))]}),
        r"\[6\] parameters by group, here it holds \[6, 1\]",
    ),
    "another optimizer": (swap_optimizer, "is a AdamW, here is a SGD"),
    "no schedule": (lambda p: p.pop("scheduler"), "scheduler"),
    "another schedule": (swap_schedule, "is a LambdaLR, here is a StepLR"),
}


@pytest.mark.parametrize("how", sorted(CHANGES))
def test_a_changed_structure_is_refused_with_the_reason_and_nothing_is_changed(how):
    parts = make_parts()
    train(parts, 1)
    snapshot = capture(parts, step=1)
    change, says = CHANGES[how]
    change(parts)
    before = state_of(parts)
    with pytest.raises(SnapshotError, match=says):
        restore(snapshot, parts)
    assert_same_state(state_of(parts), before)


def test_weights_that_were_tied_since_are_refused():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    snapshot = replace(capture({"model": model}), owners={})
    model[1].weight = model[0].weight
    with pytest.raises(SnapshotError, match="are one tensor only here"):
        restore(snapshot, {"model": model})


def test_a_lazy_parameter_that_got_its_shape_since_is_refused():
    model = nn.LazyLinear(3)
    snapshot = capture({"model": model})
    model(torch.randn(2, 4))
    with pytest.raises(SnapshotError, match="had no elements yet"):
        restore(snapshot, {"model": model})


def test_a_snapshot_whose_memory_was_given_away_is_refused():
    model = nn.Linear(2, 1)
    snapshot = capture({"model": model})
    snapshot.tensors.clear()
    with pytest.raises(SnapshotError, match="given to a newer one"):
        restore(snapshot, {"model": model})


def test_a_part_that_refuses_its_state_changes_nothing_in_the_others():
    class Refuses:
        value = 1

        def state_dict(self):
            return {"value": self.value}

        def load_state_dict(self, state):
            raise KeyError("missing")

    parts = make_parts() | {"other": Refuses()}
    snapshot = capture(parts)
    train(parts, 2)
    before = state_of(parts)
    with pytest.raises(SnapshotError, match=r"other refused .*KeyError"):
        restore(snapshot, parts)
    assert_same_state(state_of(parts), before)


def test_it_fits_a_copy_only_when_read_from_elsewhere():
    model = nn.Linear(2, 1)
    snapshot = capture({"model": model})
    assert "another parameter" in (misfit(snapshot, {"model": copy.deepcopy(model)}) or "")
