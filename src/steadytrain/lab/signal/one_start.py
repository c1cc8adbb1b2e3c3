"""One network, initialised one way under one seed, and what reaches each of its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from steadytrain.blocks import initialize, lsuv
from steadytrain.lab.lesson.one_run import one_thread

Floats = NDArray[np.float64]

ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "ReLU": nn.ReLU,
    "LeakyReLU": nn.LeakyReLU,
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "Mish": nn.Mish,
    "tanh": nn.Tanh,
    "SELU": nn.SELU,
    "sigmoid": nn.Sigmoid,
}

DEFAULT, HE, GAIN, TURNED, FITTED, MIRRORED = (
    "torch default",
    "He",
    "exact gain",
    "exact gain, orthogonal",
    "LSUV",
    "mirrored",
)


def _as_constructed(_model: nn.Module, _batch: Tensor) -> None:
    """What `nn.Linear` gives itself."""


def _he(model: nn.Module, _batch: Tensor) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


def _named(name: str, model: nn.Module, _batch: Tensor) -> None:
    initialize(model, name, verbose=False)


def _lsuv(model: nn.Module, batch: Tensor) -> None:
    lsuv(model, batch, verbose=False)


WAYS: Final[dict[str, Callable[[nn.Module, Tensor], None]]] = {
    DEFAULT: _as_constructed,
    HE: _he,
    GAIN: partial(_named, "kaiming"),
    TURNED: partial(_named, "orthogonal"),
    FITTED: _lsuv,
    MIRRORED: partial(_named, "mirrored"),
}
"""How a network can begin, by the name it has in the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJob:
    """Which network, how initialised, under which seed."""

    activation: str
    way: str
    seed: int
    depth: int
    width: int
    num_samples: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StartRecord:
    """Second moments behind the activation of each layer, first layer first.

    Shape: each [depth].
    """

    job: StartJob
    signal: Floats
    gradient: Floats
    """Of a loss whose gradient at the output is standard normal noise."""
    weight_variance: float
    """Variance of the first weight times its fan-in, as measured."""
    kept_difference: float
    """Variance between samples behind the last layer, as a multiple of that behind the first:
    biases alone can carry a signal that says nothing of the input."""

    @property
    def forward_ratio(self) -> float:
        """The signal behind the last layer as a multiple of that behind the first."""
        return _ratio(self.signal[-1], self.signal[0])

    @property
    def backward_ratio(self) -> float:
        """The gradient behind the first layer as a multiple of that behind the last."""
        return _ratio(self.gradient[0], self.gradient[-1])


def network(activation: str, depth: int, width: int) -> nn.Sequential:
    """`depth` linear layers of one width with an activation behind each, and a linear head."""
    pairs = [(nn.Linear(width, width), ACTIVATIONS[activation]()) for _ in range(depth)]
    return nn.Sequential(*(part for pair in pairs for part in pair), nn.Linear(width, width))


def run_start(job: StartJob) -> StartRecord:
    """The network was built, initialised and run once forward and once backward.

    Torch's random numbers and number of threads are as before afterwards.
    """
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        model = network(job.activation, job.depth, job.width)
        batch = torch.randn(job.num_samples, job.width)
        WAYS[job.way](model, batch)
        kept = _outputs(model, batch)
        kept[-1].backward(torch.randn_like(kept[-1]))
    behind = kept[1:-1:2]
    return StartRecord(
        job=job,
        signal=np.array([_moment(one) for one in behind]),
        gradient=np.array([_moment(one.grad) for one in behind]),
        weight_variance=_variance(model[0]),
        kept_difference=_ratio(_spread(behind[-1]), _spread(behind[0])),
    )


def _outputs(model: nn.Sequential, batch: Tensor) -> list[Tensor]:
    """The output of each module, ready to keep its gradient."""
    kept = [batch]
    for module in model:
        kept.append(module(kept[-1]))
        kept[-1].retain_grad()
    return kept[1:]


def _moment(values: Tensor | None) -> float:
    """Mean of the squares in float64: single precision rounds 1e-23 squared to zero."""
    return 0.0 if values is None else float(values.detach().double().square().mean())


def _spread(values: Tensor) -> float:
    return float(values.detach().double().var(dim=0).mean())


def _variance(module: nn.Module) -> float:
    assert isinstance(module, nn.Linear)
    return float(module.weight.detach().double().var()) * module.in_features


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")
