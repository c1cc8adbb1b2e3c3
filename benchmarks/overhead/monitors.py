"""One class per monitor: what a user of it adds to a training loop.

`timing.train_step` is the loop; a monitor fills in the places where it takes part.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import steadytrain

MAX_NORM: Final = 1.0

PERIOD: Final = 10
"""Steps of a block: one sampling period of the watch's default, and as many bare ones."""

STEADY: Final = 3
"""Steps of a block for a monitor whose steps all cost the same."""


class Monitor:
    """No monitor: the bare step. The others say where they differ.

    Args:
        model: what is trained.
        optimizer: what trains it.
        folder: where the monitor may write.
    """

    name: ClassVar[str] = "bare"
    what: ClassVar[str] = "the step alone"
    steps_per_block: ClassVar[int] = PERIOD
    settle_seconds: ClassVar[float] = 0.0
    """How long its other processes go on working after a step."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        self.model = model
        self.optimizer = optimizer
        self.folder = folder

    def around_backward(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def clip(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_NORM)

    def before_step(self, loss: Tensor) -> None:
        """What runs between the clip and the optimizer's step."""

    def step(self) -> None:
        self.optimizer.step()

    def after_step(self, loss: Tensor) -> None:
        """What runs after the optimizer's step."""

    def close(self) -> None:
        """Hooks and files are gone."""


class BareAgain(Monitor):
    name = "bare again"
    what = "the same once more: how far two equal arms differ"


class Steadytrain(Monitor):
    name = "steadytrain"
    what = "`watch(model, optimizer)`, `watch.clip_grad_norm_`, `watch.log(loss=loss)`"
    writes: ClassVar[bool] = False

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        self.watch = steadytrain.watch(model, optimizer, run_dir=folder if self.writes else None)

    def clip(self) -> None:
        self.watch.clip_grad_norm_(MAX_NORM)

    def after_step(self, loss: Tensor) -> None:
        self.watch.log(loss=loss)

    def close(self) -> None:
        self.watch.close()


class SteadytrainOnDisk(Steadytrain):
    name = "steadytrain, on disk"
    what = "the same with `run_dir=...`"
    writes = True


class SteadytrainBeside(Steadytrain):
    name = "steadytrain beside torch's clip"
    what = "the same where the loop keeps `torch.nn.utils.clip_grad_norm_`"

    def clip(self) -> None:
        Monitor.clip(self)


class ItemPerParameter(Monitor):
    name = ".item() per parameter"
    what = "the textbook loop: norm of every gradient and parameter, one `.item()` each"
    steps_per_block = STEADY

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        self.losses: list[float] = []
        self.rows: list[dict[str, tuple[float, float]]] = []

    def before_step(self, loss: Tensor) -> None:
        row: dict[str, tuple[float, float]] = {}
        for name, param in self.model.named_parameters():
            if param.grad is not None:
                row[name] = param.grad.norm().item(), param.detach().norm().item()
        self.losses.append(loss.item())
        self.rows.append(row)


class ActivationHooks(Monitor):
    name = "activation hooks with .item()"
    what = "mean, standard deviation and largest magnitude of every leaf's output"
    steps_per_block = STEADY

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        self.rows: list[tuple[str, float, float, float]] = []
        leaves = [(n, m) for n, m in model.named_modules() if not any(m.children())]
        self._handles = [m.register_forward_hook(self._see(name)) for name, m in leaves]

    def _see(self, name: str) -> Callable[..., None]:
        def see(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            values = output.detach()
            row = values.mean().item(), values.std().item(), values.abs().max().item()
            self.rows.append((name, *row))

        return see

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()


class DetectAnomaly(Monitor):
    name = "torch.autograd.detect_anomaly"
    what = "torch's own search for NaN in the backward pass"
    steps_per_block = STEADY

    def around_backward(self) -> AbstractContextManager[Any]:
        return torch.autograd.set_detect_anomaly(True)


OWN: tuple[type[Monitor], ...] = (
    Monitor,
    BareAgain,
    Steadytrain,
    SteadytrainOnDisk,
    SteadytrainBeside,
    ItemPerParameter,
    ActivationHooks,
    DetectAnomaly,
)
"""What needs nothing but torch and steadytrain."""
