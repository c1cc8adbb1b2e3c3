"""`train(guard=...)`: programs of every kind keep training, and resume, and say what was done."""

import math
import sys
from pathlib import Path

import pytest
import torch
from guarded_loops import poisoned
from torch import nn

import steadytrain as st
from steadytrain.core.errors import UsageError
from steadytrain.store.reader import read_run

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from training_programs import (
    assert_same,
    everything,
    make_program,
    mean_squared_error,
)


def train(program, steps, **options):
    return st.train(program, steps, **({"progress": False, "watch": False} | options))


def guard(**options):
    return st.Guard(**({"snapshot_every": 5} | options))


def own_step(program, batch):
    program.optimizer.zero_grad()
    loss = mean_squared_error(program.model, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(program.model.parameters(), 1.0)
    program.optimizer.step()
    program.scheduler.step()
    return loss.detach()


class Batches:
    """Batches without a random order, some of which may be replaced."""

    def __init__(self, count=40, bad=(), value=math.nan):
        generator = torch.Generator().manual_seed(3)
        self.items = []
        for place in range(count):
            inputs = torch.randn(8, 4, generator=generator)
            targets = inputs.sum(1, keepdim=True)
            self.items.append((poisoned(value) if place in bad else inputs, targets))

    def __iter__(self):
        return iter(self.items)

    def without(self, places):
        clean = Batches(0)
        clean.items = [item for place, item in enumerate(self.items) if place not in places]
        return clean


FIELDS = [
    {},
    {"precision": "bf16", "accumulate": 3},
    {"precision": "fp16", "clip": None},
    {"optimizer": "adamw", "clip": 0.01},
    {"step_fn": own_step},
]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("watch", [False, True])
def test_without_a_fault_no_bit_is_another(fields, watch):
    bare = make_program(**fields)
    train(bare, 24, watch=watch)
    end = everything(bare)
    guarded = make_program(**fields)
    run = train(guarded, 24, guard=guard(), watch=watch)
    assert_same(end, everything(guarded))
    assert run.events == []


@pytest.mark.parametrize("fields", [{}, {"precision": "fp16"}, {"step_fn": own_step}])
@pytest.mark.parametrize("bad", [{7}, {3, 4, 5, 6, 7, 8, 9, 10, 11}])
def test_bad_batches_end_as_if_they_had_never_come(fields, bad):
    data = Batches(bad=bad)
    clean = make_program(batches=data.without(bad), **fields)
    train(clean, 25)
    program = make_program(batches=data, **fields)
    run = train(program, 25, guard=guard())
    assert [event.kind for event in run.events] == ["skip"] * len(bad)
    if clean.scheduler is not None:
        assert program.scheduler.last_epoch == clean.scheduler.last_epoch
    if program.scaler is not None:  # what overflows is the scaler's case, and halves its scale
        assert program.scaler.get_scale() == clean.scaler.get_scale()
    assert_same(everything(clean), everything(program))


def test_damage_at_rest_is_healed_in_the_middle_of_a_shuffled_pass():
    straight = make_program(own_generator=True)
    train(straight, 30)
    end = everything(straight)
    program = make_program(own_generator=True)
    harm = []

    def loss_fn(model, batch):
        if program.step == 17 and not harm:
            harm.append(program.step)
            with torch.no_grad():
                model[0].weight[0, 0] = math.nan
        return mean_squared_error(model, batch)

    program.loss_fn = loss_fn
    run = train(program, 30, guard=guard())
    assert [event.kind for event in run.events] == ["rollback"]
    assert_same(end, everything(program))


def test_the_rows_count_on_while_the_steps_go_back(tmp_path):
    program, harm = make_program(), []

    def loss_fn(model, batch):
        if program.step == 17 and not harm:
            harm.append(program.step)
            with torch.no_grad():
                model[0].bias[0] = math.nan
        return mean_squared_error(model, batch)

    program.loss_fn = loss_fn
    run = train(program, 30, guard=guard(), watch=True, run_dir=tmp_path)
    assert program.step == 30
    assert run.history.measured("loss")[0].tolist() == list(range(32))
    saved = read_run(tmp_path)
    assert [(event.kind, event.step) for event in saved.events] == [("rollback", 17)]
    assert saved.events[0].evidence["to_step"] == 15


def test_what_nothing_helps_ends_the_run_with_whole_weights_and_evidence(tmp_path):
    program = make_program()
    program.loss_fn = lambda model, batch: (
        mean_squared_error(model, batch) * (math.nan if program.step >= 12 else 1.0)
    )
    run = train(program, 200, guard=guard(), run_dir=tmp_path, watch=True)
    assert run.interrupted
    assert run.events[-1].kind == "stop"
    assert (tmp_path / run.events[-1].evidence["bundle"]).is_file()
    assert all(p.isfinite().all() for p in program.model.parameters())
    assert math.isfinite(run.metrics["loss"])


def test_a_step_function_that_ruins_the_weights_is_undone():
    data = Batches(bad={9})
    program = make_program(batches=data, step_fn=own_step)
    run = train(program, 20, guard=guard())
    clean = make_program(batches=data.without({9}), step_fn=own_step)
    train(clean, 20)
    assert [event.kind for event in run.events] == ["skip"]
    assert_same(everything(clean), everything(program))


def test_an_exception_in_a_step_function_leaves_everything_as_before_the_step():
    def failing(program, batch):
        loss = own_step(program, batch)
        if program.step == 9:
            raise ZeroDivisionError
        return loss

    program = make_program(batches=Batches(), step_fn=failing)
    with pytest.raises(ZeroDivisionError):
        train(program, 20, guard=guard())
    straight = make_program(batches=Batches(), step_fn=own_step)
    train(straight, 9)
    assert program.step == 9
    assert_same(everything(straight), everything(program))


def test_further_models_and_optimizers_in_extra_are_restored():
    def turns(program, batch):
        critic, other = program.extra["critic"], program.extra["optimizer"]
        loss = mean_squared_error(program.model, batch)
        for optimizer in (program.optimizer, other):
            optimizer.zero_grad()
        (loss + critic(batch[0]).square().mean()).backward()
        program.optimizer.step()
        other.step()
        program.extra["count"] += 1
        return loss.detach()

    def build(batches):
        program = make_program(batches=batches, step_fn=turns)
        torch.manual_seed(9)
        critic = nn.Linear(4, 1)
        optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
        program.extra = {"critic": critic, "optimizer": optimizer, "count": 0}
        return program

    data = Batches(bad={6, 7})
    clean = build(data.without({6, 7}))
    train(clean, 20)
    end = everything(clean)
    program = build(data)
    train(program, 20, guard=guard())
    assert program.extra["count"] == clean.extra["count"] == 20
    one, other = (list(p.extra["critic"].parameters()) for p in (program, clean))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert_same(end, everything(program))


def test_a_resumed_run_goes_on_with_the_guard_it_had(tmp_path):
    data = Batches(bad={7, 19})
    straight = make_program(batches=data)
    train(straight, 25, guard=guard())
    end = everything(straight)
    train(make_program(batches=data), 13, guard=guard(), run_dir=tmp_path, checkpoint_every=5)
    program, again = make_program(batches=data), guard()
    run = train(program, 25, guard=again, run_dir=tmp_path, resume=True, checkpoint_every=5)
    assert_same(end, everything(program))
    assert again.num_skipped == 2
    assert [event.kind for event in run.events] == ["resume", "skip"]


def test_one_guard_serves_one_run_after_the_other():
    keeper = guard()
    program = make_program(batches=Batches(bad={3}))
    train(program, 10, guard=keeper)
    train(program, 20, guard=keeper)
    assert keeper.num_steps == 20
    keeper.attach(program.model, program.optimizer)
    with pytest.raises(UsageError, match="attached already"):
        train(program, 30, guard=keeper)


def test_lbfgs_in_a_step_function_is_undone_from_within():
    def closure_step(program, batch):
        def closure():
            program.optimizer.zero_grad()
            loss = mean_squared_error(program.model, batch)
            loss.backward()
            return loss

        return program.optimizer.step(closure).detach()

    def build(batches):
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
        return st.Program(model=model, optimizer=optimizer, batches=batches, step_fn=closure_step)

    data = Batches(bad={4})
    program, clean = build(data), build(data.without({4}))
    train(program, 8, guard=guard())
    train(clean, 8)
    assert_same(everything(clean), everything(program))
