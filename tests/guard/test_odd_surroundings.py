"""Optimizers that are not torch's, disks that refuse, blocks that raise: training is none the worse."""

import errno
import math

import pytest
import torch
from guarded_loops import loss_of, make_batches, poisoned
from torch import nn

import steadytrain as st
from steadytrain.guard import Policy


class OwnMomentum:
    """An optimizer with groups and a state, and nothing else of torch's."""

    def __init__(self, params, rate=0.05):
        self.param_groups = [{"params": list(params), "lr": rate}]
        self.state = {p: {"speed": torch.zeros_like(p)} for p in self.param_groups[0]["params"]}

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    speed = self.state[p]["speed"].mul_(0.9).add_(p.grad)
                    p.sub_(speed, alpha=group["lr"])

    def zero_grad(self):
        for p in self.param_groups[0]["params"]:
            p.grad = None


def train(batches, guard=None, before=lambda place, model: None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = OwnMomentum(model.parameters())
    if guard is not None:
        guard.attach(model, optimizer)
    for place, batch in enumerate(batches if guard is None else guard.batches(batches)):
        before(place, model)
        if guard is None:
            loss_of(model, batch).backward()
            optimizer.step()
            optimizer.zero_grad()
        else:
            with guard.step(batch) as step:
                step.backward(loss_of(model, batch))
    return model


def assert_equal(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_an_optimizer_without_hooks_is_kept_from_a_bad_batch():
    batches = make_batches(30)
    guard = st.Guard(snapshot_every=5)
    guarded = train([*batches[:12], poisoned(), *batches[12:]], guard)
    assert [event.kind for event in guard.events] == ["skip"]
    assert_equal(train(batches), guarded)


def test_an_optimizer_without_hooks_is_put_back_with_its_state():
    harm = []

    def damage(place, model):
        if place == 17 and not harm:
            harm.append(place)
            model[0].weight.data[0, 0] = math.nan

    guard = st.Guard(snapshot_every=5)
    guarded = train(make_batches(30), guard, damage)
    assert "rollback" in [event.kind for event in guard.events]
    assert all(p.isfinite().all() for p in guarded.parameters())
    assert_equal(train(make_batches(30)), guarded)


def stopped(run_dir):
    """A guard that gives up at once, with its evidence going to a directory."""
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = st.Guard(Policy(max_rollbacks=0)).attach(model, optimizer, run_dir=run_dir)
    for place, batch in enumerate(guard.batches(make_batches(8))):
        if place == 4:
            model.weight.data.fill_(math.nan)
        with guard.step(batch) as step:
            step.backward(loss_of(model, batch))
    return guard, model


def test_a_directory_that_cannot_be_made_costs_the_evidence_only(tmp_path, caplog):
    (tmp_path / "file").write_text("not a directory")
    guard, model = stopped(tmp_path / "file" / "run")
    assert guard.events[-1].kind == "stop"
    assert "bundle" not in guard.events[-1].evidence
    assert model.weight.isfinite().all()
    assert "could not be written" in caplog.text


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_costs_the_evidence_only(tmp_path, monkeypatch, caplog, code):
    def refuse(*_, **__):
        raise OSError(code, "refused")

    monkeypatch.setattr("steadytrain.guard.evidence.os.open", refuse)
    guard, model = stopped(tmp_path)
    assert guard.stopped
    assert model.weight.isfinite().all()
    assert list(tmp_path.iterdir()) == []
    assert "could not be written" in caplog.text


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_a_block_raises_goes_on_with_its_traceback(error):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    guard = st.Guard().attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def guilty_function():
        raise error("the user's own")

    def block():
        with guard.step() as step:
            step.backward(loss_of(model, make_batches(1)[0]))
            guilty_function()

    with pytest.raises(error, match="the user's own") as caught:
        block()
    assert caught.traceback[-1].name == "guilty_function"
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
