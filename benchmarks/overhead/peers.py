"""One class per peer that must be installed, as its own documentation says to use it."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.overhead.monitors import STEADY, Monitor


class Peer(Monitor):
    """A monitor from another package, imported when it is built."""

    package: ClassVar[str]
    module: ClassVar[str]


class WandbWatch(Peer):
    name = 'wandb.watch(log="all", log_freq=1)'
    what = "histograms of every gradient and parameter, offline"
    package, module = "wandb", "wandb"
    steps_per_block = STEADY
    settle_seconds = 0.3

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        self._wandb: Any = importlib.import_module("wandb")
        folder.mkdir(parents=True, exist_ok=True)
        quiet = self._wandb.Settings(silent=True, console="off", x_disable_stats=True)
        self._run = self._wandb.init(mode="offline", dir=str(folder), settings=quiet)
        self._run.watch(model, log="all", log_freq=1)

    def after_step(self, loss: Tensor) -> None:
        self._run.log({"loss": loss.item()})

    def close(self) -> None:
        self._run.unwatch(self.model)
        self._run.finish()


class LightningGradNorm(Peer):
    name = "Lightning grad_norm"
    what = "`lightning.pytorch.utilities.grad_norm` on every step, without the Trainer"
    package, module = "lightning", "lightning.pytorch.utilities.grads"
    steps_per_block = STEADY

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        self._grad_norm: Any = importlib.import_module(self.module).grad_norm
        self.losses: list[Tensor] = []
        self.rows: list[dict[str, Tensor]] = []

    def before_step(self, loss: Tensor) -> None:
        self.losses.append(loss.detach())
        self.rows.append(self._grad_norm(self.model, norm_type=2))


class Trainscope(Peer):
    name = "trainscope"
    what = "`TrainScope(model, optimizer).attach()`, `scope.step(loss.item())`, its defaults"
    package, module = "trainscope", "trainscope"

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        trainscope: Any = importlib.import_module("trainscope")
        logging.getLogger("trainscope").setLevel(logging.ERROR)
        config = trainscope.TrainScopeConfig(
            run_dir=str(folder), run_name="run", integrations={"wandb": False}
        )
        self._scope = trainscope.TrainScope(model, optimizer, config).attach()

    def before_step(self, loss: Tensor) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._scope.step(loss.item())

    def close(self) -> None:
        self._scope.detach()


class StabilityGuard(Peer):
    name = "stabilityguard"
    what = "`GuardedOptimizer(optimizer, model)`, its defaults without printing"
    package, module = "stabilityguard", "stabilityguard"
    steps_per_block = STEADY

    def __init__(self, model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
        super().__init__(model, optimizer, folder)
        guard: Any = importlib.import_module("stabilityguard")
        logging.getLogger("stabilityguard").setLevel(logging.CRITICAL)
        self._guarded = guard.GuardedOptimizer(
            optimizer, model, verbose=False, log_dir=str(folder / "stabilityguard")
        )

    def step(self) -> None:
        self._guarded.step()


PEERS: tuple[type[Peer], ...] = (WandbWatch, LightningGradNorm, Trainscope, StabilityGuard)


_SET_UP: Final = "`sh benchmarks/peers.sh` makes an environment with every peer that installs."


@dataclass(frozen=True, slots=True)
class Absence:
    """A peer that does not take part, and why."""

    name: str
    reason: str


def find_peers(
    candidates: Sequence[type[Peer]] = PEERS,
) -> tuple[list[type[Peer]], list[Absence]]:
    """The peers that can be imported here, and the others with the reason."""
    present: list[type[Peer]] = []
    absent: list[Absence] = []
    for peer in candidates:
        try:
            importlib.import_module(peer.module)
        except Exception as error:  # whatever a foreign package does at import is its reason
            absent.append(Absence(peer.name, f"{type(error).__name__}: {error}. {_SET_UP}"))
        else:
            present.append(peer)
    return present, absent


def versions(peers: Sequence[type[Peer]]) -> dict[str, str]:
    """The installed version of every peer's package."""
    return {peer.package: importlib.metadata.version(peer.package) for peer in peers}
