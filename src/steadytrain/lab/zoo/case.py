"""A case: which architecture on which data, how large, with which optimizer and seed.

`parts_of(case)` builds its healthy program in parts; a fault or a control changes a part, and
`Parts.program()` puts them together. Everything random is drawn from the case's seed, which also
varies the width, the depth and the rate a little, so that nothing learns one network by heart.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Generator, Tensor, nn

from steadytrain.core.errors import UnknownNameError
from steadytrain.core.program import Program

OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
Params = Iterable[Any]

ARCHITECTURES: Final = {
    "mlp": "classifiers",
    "cnn": "classifiers",
    "resnet": "classifiers",
    "vit": "classifiers",
    "lstm": "sequences",
    "gpt": "sequences",
    "tabular": "regressions",
    "vae": "generators",
    "gan": "generators",
    "actor-critic": "policies",
}
"""Every architecture and the file of this folder that builds it."""

_OPTIMIZERS: Final[dict[OptimizerName, Callable[..., torch.optim.Optimizer]]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}

_RATE_RATIO: Final[dict[OptimizerName, float]] = {
    "adam": 1.0,
    "adamw": 1.0,
    "sgd": 30.0,
    "rmsprop": 0.3,
}
"""A healthy rate of the optimizer over Adam's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One healthy program; the same case is the same program, bit for bit."""

    architecture: str
    seed: int = 0
    data: Path | None = None
    """Folder with `mnist`, `fashion_mnist` and `tinyshakespeare`; embedded data if None."""
    optimizer: OptimizerName = "adam"

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise UnknownNameError.build("architecture", self.architecture, ARCHITECTURES)

    def generator(self, purpose: str) -> Generator:
        """Random numbers for one purpose, which draws elsewhere do not shift."""
        words = f"{self.architecture}/{purpose}/{self.seed}"
        return Generator().manual_seed(zlib.crc32(words.encode()))

    def pick(self, purpose: str, choices: Iterable[Any]) -> Any:
        """One of the choices, by the seed."""
        options = list(choices)
        return options[int(torch.randint(len(options), (), generator=self.generator(purpose)))]


@dataclass(kw_only=True)
class Parts:
    """A program in parts, each of which may be replaced before `program()` puts them together."""

    case: Case
    model: nn.Module
    batches: list[Any]
    loss_fn: Callable[[Any, Any], Tensor] | None = None
    validation: Any = None
    metric_fn: Callable[[Any, Any], float] | None = None
    rate: float = 1e-3
    """For Adam; other optimizers take their usual multiple of it."""
    optimizer_options: dict[str, Any] = field(default_factory=dict[str, Any])
    make_optimizer: Callable[[Parts], torch.optim.Optimizer] | None = None
    """Builds the optimizer; the case's own on all parameters if None."""
    make_scheduler: Callable[[torch.optim.Optimizer], Any] | None = None
    clip: float | None = 1.0
    accumulate: int = 1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    scaler: torch.amp.GradScaler | None = None
    """Scales the loss of the canonical step, or is used by a `step_fn`."""
    step_fn: Callable[[Program, Any], Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    steps: int = 200
    """Optimizer steps after which a healthy program has learned something visible."""

    def optimizer(self, params: Params | None = None) -> torch.optim.Optimizer:
        """The case's optimizer on `params`, or on all of the model's."""
        name = self.case.optimizer
        options = {"lr": self.rate * _RATE_RATIO[name], **self.optimizer_options}
        if name == "sgd":
            options.setdefault("momentum", 0.9)
        return _OPTIMIZERS[name](self.model.parameters() if params is None else params, **options)

    def program(self) -> Program:
        """The program."""
        optimizer = self.make_optimizer(self) if self.make_optimizer else self.optimizer()
        return Program(
            model=self.model,
            optimizer=optimizer,
            batches=self.batches,
            loss_fn=self.loss_fn,
            scheduler=self.make_scheduler(optimizer) if self.make_scheduler else None,
            precision=self.precision,
            scaler=self.scaler,
            accumulate=self.accumulate,
            clip=self.clip,
            validation=self.validation,
            metric_fn=self.metric_fn,
            step_fn=self.step_fn,
            extra=self.extra,
            seed=self.case.seed,
        )


def parts_of(case: Case) -> Parts:
    """The healthy program of a case, in parts; draws nothing from the global generator."""
    file = importlib.import_module(f"steadytrain.lab.zoo.{ARCHITECTURES[case.architecture]}")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(case.generator("weights").initial_seed())
        return file.BUILDERS[case.architecture](case)
