"""Loops that are not one model and one optimizer: closures, turns, scalers, accumulation, odd tensors."""

import math

import pytest
import torch
from guarded_loops import Loop, loss_of, make_batches, poisoned
from torch import nn
from torch.utils.checkpoint import checkpoint

import steadytrain as st
from steadytrain.core.errors import UsageError
from steadytrain.store.reader import read_run


def run(model, optimizer, batches, loss=loss_of, **parts):
    """Trains under a guard; returns it."""
    guard = st.Guard(snapshot_every=5).attach(model, optimizer, **parts)
    for batch in guard.batches(batches):
        with guard.step(batch) as step:
            step.backward(loss(model, batch))
    return guard


def plain(model, optimizer, batches, loss=loss_of):
    for batch in batches:
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()


def assert_equal(one, other):
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    assert [name for (name, a), (_, b) in pairs if not torch.equal(a, b)] == []


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True))
        self.head = nn.Linear(8, 1)

    def forward(self, batch):
        return self.head(checkpoint(self.body, batch, use_reentrant=False))


class Uneven(nn.Module):
    """One layer is called three times, one never."""

    def __init__(self):
        super().__init__()
        self.shared, self.unused, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        self.tied = self.shared

    def forward(self, batch):
        for _ in range(2):
            batch = torch.tanh(self.shared(batch))
        return self.head(self.tied(batch))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 1, dtype=torch.complex64))

    def forward(self, batch):
        return (batch.to(torch.complex64) @ self.weight).abs()


class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4, sparse=True)

    def forward(self, batch):
        places = (batch.nan_to_num() * 3).long().clamp(0, 9)
        return (self.table(places).mean(-1) * batch).sum(1, keepdim=True)


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1, dtype=torch.bfloat16)

    def forward(self, batch):
        return self.linear(batch.to(torch.bfloat16)).float()


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 1)
        self.nothing = nn.Parameter(torch.zeros(0))

    def forward(self, batch):
        return self.head(self.body(batch)) + self.nothing.sum()


def lazy():
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(inplace=True), nn.LazyLinear(1))


def adam(model):
    if isinstance(model, Sparse):
        return torch.optim.SparseAdam(model.parameters(), lr=1e-2)
    return torch.optim.Adam(model.parameters(), lr=1e-2)


@pytest.mark.parametrize("build", [Checkpointed, Uneven, Complex, Sparse, Half, Frozen, lazy])
def test_models_of_every_kind_are_kept_from_a_bad_batch(build):
    batches = make_batches(24)
    torch.manual_seed(0)
    guarded = build()
    guard = run(guarded, adam(guarded), [*batches[:12], poisoned(), *batches[12:]])
    torch.manual_seed(0)
    bare = build()
    plain(bare, adam(bare), batches)
    assert [event.kind for event in guard.events] == ["skip"]
    assert_equal(bare, guarded)


def test_a_lazy_model_whose_first_batch_is_bad_trains_on():
    torch.manual_seed(0)
    model = lazy()
    guard = run(model, adam(model), [poisoned(), *make_batches(12)])
    assert guard.num_steps == 12
    assert all(p.isfinite().all() for p in model.parameters())


def closure_loop(batches, guard=None):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5, history_size=4)
    if guard is not None:
        guard.attach(model, optimizer)
    for batch in batches if guard is None else guard.batches(batches):

        def closure(batch=batch):
            optimizer.zero_grad()
            loss = loss_of(model, batch)
            loss.backward()
            return loss

        if guard is None:
            optimizer.step(closure)
        else:
            with guard.step(batch) as step:
                step.with_closure(closure)
    return model


def test_a_closure_optimizer_is_put_back_with_its_memory():
    batches = make_batches(12)
    guard = st.Guard()
    guarded = closure_loop([*batches[:6], poisoned(), *batches[6:]], guard)
    assert [event.kind for event in guard.events] == ["skip"]
    assert_equal(closure_loop(batches), guarded)


def test_a_closure_that_raises_leaves_the_weights_as_before():
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
    guard, calls = st.Guard().attach(model, optimizer), []
    before = model.weight.clone()

    def closure():
        calls.append(0)
        if len(calls) == 3:
            raise ZeroDivisionError
        optimizer.zero_grad()
        loss = loss_of(model, make_batches(1)[0])
        loss.backward()
        return loss

    def block():
        with guard.step() as step:
            step.with_closure(closure)

    with pytest.raises(ZeroDivisionError):
        block()
    assert torch.equal(before, model.weight)


def test_microbatches_of_one_block_are_one_step_of_their_mean():
    windows = [make_batches(24)[place : place + 4] for place in range(0, 24, 4)]
    guarded = Loop("sgd")
    guard = st.Guard().attach(guarded.model, guarded.optimizer)
    for window in windows:
        with guard.step() as step:
            for batch in window:
                step.backward(loss_of(guarded.model, batch))
    bare = Loop("sgd")
    for window in windows:
        for batch in window:
            (loss_of(bare.model, batch) / 4).backward()
        bare.optimizer.step()
        bare.optimizer.zero_grad()
    assert guard.num_steps == 6
    assert_equal(bare.model, guarded.model)


def test_microbatches_weigh_as_many_items_as_they_have():
    parts = make_batches(1, size=3)[0], make_batches(1, size=9, seed=2)[0]

    def linear():
        torch.manual_seed(0)
        return nn.Linear(4, 1)

    model, whole = linear(), linear()
    guard = st.Guard().attach(model, torch.optim.SGD(model.parameters(), lr=1.0))
    with guard.step() as step:
        for part in parts:
            step.backward(loss_of(model, part), items=len(part))
        mean = step.loss
    loss = loss_of(whole, torch.cat(parts))
    plain(whole, torch.optim.SGD(whole.parameters(), lr=1.0), [torch.cat(parts)])
    assert mean == pytest.approx(float(loss.detach()), rel=1e-6)
    torch.testing.assert_close(model.weight, whole.weight, rtol=1e-5, atol=1e-6)


def test_optimizers_that_take_turns_are_judged_and_stepped_apart():
    batches = make_batches(40)

    def train(batches, guard=None):
        torch.manual_seed(0)
        maker, critic = nn.Linear(4, 4), nn.Linear(4, 1)
        makers = torch.optim.Adam(maker.parameters(), lr=1e-2)
        critics = torch.optim.Adam(critic.parameters(), lr=1e-2)
        if guard is not None:
            guard.attach([maker, critic], [makers, critics])
        for batch in batches if guard is None else guard.batches(batches):
            for optimizer, sign in ((critics, 1.0), (makers, -1.0)):
                loss = sign * (critic(maker(batch)) - critic(batch)).mean()
                if guard is None:
                    loss.backward()
                    optimizer.step()
                    makers.zero_grad()
                    critics.zero_grad()
                else:
                    with guard.step(batch, optimizer=optimizer) as step:
                        step.backward(loss)
        return nn.ModuleList([maker, critic])

    guard = st.Guard()
    guarded = train([*batches[:20], poisoned(), *batches[20:]], guard)
    assert [event.kind for event in guard.events] == ["skip", "skip"]
    assert_equal(train(batches), guarded)


def test_a_foreign_optimizer_is_refused():
    loop = Loop().attach()
    with pytest.raises(UsageError, match="not attached"):
        loop.guard.step(optimizer=torch.optim.SGD(loop.model.parameters(), lr=0.1))


def half_loop(batches, guard=None, scale=2.0**10):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=7)
    if guard is not None:
        guard.attach(model, optimizer, scaler=scaler, clip=1.0)
    for batch in batches if guard is None else guard.batches(batches):
        with torch.autocast("cpu", dtype=torch.float16):
            if guard is None:
                scaler.scale(loss_of(model, batch)).backward()
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
            else:
                with guard.step(batch) as step:
                    step.backward(loss_of(model, batch))
    return model, scaler


def test_what_the_loss_scaler_skips_is_no_fault():
    batches = make_batches(60)
    guard = st.Guard()
    guarded, scaler = half_loop(batches, guard, scale=2.0**24)
    bare, own = half_loop(batches, scale=2.0**24)
    assert guard.events == []
    assert scaler.state_dict() == own.state_dict()
    assert scaler.get_scale() < 2.0**24
    assert_equal(bare, guarded)


def test_a_bad_batch_does_not_reach_the_loss_scale():
    batches = make_batches(40)
    guard = st.Guard()
    guarded, scaler = half_loop([*batches[:20], poisoned(), *batches[20:]], guard)
    bare, own = half_loop(batches)
    assert [event.kind for event in guard.events] == ["skip"]
    assert scaler.state_dict() == own.state_dict()
    assert_equal(bare, guarded)


def test_a_scale_that_is_at_its_floor_is_a_fault():
    guard = st.Guard()
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**-5)
    guard.attach(model, optimizer, scaler=scaler)

    class Endless(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * math.inf

    for batch in guard.batches(make_batches(3)):
        with guard.step(batch) as step:
            step.backward(Endless.apply(loss_of(model, batch)))
    assert [event.kind for event in guard.events] == ["skip"] * 3
    assert scaler.get_scale() == 2.0**-5


def test_a_one_shot_iterator_can_be_gone_back_in():
    batches = make_batches(30)
    loop = Loop().attach()
    harm = []

    def damage(place):
        if place == 17 and not harm:
            harm.append(place)
            loop.model[1].running_mean[0] = math.nan

    loop.guarded(iter(batches), before=damage)
    assert loop.kinds == ["rollback"]
    assert loop.guard.num_steps == 30


def test_a_loader_that_raises_leaves_the_run_as_it_was():
    def failing():
        yield from make_batches(5)
        raise OSError("the disk is gone")

    loop = Loop().attach()
    with pytest.raises(OSError, match="the disk is gone"):
        loop.guarded(failing())
    assert loop.guard.num_steps == 5


def test_a_loop_without_the_guards_batches_goes_on_after_a_rollback():
    loop = Loop().attach()
    for place, batch in enumerate(make_batches(40)):
        if place == 22:
            with torch.no_grad():
                loop.model[0].weight[0, 0] = math.nan
        with loop.guard.step(batch) as step:
            step.backward(loss_of(loop.model, batch))
    assert loop.kinds == ["rollback"]
    assert all(p.isfinite().all() for p in loop.model.parameters())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"optimizer": 3}, "optimizer"),
        ({"scheduler": object()}, "scheduler"),
        ({"ema": object()}, "ema"),
        ({"scaler": 3}, "scaler"),
        ({"clip": float("nan")}, "clip"),
        ({"clip": -1.0}, "clip"),
        ({"clip": "1.0"}, "clip"),
    ],
)
def test_a_part_that_cannot_be_what_it_was_given_as_is_said_at_once(arguments, said):
    model = nn.Linear(4, 1)
    given = {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1)} | arguments
    with pytest.raises(UsageError, match=said):
        st.Guard().attach(model, **given)


@pytest.mark.parametrize("loss", [3.0, torch.ones(2, requires_grad=True), torch.ones(())])
def test_a_loss_without_a_gradient_is_said_at_once(loss):
    loop = Loop().attach()

    def block():
        with loop.guard.step() as step:
            step.backward(loss)

    with pytest.raises(UsageError, match="expected a scalar that needs a gradient"):
        block()
    assert loop.guard.num_steps == 0


def test_detaching_leaves_no_hook_and_the_loop_its_own():
    loop = Loop().attach()
    loop.guarded(make_batches(5))
    loop.guard.detach()
    assert not loop.optimizer._optimizer_step_pre_hooks
    assert not loop.optimizer._optimizer_step_post_hooks
    with pytest.raises(UsageError, match="not attached"):
        loop.guard.step()


def test_a_guard_that_breaks_lets_training_go_on(monkeypatch, caplog):
    batches = make_batches()
    loop = Loop().attach()

    def broken(*_, **__):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("steadytrain.guard._judging.read", broken)
    loop.guarded(batches)
    assert "switched off" in caplog.text
    assert_equal(Loop().plain(batches).model, loop.model)


def test_the_watch_is_told_and_its_clip_used(tmp_path):
    loop = Loop()
    with st.watch(loop.model, loop.optimizer, run_dir=tmp_path) as watch:
        loop.attach(watch=watch)
        loop.guarded([*make_batches(12), poisoned(), *make_batches(12)])
        assert watch.step == 24
    assert [(event.kind, event.step) for event in read_run(tmp_path).events] == [("skip", 12)]
    assert "grad_norm_total" in watch.history
