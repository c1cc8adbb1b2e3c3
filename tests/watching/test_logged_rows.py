"""Which row of the history a logged value and a step belong to."""

import pytest
import torch
from torch import nn
from watched_runs import seed_all
from watched_zoo import mlp

import steadytrain as st


class Loop:
    """A model whose loss of the n-th microbatch is exactly n + 1."""

    def __init__(self, **options):
        seed_all()
        self.model = mlp()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.watch = st.watch(self.model, self.optimizer, **options)
        self.num_microbatches = 0

    def forward(self):
        self.num_microbatches += 1
        return 0.0 * self.model(torch.randn(2, 8)).sum() + self.num_microbatches

    def step(self):
        self.optimizer.step()
        self.optimizer.zero_grad()

    def losses(self):
        self.watch.close()
        return self.watch.history.series("loss").tolist()


def test_a_loss_after_the_step_is_the_steps():
    loop = Loop()
    for _ in range(3):
        loss = loop.forward()
        loss.backward()
        loop.step()
        loop.watch.log(loss=loss)
    assert loop.losses() == [1, 2, 3]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("place", ["before backward", "after backward", "before step"])
def test_a_loss_before_the_step_is_the_steps(place, clip):
    loop = Loop()
    for _ in range(3):
        loss = loop.forward()
        if place == "before backward":
            loop.watch.log(loss=loss)
        loss.backward()
        if place == "after backward":
            loop.watch.log(loss=loss)
        if clip:
            loop.watch.clip_grad_norm_(1.0)
        if place == "before step":
            loop.watch.log(loss=loss)
        loop.step()
    assert loop.losses() == [1, 2, 3]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("place", ["before backward", "after backward", "before step", "last"])
def test_losses_of_microbatches_are_averaged_over_their_own_step(place, clip):
    loop = Loop()
    for microbatch in range(9):
        loss = loop.forward()
        if place == "before backward":
            loop.watch.log(loss=loss)
        loss.backward()
        if place == "after backward":
            loop.watch.log(loss=loss)
        if microbatch % 3 == 2 and clip:
            loop.watch.clip_grad_norm_(1.0)
        if place == "before step":
            loop.watch.log(loss=loss)
        if microbatch % 3 == 2:
            loop.step()
        if place == "last":
            loop.watch.log(loss=loss)
    assert loop.losses() == [2, 5, 8]
    assert loop.watch.step == 3
    assert loop.watch.history.series("num_microbatches").tolist() == [3, 3, 3]


def test_a_validation_between_two_steps_belongs_to_the_step_before():
    loop = Loop()
    for step in range(4):
        loss = loop.forward()
        loss.backward()
        loop.step()
        loop.watch.log(loss=loss)
        if step % 2:
            with torch.no_grad():
                loop.model(torch.randn(50, 8))
            loop.watch.log(validation_loss=step, validation_metric=0.5)
    assert loop.losses() == [1, 2, 3, 4]
    assert loop.watch.history.measured("validation_loss")[0].tolist() == [1, 3]


def test_one_row_per_step_whatever_is_logged():
    loop = Loop(first_step=100)
    for _ in range(3):
        loop.forward().backward()
        loop.step()
    loop.watch.close()
    assert loop.watch.history.steps.tolist() == [100, 101, 102]
    assert loop.watch.step == 103


def test_a_row_is_measured_without_any_log_or_clip():
    loop = Loop()
    loop.forward().backward()
    loop.step()
    loop.watch.flush()
    assert loop.watch.history.step == 0
    assert {"grad_norm", "param_norm", "update_norm"} <= set(loop.watch.history.stats)


def test_without_an_optimizer_a_log_and_its_clip_share_a_row():
    model = mlp()
    watch = st.watch(model)
    for step in range(3):
        model(torch.randn(2, 8)).sum().backward()
        watch.clip_grad_norm_(1.0)
        for param in model.parameters():
            param.data -= 0.1 * param.grad
            param.grad = None
        watch.log(loss=step)
    watch.close()
    assert watch.history.series("loss").tolist() == [0, 1, 2]
    assert not (watch.history.window("grad_norm") != watch.history.window("grad_norm")).any()
    assert watch.step == 3


def scaled_loop(*, clips, bad_steps, log_early=False):
    seed_all()
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=1000)
    watch = st.watch(model, optimizer, scaler=scaler)
    for step in range(6):
        loss = model(torch.ones(2, 4)).sum() * (float("inf") if step in bad_steps else 1.0)
        scaler.scale(loss).backward()
        if log_early:
            watch.log(loss=step)
        if clips:
            scaler.unscale_(optimizer)
            for layer in list(model)[:clips]:
                watch.clip_grad_norm_(1.0, parameters=layer.parameters())
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        if not log_early:
            watch.log(loss=step)
    watch.close()
    return watch.history


@pytest.mark.parametrize("clips", [1, 2])
@pytest.mark.parametrize("log_early", [True, False])
def test_a_step_that_the_scaler_skips_is_a_row(clips, log_early):
    history = scaled_loop(clips=clips, bad_steps={1, 4}, log_early=log_early)
    assert history.series("loss").tolist() == [0, 1, 2, 3, 4, 5]
    assert history.measured("step_skipped")[0].tolist() == [1, 4]


def test_a_skip_that_nothing_shows_does_not_shift_the_losses():
    losses = scaled_loop(clips=0, bad_steps={1}).series("loss").tolist()
    assert losses == [0, 1.5, 3, 4, 5]


def test_optimizers_that_take_turns_share_a_row():
    models = {"a": mlp(), "b": mlp()}
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models.values()]
    watch = st.watch(models, optimizers)
    for step in range(3):
        for order, (model, optimizer) in enumerate(zip(models.values(), optimizers, strict=True)):
            model(torch.randn(2, 8)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            if order == 0:
                watch.log(loss=step)
    watch.close()
    assert watch.history.series("loss").tolist() == [0, 1, 2]
    assert (watch.history.window("grad_norm") > 0).all()
    assert watch.history.sites("learning_rate") == ("optimizer0.group0", "optimizer1.group0")


def test_the_optimizer_that_steps_more_often_opens_the_rows():
    models = [mlp(), mlp()]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    watch = st.watch(models, optimizers, every=5)
    for step in range(18):
        for model, optimizer in [*zip(models, optimizers, strict=True)][
            : 2 if step % 3 == 2 else 1
        ]:
            model(torch.randn(2, 8)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    watch.close()
    assert watch.history.step == 17
    assert watch.history.measured("act_rms")[0].tolist() == [0, 5, 10, 15]
