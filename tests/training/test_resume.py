"""A run that was cut in two ends with the same bits as one that was not."""

import os
import random

import numpy as np
import pytest
import torch
from torch import nn
from training_programs import (
    OPTIMIZERS,
    assert_same,
    everything,
    make_data,
    make_model,
    make_program,
    mean_squared_error,
    seed_everything,
)

import steadytrain as st
from steadytrain.core.errors import ProgramError, StoreError, UsageError


def train(program, steps, run_dir=None, **options):
    options = {"watch": False, "progress": False} | options
    return st.train(program, steps, run_dir=run_dir, **options)


def straight_and_resumed(tmp_path, make, *, cut=11, steps=20):
    """A program trained at once, and its twin cut at a step and resumed from the disk."""
    straight = make()
    run = train(straight, steps)
    end = everything(straight)
    train(make(), cut, tmp_path / "run", checkpoint_every=cut)
    resumed = make()
    seed_everything(999)
    again = train(resumed, steps, tmp_path / "run", checkpoint_every=100, resume=True)
    assert_same(end, everything(resumed))
    assert again.metrics["loss"] == run.metrics["loss"]
    return straight, resumed


@pytest.mark.parametrize("own_generator", [False, True])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_resuming_in_mid_epoch_changes_no_bit(tmp_path, optimizer, own_generator):
    straight_and_resumed(
        tmp_path, lambda: make_program(optimizer=optimizer, own_generator=own_generator)
    )


@pytest.mark.parametrize("cut", [1, 5, 6, 12, 19])
def test_resuming_at_any_place_of_an_epoch_changes_no_bit(tmp_path, cut):
    straight_and_resumed(tmp_path, make_program, cut=cut)


def test_resuming_keeps_the_loss_scale_and_the_accumulation(tmp_path):
    def make():
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
        return make_program(precision="fp16", accumulate=3, scaler=scaler)

    _, resumed = straight_and_resumed(tmp_path, make)
    assert resumed.scaler.get_scale() > 64


def test_resuming_keeps_the_scaler_the_loop_made(tmp_path):
    straight_and_resumed(tmp_path, lambda: make_program(precision="fp16"))


def test_validation_changes_no_bit_of_training(tmp_path):
    def metric_fn(model, validation):
        return -float(mean_squared_error(model, next(iter(validation))).detach())

    loader = torch.utils.data.DataLoader(make_data(), batch_size=44, shuffle=True)

    def make(**fields):
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        return make_program(model=model, **fields)

    seed_everything(0)
    watched = make(validation=loader, metric_fn=metric_fn)
    seed_everything(0)
    blind = make()
    blind.model.load_state_dict(watched.model.state_dict())
    seed_everything(1)
    train(watched, 9, validate_every=2)
    seed_everything(1)
    train(blind, 9)
    assert_same(everything(watched), everything(blind))


class NoisyBatches:
    """Batches whose order and noise come from Python's and NumPy's generators."""

    def __iter__(self):
        order = list(range(6))
        random.shuffle(order)
        for place in order:
            inputs = torch.full((4, 4), float(place)) + torch.from_numpy(
                np.random.randn(4, 4).astype("float32")
            )
            yield inputs, inputs.sum(1, keepdim=True)


def test_resuming_goes_on_in_data_drawn_from_python_and_numpy(tmp_path):
    straight_and_resumed(tmp_path, lambda: make_program(batches=NoisyBatches()))


class NoisyItems(torch.utils.data.Dataset):
    def __len__(self):
        return 44

    def __getitem__(self, place):
        inputs = torch.randn(4) + place / 44
        return inputs, inputs.sum().reshape(1)


@pytest.mark.slow
def test_resuming_goes_on_in_data_drawn_by_worker_processes(tmp_path):
    def make():
        loader = torch.utils.data.DataLoader(
            NoisyItems(), batch_size=8, shuffle=True, num_workers=2
        )
        return make_program(batches=loader)

    straight_and_resumed(tmp_path, make, cut=8)


class StatefulBatches:
    """A loader that saves its own place, as torchdata's StatefulDataLoader does."""

    def __init__(self):
        self.place = 0
        self.num_read = 0

    def __iter__(self):
        while self.place < 6:
            self.place += 1
            self.num_read += 1
            inputs = torch.full((4, 4), float(self.place))
            yield inputs, inputs.sum(1, keepdim=True)
        self.place = 0

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place = state["place"]


def test_a_stateful_loader_is_asked_for_its_place_and_reads_nothing_twice(tmp_path):
    made = []

    def make():
        made.append(StatefulBatches())
        return make_program(batches=made[-1])

    straight_and_resumed(tmp_path, make, cut=11)
    assert made[-1].num_read == 9


def test_extra_parts_with_a_state_are_restored(tmp_path):
    def step_fn(program, batch):
        loss = mean_squared_error(program.model, batch)
        for optimizer in (program.optimizer, program.extra["second"]):
            optimizer.zero_grad()
        (loss + program.extra["critic"](batch[0]).square().mean()).backward()
        for optimizer in (program.optimizer, program.extra["second"]):
            optimizer.step()
        return loss

    def make():
        seed_everything(1)
        critic = nn.Linear(4, 1)
        second = torch.optim.Adam(critic.parameters())
        return make_program(step_fn=step_fn, extra={"critic": critic, "second": second, "n": 3})

    straight, resumed = straight_and_resumed(tmp_path, make)
    assert torch.equal(straight.extra["critic"].weight, resumed.extra["critic"].weight)
    assert resumed.extra["second"].state_dict()["state"][0]["step"] == 20


def test_a_buffer_that_the_model_does_not_save_is_restored(tmp_path):
    class Memory(nn.Linear):
        def __init__(self):
            seed_everything(1)
            super().__init__(4, 1)
            self.register_buffer("seen", torch.zeros(4), persistent=False)

        def forward(self, inputs):
            if self.training:
                self.seen = 0.9 * self.seen + inputs.mean(0).detach()
            return super().forward(inputs + self.seen)

    straight, resumed = straight_and_resumed(tmp_path, lambda: make_program(model=Memory()))
    assert torch.equal(straight.model.seen, resumed.model.seen)


def test_keeps_float32_moments_of_half_precision_parameters(tmp_path):
    class WideSGD(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    wide = self.state[p].setdefault("wide", p.detach().float())
                    wide.add_(p.grad.float(), alpha=-0.01)
                    p.data.copy_(wide)

    def make():
        seed_everything(0)
        model = nn.Linear(4, 1).bfloat16()
        optimizer = WideSGD(model.parameters(), lr=0.01)
        batches = [tuple(t.bfloat16() for t in make_data().tensors)]
        return st.Program(
            model=model, optimizer=optimizer, batches=batches, loss_fn=mean_squared_error
        )

    _, resumed = straight_and_resumed(tmp_path, make)
    assert resumed.optimizer.state[resumed.model.weight]["wide"].dtype == torch.float32


def test_the_schedule_and_the_counter_go_on(tmp_path):
    train(make_program(), 7, tmp_path, checkpoint_every=7)
    program = make_program()
    run = train(program, 9, tmp_path, resume=True)
    assert program.step == 9
    assert program.scheduler.last_epoch == 9
    assert [event.kind for event in run.events] == ["resume"]
    assert run.events[0].step == 7


def test_without_a_checkpoint_it_starts_from_the_beginning_and_says_so(tmp_path):
    run = train(make_program(), 2, tmp_path / "new", resume=True)
    assert run.metrics["steps"] == 2
    assert "started from step 0" in run.events[0].reason


def test_a_run_that_is_done_has_nothing_left_to_do(tmp_path):
    train(make_program(), 4, tmp_path, checkpoint_every=2)
    program = make_program()
    run = train(program, 4, tmp_path, resume=True)
    assert program.step == 4
    assert not run.interrupted


def test_keeps_the_last_two_checkpoints_and_the_last_step(tmp_path):
    train(make_program(), 11, tmp_path, checkpoint_every=3)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000000009.snapshot", "step-000000011.snapshot"]


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_noticed_and_the_one_before_is_used(tmp_path):
    train(make_program(), 6, tmp_path, checkpoint_every=3)
    flip_a_bit(tmp_path / "checkpoints" / "step-000000006.snapshot")
    program = make_program()
    with pytest.warns(RuntimeWarning, match="step-000000006.snapshot.*does not have the hash"):
        run = train(program, 8, tmp_path, resume=True)
    assert run.events[0].step == 3
    resumed = everything(program)
    straight = make_program()
    train(straight, 8)
    assert_same(everything(straight), resumed)


def test_refuses_to_start_over_when_every_checkpoint_is_damaged(tmp_path):
    train(make_program(), 6, tmp_path, checkpoint_every=3)
    for path in (tmp_path / "checkpoints").glob("*.snapshot"):
        flip_a_bit(path)
    with pytest.raises(StoreError, match="no checkpoint"):
        train(make_program(), 8, tmp_path, resume=True)


def files_of(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": make_model(width=9)}, r"model\.0\.weight as torch.float32 \[8, 4\]"),
        ({"optimizer": "adamw"}, "its optimizer is a SGD, here is a AdamW"),
        ({"scheduler": None}, "it holds model, optimizer, scheduler"),
        ({"extra": {"ema": nn.Linear(1, 1)}}, "ema"),
    ],
)
def test_refuses_a_checkpoint_of_another_program_and_changes_nothing(tmp_path, fields, says):
    train(make_program(), 3, tmp_path, checkpoint_every=3)
    files, program = files_of(tmp_path), make_program(**fields)
    before = everything(program)
    with pytest.raises(UsageError, match=says):
        train(program, 8, tmp_path, resume=True)
    assert program.step == 0
    assert_same(before, everything(program))
    assert files_of(tmp_path) == files


def test_refuses_data_that_ends_before_the_place_is_reached(tmp_path):
    train(make_program(), 5, tmp_path, checkpoint_every=5)
    short = torch.utils.data.DataLoader(make_data(16), batch_size=8)
    with pytest.raises(UsageError, match=r"ends after 2"):
        train(make_program(batches=short), 8, tmp_path, resume=True)


def test_warns_where_the_checkpoints_settings_win(tmp_path):
    train(make_program(), 3, tmp_path, checkpoint_every=3)
    program = make_program()
    program.optimizer.param_groups[0]["momentum"] = 0.5
    with pytest.warns(RuntimeWarning, match=r"group 0 momentum 0.9 \(not 0.5\)"):
        train(program, 4, tmp_path, resume=True)


@pytest.mark.parametrize("options", [{}, {"checkpoint_every": 1}])
def test_refuses_a_directory_that_holds_a_run_and_touches_nothing(tmp_path, options):
    train(make_program(), 3, tmp_path, checkpoint_every=3)
    files = files_of(tmp_path)
    with pytest.raises(UsageError, match=r"resume=True.*another run_dir"):
        train(make_program(), 3, tmp_path, **options)
    assert files_of(tmp_path) == files


def test_refuses_state_that_only_code_could_restore_before_the_first_step(tmp_path):
    class Odd:
        def state_dict(self):
            return {"when": range(3)}

        def load_state_dict(self, state): ...

    program = make_program(extra={"odd": Odd()})
    with pytest.raises(ProgramError, match=r"odd.*when.*range"):
        train(program, 3, tmp_path / "run", checkpoint_every=3)
    assert program.step == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where it may not")
def test_a_directory_that_refuses_costs_a_warning_not_the_run(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.warns(RuntimeWarning, match="could not be written"):
        run = train(make_program(), 3, tmp_path / "run", checkpoint_every=1)
    assert run.metrics["steps"] == 3


def test_a_full_disk_costs_one_warning_and_no_earlier_checkpoint(tmp_path, monkeypatch):
    train(make_program(), 3, tmp_path, checkpoint_every=3)
    files = files_of(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="No space left") as caught:
        run = train(make_program(), 6, tmp_path, checkpoint_every=1, resume=True)
    assert len(caught) == 1
    assert run.metrics["steps"] == 6
    assert files_of(tmp_path) == files


class Annealed(nn.Module):
    """A weight that is annealed with the calls, and a rate that nobody changes."""

    def __init__(self, rate):
        super().__init__()
        seed_everything(2)
        self.inner = nn.Linear(4, 1)
        self.rate = rate
        self.num_calls = 0

    def forward(self, inputs):
        self.num_calls += 1
        return self.inner(inputs) * min(1.0, self.rate * self.num_calls)


def test_a_counter_outside_the_buffers_is_resumed(tmp_path):
    _, resumed = straight_and_resumed(tmp_path, lambda: make_program(model=Annealed(0.1)))
    assert resumed.model.num_calls == 20


def test_a_setting_that_was_changed_in_the_code_stays_changed(tmp_path):
    train(make_program(model=Annealed(0.1)), 5, tmp_path, checkpoint_every=5)
    program = make_program(model=Annealed(0.2))
    train(program, 8, tmp_path, checkpoint_every=1, resume=True)
    assert program.model.rate == 0.2
    assert program.model.num_calls == 8
    again = make_program(model=Annealed(0.3))
    train(again, 9, tmp_path, resume=True)
    assert (again.model.rate, again.model.num_calls) == (0.3, 9)
