"""A twin runs without changing the original, whatever its functions close over."""

from __future__ import annotations

import functools
import random
import threading
from typing import Any

import numpy as np
import pytest
import torch
from small_programs import batches, closed_over, cross_entropy, program
from torch import nn
from torch.utils.data import TensorDataset

import steadytrain as st
from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program
from steadytrain.doctor.observing import digest_of, observe
from steadytrain.doctor.tape import record
from steadytrain.doctor.twin import twin_of


def run_a_twin(original: Program, steps: int = 5) -> Program:
    twin = twin_of(original)
    observe(twin, steps, 0)
    return twin


def test_a_step_that_closes_over_its_model_trains_the_twin_and_not_the_original() -> None:
    original = closed_over()
    before = digest_of(original)
    twin = run_a_twin(original)
    assert digest_of(original) == before
    assert digest_of(twin) != before
    assert original.extra["seen"]["steps"] == 0
    assert twin.extra["seen"]["steps"] == 5


def test_a_loss_bound_to_an_object_that_holds_the_model_is_copied_with_it() -> None:
    class Trainer:
        def __init__(self, model: nn.Module) -> None:
            self.model = model
            self.calls = 0

        def loss(self, _: Any, batch: Any) -> torch.Tensor:
            self.calls += 1
            return cross_entropy(self.model, batch)

    original = program()
    trainer = Trainer(original.model)
    original.loss_fn = trainer.loss
    twin = run_a_twin(original)
    assert trainer.calls == 0
    loss_fn: Any = twin.loss_fn
    assert loss_fn.__self__.model is twin.model


def test_partials_and_hooks_that_close_over_the_model_are_copied_with_it() -> None:
    original = program()
    heard: list[int] = []
    original.model.register_forward_hook(lambda *_: heard.append(1))

    def loss(weight: nn.Module, model: Any, batch: Any) -> torch.Tensor:
        return cross_entropy(model, batch) + 0 * next(weight.parameters()).sum()

    model = original.model

    def closed(own: Any, batch: Any) -> torch.Tensor:
        return functools.partial(loss, model)(own, batch)

    original.loss_fn = functools.partial(closed)
    before = digest_of(original)
    twin = run_a_twin(original)
    assert not heard
    assert digest_of(original) == before != digest_of(twin)


def test_defaults_of_a_function_are_not_shared() -> None:
    def loss(model: Any, batch: Any, seen: list[int] = []) -> torch.Tensor:  # noqa: B006
        seen.append(1)
        return cross_entropy(model, batch)

    original = program(loss_fn=loss)
    run_a_twin(original)
    assert loss.__defaults__ == ([],)


def test_a_tensor_within_a_graph_is_no_obstacle() -> None:
    original = program()
    original.extra["state"] = original.model[0].weight * 2
    original.model.last = original.model[0].weight * 3
    twin = twin_of(original)
    assert torch.equal(twin.extra["state"], original.extra["state"])
    assert twin.model.last is not original.model.last


def test_a_generator_goes_on_by_itself_in_the_twin() -> None:
    original = program()
    original.extra["generator"] = torch.Generator().manual_seed(3)
    twin = twin_of(original)
    drawn = torch.rand(3, generator=twin.extra["generator"])
    assert torch.equal(drawn, torch.rand(3, generator=original.extra["generator"]))


def test_what_cannot_be_copied_is_named() -> None:
    original = program(extra={"lock": threading.Lock()})
    with pytest.raises(ProgramError, match=r"Program\.extra cannot be copied"):
        twin_of(original)


def test_recording_leaves_the_random_generators_and_the_loader_as_they_were() -> None:
    generator = torch.Generator().manual_seed(5)
    loader = torch.utils.data.DataLoader(
        TensorDataset(torch.arange(12)), batch_size=4, shuffle=True, generator=generator
    )
    original = program(batches=loader)
    before = generator.get_state(), torch.get_rng_state()
    tape = record(original, 7)
    assert len(tape.recorded) == 7
    assert torch.equal(generator.get_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_reader_of_the_tape_cannot_write_into_the_data() -> None:
    original = program()
    tape = record(original, 2)
    first = next(iter(tape))[0]
    first.zero_()
    assert original.batches[0][0].abs().sum() > 0  # pyright: ignore[reportIndexIssue]
    assert tape.recorded[0][0].abs().sum() > 0


def test_the_same_run_twice_is_the_same_bits() -> None:
    original = program(rate=0.3)
    original.model = nn.Sequential(original.model, nn.Dropout(0.3))
    one, two = (observe(twin_of(original), 12, 4) for _ in range(2))
    assert one.losses == two.losses
    assert one.digest == two.digest


def test_recording_puts_the_data_s_own_counter_and_generators_back() -> None:
    class Epochs:
        def __init__(self) -> None:
            self.epoch = 0
            self.numpy = np.random.default_rng(1)
            self.python = random.Random(1)

        def __iter__(self) -> Any:
            self.epoch += 1
            yield torch.tensor([self.numpy.random(), self.python.random(), float(self.epoch)])

    data = Epochs()
    tape = record(program(batches=data), 3)
    assert [float(batch[2]) for batch in tape.recorded] == [1.0, 2.0, 3.0]
    assert data.epoch == 0
    assert torch.equal(next(iter(data)), tape.recorded[0])


SCRIPT = """
import torch
from torch.nn import functional as F
from steadytrain.core.program import Program
model = torch.nn.Linear(6, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
count = 0

def loss_of(batch):
    return F.cross_entropy(model(batch[0]), batch[1])

def step(program, batch):
    global count
    count += 1
    optimizer.zero_grad()
    loss = loss_of(batch)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    return loss.detach()
"""


def test_a_script_whose_step_finds_everything_by_global_names_stays_as_it_is() -> None:
    scope: dict[str, Any] = {"__name__": "a_script"}
    exec(compile(SCRIPT, "a_script.py", "exec"), scope)
    original = Program(
        model=scope["model"], optimizer=scope["optimizer"], batches=batches(), step_fn=scope["step"]
    )
    before = digest_of(original)
    twin = run_a_twin(original)
    assert digest_of(original) == before != digest_of(twin)
    assert (scope["losses"], scope["count"]) == ([], 0)
    assert scope["step"] is original.step_fn
    assert twin.step_fn is not None
    assert len(twin.step_fn.__globals__["losses"]) == 5


def test_what_cannot_be_copied_is_built_anew_where_there_is_a_factory() -> None:
    def make(seed: int) -> Program:
        torch.manual_seed(seed)
        return program(extra={"lock": threading.Lock()})

    original = Program.from_factory(make, seed=3)
    before = torch.get_rng_state()
    twin = run_a_twin(original)
    assert twin.extra["lock"] is not original.extra["lock"]
    assert twin.batches is original.batches
    assert torch.equal(torch.get_rng_state(), before)


def test_a_twin_with_a_schedule_warns_of_nothing() -> None:
    original = program()
    optimizer = original.optimizer
    original.scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)
    twin = twin_of(original)
    st.train(twin, steps=4, progress=False)  # a warning would be an error here
    assert twin.optimizer.param_groups[0]["lr"] == pytest.approx(0.001)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert digest_of(original) == digest_of(program())
