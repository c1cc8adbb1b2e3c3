"""Loops that are not one optimizer after one backward are trained as without the watch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from watched_runs import OPTIMIZERS, equal, everything, seed_all
from watched_zoo import cnn, dropout_net, mlp

import steadytrain as st


class Unwatched:
    """What a loop calls, without a watch."""

    def clip_grad_norm_(self, max_norm, parameters):
        return nn.utils.clip_grad_norm_(parameters, max_norm)

    def log(self, **values):
        pass

    def close(self):
        pass


def both(loop, **options):
    """The states that `loop` leaves without and with the watch, and the watch."""
    states = []
    for watched in (False, True):
        seed_all()
        steps = loop()
        models, optimizers, extra = next(steps)
        watch = st.watch(models, optimizers, **extra, **options) if watched else Unwatched()
        with pytest.raises(StopIteration):
            steps.send(watch)
        watch.close()
        states.append(everything(models, optimizers))
    assert not [f for f in watch.findings() if f.rule.startswith("broken")]
    return *states, watch


def unchanged(loop, **options):
    without, with_watch, watch = both(loop, **options)
    assert equal(without, with_watch)
    return watch


def gan(num_critic_steps, *, clip=None, set_to_none=True):
    def loop():
        generator, critic = (
            mlp(),
            nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)),
        )
        optimizers = [
            torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9)),
            torch.optim.RMSprop(critic.parameters(), lr=1e-3),
        ]
        watch = yield [generator, critic], optimizers, {}
        for _ in range(4):
            for _ in range(num_critic_steps):
                optimizers[1].zero_grad(set_to_none=set_to_none)
                fake = generator(torch.randn(6, 8))
                loss = critic(fake.detach()).mean() - critic(torch.randn(6, 4)).mean()
                loss.backward()
                if clip is not None:
                    watch.clip_grad_norm_(clip, parameters=critic.parameters())
                optimizers[1].step()
                watch.log(loss=loss)
            optimizers[0].zero_grad(set_to_none=set_to_none)
            (-critic(generator(torch.randn(6, 8))).mean()).backward()
            if clip is not None:
                watch.clip_grad_norm_(clip, parameters=generator.parameters())
            optimizers[0].step()

    return loop


@pytest.mark.parametrize("num_critic_steps", [1, 5])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_optimizers_that_take_turns(num_critic_steps, clip):
    unchanged(gan(num_critic_steps, clip=clip), every=1)


def simple(optimizer_of, step_of, model_of=dropout_net, steps=5, **extra):
    """A loop with one model whose step is `step_of(model, optimizer, loss_of, watch)`."""

    def loop():
        model = model_of()
        optimizer = optimizer_of(model.parameters())
        watch = yield [model], [optimizer], extra
        for step in range(steps):
            step_of(model, optimizer, watch, step)

    return loop


def loss_of(model):
    batch = torch.randn(6, 1, 8, 8) if isinstance(model[0], nn.Conv2d) else torch.randn(6, 8)
    return F.cross_entropy(model(batch), torch.randint(4, (6,)))


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_that_are_cleared_in_either_way(set_to_none):
    def step_of(model, optimizer, watch, step):
        loss_of(model).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=set_to_none)

    unchanged(simple(OPTIMIZERS["adamw"], step_of), every=1)


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd", "adamw"])
def test_a_closure(optimizer):
    def step_of(model, optimizer, watch, step):
        def closure():
            optimizer.zero_grad()
            loss = model(torch.ones(6, 8)).square().mean()
            loss.backward()
            return loss

        watch.log(loss=optimizer.step(closure))

    optimizers = OPTIMIZERS | {"lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=5)}
    watch = unchanged(simple(optimizers[optimizer], step_of, mlp), every=1)
    assert watch.step == 5
    evaluations = watch.history.series("num_microbatches")
    assert (evaluations > 1).all() if optimizer == "lbfgs" else (evaluations == 1).all()


def test_sparse_gradients():
    def step_of(model, optimizer, watch, step):
        model(torch.randint(20, (4, 3))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    watch = unchanged(
        simple(
            lambda params: torch.optim.SparseAdam(list(params), lr=0.01),
            step_of,
            lambda: nn.Sequential(nn.EmbeddingBag(20, 4, sparse=True, mode="sum")),
        ),
        every=1,
    )
    assert (watch.history.window("grad_norm") > 0).all()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscale", [False, True])
def test_a_loss_scaler_that_really_skips(fused, unscale):
    scalers = []

    def loop():
        model = mlp()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
        scalers.append(scaler)
        watch = yield [model], [optimizer], {"scaler": scaler}
        for step in range(8):
            loss = loss_of(model) * (float("inf") if step in (2, 5) else 1.0)
            scaler.scale(loss).backward()
            if unscale:
                scaler.unscale_(optimizer)
                watch.clip_grad_norm_(0.5, parameters=model.parameters())
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            watch.log(loss=loss)

    unchanged(loop, every=1)
    assert scalers[0].get_scale() == scalers[1].get_scale()


def test_parameters_that_are_frozen_and_thawed():
    def step_of(model, optimizer, watch, step):
        model[0].requires_grad_(step >= 2)
        loss_of(model).backward()
        optimizer.step()
        optimizer.zero_grad()

    unchanged(simple(OPTIMIZERS["adamw"], step_of), every=1)


def test_a_layer_that_is_added_on_the_way():
    def step_of(model, optimizer, watch, step):
        if step == 2:
            model.append(nn.Linear(4, 4))
            optimizer.add_param_group({"params": model[-1].parameters(), "lr": 0.1})
        loss_of(model).backward()
        watch.clip_grad_norm_(
            0.01, **({} if hasattr(watch, "history") else {"parameters": model.parameters()})
        )
        optimizer.step()
        optimizer.zero_grad()

    watch = unchanged(simple(OPTIMIZERS["sgd"], step_of), every=1)
    norms = watch.history.window("grad_norm")
    assert norms.shape == (5, 6)
    assert (norms[2:, 4:] > 0).all()


def test_a_layer_that_is_replaced_on_the_way():
    def step_of(model, optimizer, watch, step):
        if step == 2:
            old = list(model[3].parameters())
            model[3] = nn.Linear(16, 4)
            group = optimizer.param_groups[0]
            kept = [p for p in group["params"] if not any(p is q for q in old)]
            group["params"] = [*kept, *model[3].parameters()]
            for param in old:
                del optimizer.state[param]
        loss_of(model).backward()
        watch.clip_grad_norm_(
            0.01, **({} if hasattr(watch, "history") else {"parameters": model.parameters()})
        )
        optimizer.step()
        model.zero_grad()

    def step_that_leaves_old_gradients(model, optimizer, watch, step):
        step_of(model, optimizer, watch, step)
        loss_of(model).backward()

    unchanged(simple(OPTIMIZERS["sgd"], step_of), every=1)
    unchanged(simple(OPTIMIZERS["sgd"], step_that_leaves_old_gradients), every=1)


def lazy():
    layers = [nn.LazyLinear(16), nn.ReLU(), nn.LazyBatchNorm1d()]
    return nn.Sequential(*layers, *[nn.LazyLinear(8) for _ in range(4)], nn.LazyLinear(4))


def test_a_model_that_is_built_by_its_first_batch():
    def step_of(model, optimizer, watch, step):
        loss_of(model).backward()
        optimizer.step()
        optimizer.zero_grad()

    watch = unchanged(simple(OPTIMIZERS["adamw"], step_of, lazy), every=1)
    assert (watch.history.window("param_norm")[-1] >= 0).all()
    assert (watch.history.window("update_norm")[-1] > 0).all()


def test_a_model_that_changes_its_precision_on_the_way():
    def step_of(model, optimizer, watch, step):
        if step == 2:
            model.double()
        loss = model(torch.ones(6, 8, dtype=model[0].weight.dtype)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    watch = unchanged(simple(OPTIMIZERS["sgd"], step_of), every=1)
    assert (watch.history.window("update_norm") > 0).all()


@pytest.mark.parametrize("watched_first", [True, False])
def test_weights_that_are_averaged_and_swapped(watched_first):
    def step_of(model, optimizer, watch, step):
        averaged = torch.optim.swa_utils.AveragedModel(model)
        loss_of(model).backward()
        optimizer.step()
        optimizer.zero_grad()
        averaged.update_parameters(model)
        if step == 3:
            model.load_state_dict(averaged.module.state_dict())

    unchanged(simple(OPTIMIZERS["adamw"], step_of, cnn), every=1)
