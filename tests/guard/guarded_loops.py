"""Small loops with everything a step can leave a trace in: batch norm, dropout, schedule, average."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import steadytrain as st
from steadytrain.snapshots import capture

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "adamw": lambda params: torch.optim.AdamW(params, lr=1e-2),
    "adafactor": lambda params: torch.optim.Adafactor(params, lr=1e-2),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=1e-3, momentum=0.5),
    "nadam": lambda params: torch.optim.NAdam(params, lr=1e-3),
}


def make_model():
    return nn.Sequential(
        nn.Linear(4, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(inplace=True),
        nn.Dropout(0.2),
        nn.Linear(16, 1),
    )


def make_batches(count=40, size=8, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 4, generator=generator) for _ in range(count)]


def poisoned(value=float("nan")):
    batch = torch.ones(8, 4)
    batch[3, 1] = value
    return batch


def loss_of(model, batch):
    return ((model(batch) - batch.sum(1, keepdim=True)) ** 2).mean()


class Loop:
    """Everything a loop holds, built from one seed."""

    def __init__(self, optimizer="adamw", model=None, seed=0):
        torch.manual_seed(seed)
        self.model = make_model() if model is None else model()
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda t: 1 / (1 + 0.1 * t)
        )
        average = get_ema_multi_avg_fn(0.9)
        self.ema = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        torch.manual_seed(seed + 1)

    def plain(self, batches, loss_of=loss_of):
        for batch in batches:
            loss_of(self.model, batch).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.scheduler.step()
            self.ema.update_parameters(self.model)
            self.optimizer.zero_grad()
        return self

    def attach(self, guard=None, **parts):
        self.guard = guard or st.Guard(snapshot_every=5)
        self.guard.attach(
            self.model,
            self.optimizer,
            **{"scheduler": self.scheduler, "ema": self.ema, "clip": 1.0} | parts,
        )
        return self

    def guarded(self, batches, loss_of=loss_of, before=lambda place: None):
        self.steps = []
        for place, batch in enumerate(self.guard.batches(batches)):
            before(place)
            with self.guard.step(batch) as step:
                step.backward(loss_of(self.model, batch))
            self.steps.append(step)
        return self

    @property
    def kinds(self):
        return [event.kind for event in self.guard.events]

    def state(self):
        parts = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "ema": self.ema,
            "random": torch.get_rng_state(),
        }
        return capture(parts)


def assert_same(one, other):
    """Two captured states are equal to the bit."""
    assert one.names == other.names
    different = [
        name
        for name, a, b in zip(one.names, one.tensors, other.tensors, strict=True)
        if not torch.equal(a, b)
    ]
    assert different == []
