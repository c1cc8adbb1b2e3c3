"""A training run is written, validated and closed, whatever ends it."""

import math
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from training_programs import assert_same, everything, make_program, mean_squared_error

import steadytrain as st
from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.store.reader import read_run
from steadytrain.training.record import BareRecord


def train(program, steps, **options):
    return st.train(program, steps, **({"progress": False} | options))


FEATURES = [
    {},
    {"precision": "bf16", "accumulate": 3},
    {"precision": "fp16", "clip": None},
    {"optimizer": "adamw", "clip": 0.01},
]


@pytest.mark.parametrize("fields", FEATURES)
def test_watching_changes_no_bit(tmp_path, fields):
    bare = make_program(**fields)
    train(bare, 12, watch=False)
    end = everything(bare)
    watched = make_program(**fields)
    train(watched, 12, run_dir=tmp_path, every=3)
    assert_same(end, everything(watched))


@pytest.mark.parametrize("fields", [{}, {"accumulate": 3}, {"clip": None, "accumulate": 2}])
def test_the_watch_and_the_bare_record_hold_the_same_losses(fields):
    watched = train(make_program(**fields), 12, every=3)
    bare = train(make_program(**fields), 12, watch=False)
    assert watched.history.series("loss").tolist() == bare.history.series("loss").tolist()


def test_the_run_is_on_disk_row_for_row(tmp_path):
    run = train(make_program(), 12, run_dir=tmp_path / "a", name="first")
    saved = read_run(run.run_dir)
    assert saved.missing == []
    assert saved.meta["name"] == "first"
    assert saved.history.steps.tolist() == list(range(12))
    assert saved.history.series("loss").tolist() == run.history.series("loss").tolist()
    assert "grad_norm" in saved.history


def test_a_resumed_run_has_every_row_once_and_those_of_the_straight_run(tmp_path):
    straight = train(make_program(), 20)
    train(make_program(), 13, run_dir=tmp_path, checkpoint_every=5)
    (tmp_path / "checkpoints" / "step-000000013.snapshot").unlink()
    again = train(make_program(), 20, run_dir=tmp_path, resume=True, checkpoint_every=5)
    saved = read_run(tmp_path)
    assert saved.history.steps.tolist() == list(range(20))
    assert saved.history.series("loss").tolist() == straight.history.series("loss").tolist()
    assert [(event.kind, event.step) for event in saved.events] == [("resume", 10)]
    assert again.metrics["loss"] == straight.metrics["loss"]
    assert again.metrics["repeated_steps"] == 3


def test_a_resumed_run_that_does_not_repeat_what_was_logged_says_so(tmp_path):
    train(make_program(), 13, run_dir=tmp_path, checkpoint_every=5)
    (tmp_path / "checkpoints" / "step-000000013.snapshot").unlink()
    changed = [(inputs + 0.01, targets) for inputs, targets in make_program().batches]
    with pytest.warns(RuntimeWarning, match=r"loss of step 1\d is .*3 of 3 steps differ"):
        again = train(make_program(batches=changed), 20, run_dir=tmp_path, resume=True)
    assert again.metrics["repeated_steps"] == 0
    assert [event.kind for event in again.events] == ["resume", "resume"]
    assert read_run(tmp_path).history.steps.tolist() == list(range(20))


def test_the_outcome_has_its_numbers():
    run = train(make_program(), 5)
    assert run.metrics["steps"] == 5
    assert run.metrics["steps_per_second"] == pytest.approx(5 / run.metrics["seconds"])
    assert run.metrics["loss"] == pytest.approx(run.history.series("loss")[-1])
    assert run.findings() == run.findings()
    assert not run.interrupted


def test_a_loss_that_became_nan_is_nan_in_the_outcome():
    program = make_program()
    program.loss_fn = lambda model, batch: mean_squared_error(model, batch) * math.nan
    run = train(program, 2, watch=False)
    assert math.isnan(run.metrics["loss"])
    assert run.history.series("loss_num_nonfinite").tolist() == [1, 1]


@pytest.mark.parametrize("watch", [True, False])
def test_validates_at_its_period_and_after_the_last_step(watch):
    seen = []

    def metric_fn(model, validation):
        seen.append((program.step, model.training, validation))
        return torch.tensor(0.5 + program.step)

    program = make_program(metric_fn=metric_fn, validation="held out")
    run = train(program, 7, validate_every=3, watch=watch)
    assert seen == [(step, True, "held out") for step in (3, 6, 7)]
    steps, values = run.history.measured("validation_metric")
    assert (steps.tolist(), values[:, 0].tolist()) == ([2, 5, 6], [3.5, 6.5, 7.5])
    assert run.metrics["validation_metric"] == 7.5


def test_does_not_validate_the_last_step_twice():
    seen = []
    program = make_program(metric_fn=lambda model, validation: seen.append(0) or 1.0)
    train(program, 6, validate_every=3, watch=False)
    assert len(seen) == 2


def test_leaves_training_and_evaluation_mode_alone():
    program = make_program()
    program.model[3].eval()
    train(program, 3, validate_every=1)
    assert [module.training for module in program.model] == [True, True, True, False, True]


def test_refuses_a_metric_that_is_no_number():
    program = make_program(metric_fn=lambda model, validation: "good")
    with pytest.raises(ProgramError, match=r"metric_fn returned a str"):
        train(program, 2, watch=False)


def failing_at(step, error):
    def loss_fn(model, batch):
        loss_fn.calls += 1
        if loss_fn.calls > step:
            raise error
        return mean_squared_error(model, batch)

    loss_fn.calls = 0
    return loss_fn


def test_an_exception_goes_through_unchanged_and_the_run_is_readable(tmp_path):
    error = KeyError("pixels")
    program = make_program(loss_fn=failing_at(7, error))
    with pytest.raises(KeyError) as caught:
        train(program, 20, run_dir=tmp_path)
    saved = read_run(tmp_path)
    assert caught.value is error
    assert saved.missing == []
    assert saved.history.measured("loss")[0].tolist() == list(range(7))
    assert [(e.kind, e.reason) for e in saved.events] == [("stop", "KeyError: 'pixels'")]
    assert not program.model._forward_hooks


def test_a_broken_device_does_not_hide_what_broke_it(monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error: device-side assert triggered")

    error = KeyError("label 11")
    monkeypatch.setattr(BareRecord, "flush", broken)
    with pytest.raises(KeyError) as caught:
        train(make_program(loss_fn=failing_at(3, error)), 20, watch=False)
    assert caught.value is error


def test_a_keyboard_interrupt_from_within_returns_the_run(tmp_path):
    program = make_program(loss_fn=failing_at(7, KeyboardInterrupt()))
    run = train(program, 20, run_dir=tmp_path)
    assert run.interrupted
    assert [event.kind for event in read_run(tmp_path).events] == ["stop"]
    assert run.metrics["steps"] == 7


@pytest.fixture(autouse=True)
def listening_to_ctrl_c():
    """A shell that starts the tests in the background has them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pressing_ctrl_c(program, at, times=1):
    def loss_fn(model, batch):
        if program.step == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return mean_squared_error(model, batch)

    program.loss_fn = loss_fn
    return program


def test_ctrl_c_finishes_the_step_saves_and_returns_the_run(tmp_path):
    program = pressing_ctrl_c(make_program(), at=4)
    run = train(program, 20, run_dir=tmp_path, checkpoint_every=100)
    assert run.interrupted
    assert program.step == 5
    assert "Ctrl-C after 5 steps" in run.events[-1].reason
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed, straight = make_program(), make_program()
    train(straight, 20)
    end = everything(straight)
    train(resumed, 20, run_dir=tmp_path, resume=True)
    assert_same(end, everything(resumed))


def test_ctrl_c_that_ends_the_loaders_workers_too_returns_the_run(tmp_path):
    def batches():
        yield torch.ones(2, 4), torch.ones(2, 1)
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("DataLoader worker (pid 7) exited unexpectedly")

    run = train(make_program(batches=batches()), 20, run_dir=tmp_path)
    assert run.interrupted
    assert run.metrics["steps"] == 1
    assert read_run(tmp_path).missing == []


def test_a_second_ctrl_c_leaves_at_once_and_the_run_is_readable(tmp_path):
    program = pressing_ctrl_c(make_program(), at=4, times=2)
    with pytest.raises(KeyboardInterrupt):
        train(program, 20, run_dir=tmp_path)
    assert program.step == 4
    assert read_run(tmp_path).missing == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_leaves_the_users_own_signal_handler_alone():
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:
        run = train(pressing_ctrl_c(make_program(), at=2), 4)
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [1]
    assert not run.interrupted


def test_trains_in_another_thread():
    program = make_program()
    thread = threading.Thread(target=train, args=(program, 3))
    thread.start()
    thread.join()
    assert program.step == 3


class Nothing:
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize("batches", [iter(()), Nothing()])
def test_an_empty_loader_is_an_error_and_the_run_is_readable(tmp_path, batches):
    with pytest.raises(ProgramError, match="got no batch from a whole pass"):
        train(make_program(batches=batches), 3, run_dir=tmp_path)
    assert read_run(tmp_path).events[-1].kind == "stop"


def test_data_that_can_be_read_once_only_is_named_on_the_second_pass():
    class Once:
        def __init__(self):
            self.source = iter([(torch.ones(2, 4), torch.ones(2, 1))] * 3)

        def __iter__(self):
            return self.source

    with pytest.raises(ProgramError, match="pass 2 over the data"):
        train(make_program(batches=Once()), 5, watch=False)


def test_tells_a_distributed_sampler_the_epoch():
    epochs = []

    class Sampler(torch.utils.data.SequentialSampler):
        def set_epoch(self, epoch):
            epochs.append(epoch)

    data = torch.utils.data.TensorDataset(torch.ones(8, 4), torch.ones(8, 1))
    loader = torch.utils.data.DataLoader(data, batch_size=4, sampler=Sampler(data))
    train(make_program(batches=loader), 5, watch=False)
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"steps": 2.0},
        {"steps": True},
        {"checkpoint_every": 0, "run_dir": "x"},
        {"validate_every": -1},
        {"checkpoint_every": 5},
        {"resume": True},
        {"guard": True},
        {"guard": st.Guard},
        {"run_dir": 3},
        {"run_dir": ""},
        {"program": None},
        {"program": torch.nn.Linear(2, 1)},
    ],
)
def test_refuses_a_call_that_cannot_mean_what_was_written(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        train(**({"program": make_program(), "steps": 3} | options))


def test_takes_numbers_of_numpy_and_says_in_a_line_what_happened(tmp_path):
    run = train(make_program(), np.int64(3), validate_every=np.int32(2), run_dir=tmp_path / "run")
    assert run.metrics["steps"] == 3
    assert str(run).startswith(f"3 steps, loss {run.metrics['loss']:.4g}, 0 findings, 0 events")
    assert str(tmp_path / "run") in str(run)


def test_refuses_to_train_a_program_that_is_done():
    program = make_program()
    train(program, 3, watch=False)
    with pytest.raises(UsageError, match="finished 3 steps already"):
        train(program, 3, watch=False)
    assert train(program, 5).history.steps.tolist() == [3, 4]


def test_refuses_a_scheduler_that_steps_on_a_metric():
    program = make_program()
    program.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(program.optimizer)
    with pytest.raises(ProgramError, match="ReduceLROnPlateau"):
        train(program, 3)


def test_refuses_weights_without_values():
    program = make_program()
    program.model.to("meta")
    with pytest.raises(ProgramError, match=r"'0.weight' is on the meta device"):
        train(program, 3)


def test_refuses_a_directory_that_holds_a_run_without_checkpoints(tmp_path):
    train(make_program(), 3, run_dir=tmp_path)
    before = read_run(tmp_path)
    with pytest.raises(UsageError, match="holds a run already"):
        train(make_program(), 3, run_dir=tmp_path)
    assert read_run(tmp_path).history.steps.tolist() == before.history.steps.tolist()


def test_resuming_a_run_without_checkpoints_starts_over_and_says_so(tmp_path):
    train(make_program(), 9, run_dir=tmp_path)
    run = train(make_program(), 4, run_dir=tmp_path, resume=True)
    saved = read_run(tmp_path)
    assert saved.history.steps.tolist() == [0, 1, 2, 3]
    assert [event.reason for event in saved.events] == [run.events[0].reason]
    assert "started from step 0" in run.events[0].reason


def test_a_directory_with_other_files_is_no_run(tmp_path):
    (tmp_path / "config.toml").write_text("x = 1")
    assert train(make_program(), 2, run_dir=tmp_path).metrics["steps"] == 2


def test_a_user_step_with_two_optimizers_resumes_its_rows(tmp_path):
    def step_fn(program, batch):
        inputs, targets = batch
        for _ in range(2):
            program.optimizer.zero_grad()
            loss = ((program.model(inputs) - targets) ** 2).mean()
            loss.backward()
            program.optimizer.step()
        return loss

    def make():
        return make_program(step_fn=step_fn, scheduler=None)

    straight = train(make(), 6)
    train(make(), 4, run_dir=tmp_path, checkpoint_every=4)
    train(make(), 6, run_dir=tmp_path, resume=True)
    saved = read_run(tmp_path).history
    assert saved.steps.tolist() == list(range(12))
    norms = straight.history.window("grad_norm")
    assert saved.window("grad_norm").tolist() == norms.tolist()


def test_no_generator_is_touched_by_importing_and_training():
    code = (
        "import random, torch, steadytrain as st\n"
        "m = torch.nn.Linear(1, 1, bias=False); o = torch.optim.SGD(m.parameters(), lr=0.1)\n"
        "p = st.Program(model=m, optimizer=o, batches=[torch.ones(1)],"
        " loss_fn=lambda m, b: m(b).sum())\n"
        "random.seed(0); state = random.getstate()\n"
        "st.train(p, 3)\n"
        "assert random.getstate() == state\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_copy_of_a_trained_program_trains_on_by_itself():
    program = make_program()
    train(program, 2)
    before, twin = everything(program), program.copy()
    train(twin, 4)
    assert (program.step, twin.step) == (2, 4)
    weights = "/0/0/0.weight"
    assert torch.equal(everything(program)[weights], before[weights])
    assert not torch.equal(everything(twin)[weights], before[weights])


@pytest.fixture
def told_to_end():
    """SIGTERM as a process finds it at its start."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def being_preempted(program, at):
    def loss_fn(model, batch):
        if program.step == at:
            signal.raise_signal(signal.SIGTERM)
        return mean_squared_error(model, batch)

    program.loss_fn = loss_fn
    return program


@pytest.mark.usefixtures("told_to_end")
@pytest.mark.parametrize("checkpoint_every", [None, 100])
def test_sigterm_finishes_the_step_saves_and_leaves_with_its_code(tmp_path, checkpoint_every):
    program = being_preempted(make_program(), at=4)
    with pytest.raises(SystemExit) as left:
        train(program, 20, run_dir=tmp_path, checkpoint_every=checkpoint_every)
    assert left.value.code == 143
    assert program.step == 5
    saved = read_run(tmp_path)
    assert saved.missing == []
    assert "SIGTERM after 5 steps" in saved.events[-1].reason
    resumed, straight = make_program(), make_program()
    train(straight, 20)
    end = everything(straight)
    train(resumed, 20, run_dir=tmp_path, resume=True)
    assert_same(end, everything(resumed))
