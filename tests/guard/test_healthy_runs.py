"""Healthy runs that look suspicious: nothing is done, and not a bit is another."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadytrain as st
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_controls

SHORT = 250
LONG = 4000


class Trap:
    """A healthy loop: what it trains on, with which loss, with which optimizer."""

    rate = 1e-2
    sizes = (6, 16, 3)

    def __init__(self, seed=0):
        self.random = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        first, width, last = self.sizes
        self.model = nn.Sequential(nn.Linear(first, width), nn.ReLU(), nn.Linear(width, last))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.rate)
        self.scheduler = None

    def inputs(self, size=16):
        return torch.randn(size, self.sizes[0], generator=self.random)

    def batch(self, step):
        inputs = self.inputs()
        return inputs, inputs[:, :3].argmax(1)

    def loss(self, step, batch):
        return F.cross_entropy(self.model(batch[0]), batch[1])

    def train(self, steps, guard):
        if guard is not None:
            guard.attach(self.model, self.optimizer, scheduler=self.scheduler)
        for step in range(steps):
            batch = self.batch(step)
            if guard is not None:
                with guard.step(batch) as transaction:
                    transaction.backward(self.loss(step, batch))
                continue
            self.loss(step, batch).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.scheduler is not None:
                self.scheduler.step()
        return self


class BatchesOfTwo(Trap):
    """Two samples, a third of them wrongly labelled."""

    def batch(self, step):
        inputs = self.inputs(2)
        wrong = torch.rand(2, generator=self.random) < 0.3
        return inputs, torch.where(wrong, 2, inputs[:, :3].argmax(1))


class HardBatches(Trap):
    """A model that has memorised one batch sees a hard one every fiftieth step."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.known = super().batch(0)

    def batch(self, step):
        inputs, labels = self.known
        return (inputs, (labels + 1) % 3) if step % 50 == 49 else self.known


class HardBatchesFromTheStart(HardBatches):
    """The same, with a model that arrives trained: the guard has seen no other level."""

    def __init__(self, seed=0):
        super().__init__(seed)
        for _ in range(400):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(self.known[0]), self.known[1]).backward()
            self.optimizer.step()
        self.optimizer.zero_grad()


class WarmRestarts(Trap):
    """The rate jumps back to its peak every sixty steps."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.3, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(self.optimizer, 60)


class CrossingZero(Trap):
    """A loss that falls from above zero through it to far below."""

    def loss(self, step, batch):
        return super().loss(step, batch) - 0.5


class Negative(Trap):
    """A log-likelihood of a continuous variable, without bound below."""

    def loss(self, step, batch):
        mean, log_scale, _ = self.model(batch[0]).unbind(1)
        target = batch[0].sum(1)
        return ((target - mean).square() / log_scale.exp().square() / 2 + log_scale).mean()


class LevelShift(Trap):
    """Half way the targets are ten times as large, for good."""

    def loss(self, step, batch):
        scale = 10.0 if step > SHORT // 2 else 1.0
        return F.mse_loss(self.model(batch[0]), scale * batch[0][:, :3])


class ZeroHead(Trap):
    """The last layer begins at zero: the body has no gradient at first."""

    def __init__(self, seed=0):
        super().__init__(seed)
        nn.init.zeros_(self.model[2].weight)
        nn.init.zeros_(self.model[2].bias)


class NoisyReturns(Trap):
    """Policy gradients under heavy-tailed returns."""

    def loss(self, step, batch):
        logs = self.model(batch[0]).log_softmax(1)
        actions = torch.randint(3, (16,), generator=self.random)
        normal = torch.randn(4, 16, generator=self.random)
        returns = normal[0] / normal[1:].square().mean(0).sqrt()  # Student's t, 3 degrees
        return -(logs[torch.arange(16), actions] * returns).mean()


class LargeUnits(Trap):
    """Regression of house prices, in euros."""

    def loss(self, step, batch):
        target = 3e5 + 1e5 * batch[0][:, :3]
        return F.mse_loss(1e5 * self.model(batch[0]), target)


TRAPS = [
    BatchesOfTwo, HardBatches, HardBatchesFromTheStart, WarmRestarts, CrossingZero,
    Negative, LevelShift, ZeroHead, NoisyReturns, LargeUnits,
]  # fmt: skip


def check(trap, steps, seed=0):
    guard = st.Guard(snapshot_every=50)
    guarded = trap(seed).train(steps, guard)
    bare = trap(seed).train(steps, None)
    assert guard.events == []
    assert guard.num_steps == steps
    pairs = zip(guarded.model.parameters(), bare.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("trap", TRAPS)
def test_nothing_is_done_about_a_healthy_run(trap):
    check(trap, SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("trap", TRAPS)
def test_nothing_is_done_about_a_long_healthy_run(trap, seed):
    check(trap, LONG, seed)


def adversaries(steps, guard):
    """A generator against a critic, each on its own turn."""
    torch.manual_seed(0)
    maker = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    makers = torch.optim.Adam(maker.parameters(), lr=2e-3, betas=(0.5, 0.9))
    critics = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
    guard.attach([maker, critic], [makers, critics])
    for _ in range(steps):
        real, made = torch.randn(16, 2) * 0.3 + 1, maker(torch.randn(16, 4))
        with guard.step(optimizer=critics) as step:
            right = F.softplus(-critic(real)).mean() + F.softplus(critic(made.detach())).mean()
            step.backward(right)
        with guard.step(optimizer=makers) as step:
            step.backward(F.softplus(-critic(made)).mean())


@pytest.mark.parametrize("steps", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
def test_nothing_is_done_about_adversaries(steps):
    guard = st.Guard(snapshot_every=50)
    adversaries(steps, guard)
    assert guard.events == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(known_controls()))
def test_nothing_is_done_about_the_labs_healthy_controls(name):
    control = known_controls()[name]
    for architecture in control.on:
        program = control.program(Case(architecture=architecture))
        guard = st.Guard(snapshot_every=50)
        run = st.train(program, control.steps, guard=guard, watch=False, progress=False)
        assert run.events == []
        assert program.step == control.steps
