"""The parts of a recipe as plain data: optimizer, schedule, clip; each checked when it is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, cast, get_args

from steadytrain.core.errors import UnknownNameError, UsageError

OptimizerName = Literal["adamw", "adam", "sgd"]
ScheduleName = Literal["cosine", "linear", "stable-decay", "constant"]
ClipName = Literal["robust", "norm", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """An optimizer of torch and its numbers.

    Raises:
        UsageError: a number cannot be what it is for.
    """

    name: OptimizerName = "adamw"
    lr: float
    """The peak rate; the schedule multiplies it."""
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    momentum: float = 0.9
    """Of SGD, with Nesterov's step; Adam has its first beta."""
    weight_decay: float = 0.0
    """Of weights only: biases, norms, scalars and embeddings are not decayed."""

    def __post_init__(self) -> None:
        check_name("optimizer", self.name, get_args(OptimizerName))
        check_number("lr", self.lr, above=0.0, remedy="1e-3 is a usual start for Adam")
        check_number("eps", self.eps, above=0.0, remedy="1e-8 is torch's own")
        check_number("weight_decay", self.weight_decay, least=0.0, remedy="0 switches it off")
        object.__setattr__(self, "betas", tuple(self.betas))
        if len(self.betas) != 2:
            raise UsageError(f"betas must be two numbers, got {self.betas!r}: 0.9, 0.999 is usual.")
        for name, value in (("beta1", self.betas[0]), ("beta2", self.betas[1])):
            check_number(name, value, least=0.0, below=1.0, remedy="0.9, 0.999 is usual")
        check_number("momentum", self.momentum, least=0.0, below=1.0, remedy="0.9 is usual")

    @property
    def options(self) -> dict[str, object]:
        """The keyword arguments of torch's class, but for the rate and the decay."""
        if self.name == "sgd":
            return {"momentum": self.momentum, "nesterov": self.momentum > 0.0}
        return {"betas": self.betas, "eps": self.eps}

    def __str__(self) -> str:
        own = f"momentum {self.momentum:g}"
        if self.name != "sgd":
            own = f"betas {self.betas[0]:g}, {self.betas[1]:g}, eps {self.eps:g}"
        return f"{self.name}, lr {self.lr:.3g}, {own}, weight decay {self.weight_decay:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """How the rate moves over `total_steps`: a linear warm-up, then what the name says.

    Raises:
        UsageError: warm-up and decay do not fit into `total_steps`.
    """

    name: ScheduleName = "cosine"
    warmup_steps: int
    total_steps: int
    min_ratio: float = 0.0
    """The last rate as a share of the peak; a constant schedule ends at 1."""

    def __post_init__(self) -> None:
        check_name("schedule", self.name, get_args(ScheduleName))
        if self.name == "constant":
            object.__setattr__(self, "min_ratio", 1.0)
        self.function()

    def function(self) -> Callable[[int], float]:
        """The multiplier of the rate as a pure function of the step, from 0 on."""
        from steadytrain.optim import warmup_cosine, warmup_linear, warmup_stable_decay

        shapes = {"cosine": warmup_cosine, "stable-decay": warmup_stable_decay}
        return shapes.get(self.name, warmup_linear)(
            warmup_steps=self.warmup_steps,
            total_steps=self.total_steps,
            min_ratio=self.min_ratio,
        )

    def __str__(self) -> str:
        end = "" if self.name == "constant" else f", down to {self.min_ratio:g} of the peak"
        return f"{self.name}, {self.warmup_steps:,} of {self.total_steps:,} steps warm up{end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """What is done about the length of the gradient.

    Raises:
        UsageError: `max_norm` is no length.
    """

    name: ClipName = "robust"
    max_norm: float = 1.0
    """The fixed threshold; of the robust clip, the one until it knows what is typical."""

    def __post_init__(self) -> None:
        check_name("clip", self.name, get_args(ClipName))
        check_number(
            "max_norm", self.max_norm, above=0.0, remedy="1 is usual, 'none' clips nothing"
        )

    def __str__(self) -> str:
        if self.name == "none":
            return "none"
        return f"{self.name}, {'from ' if self.name == 'robust' else ''}norm {self.max_norm:g}"


def check_name(what: str, found: object, known: Iterable[str]) -> None:
    """Raise unless `found` is one of `known`."""
    names = tuple(known)
    if found not in names:
        raise UnknownNameError.build(what, str(found), names)


def check_number(
    name: str,
    value: object,
    *,
    remedy: str,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Raise unless `value` is a number with least <= value, above < value < below."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and least <= cast("float", value) < below and cast("float", value) > above:
        return
    limits = [f"at least {least:g}"] if least > -math.inf else []
    limits += [f"above {above:g}"] if above > -math.inf else []
    limits += [f"below {below:g}"] if below < math.inf else ["finite"]
    raise UsageError(f"{name} must be a number {', '.join(limits)}, got {value!r}: {remedy}.")


def check_count(name: str, value: object, *, remedy: str) -> None:
    """Raise unless `value` is a whole number from 1 on."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return
    raise UsageError(f"{name} must be a whole number from 1 on, got {value!r}: {remedy}.")
