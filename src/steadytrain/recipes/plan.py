"""A recipe: what to train an architecture with, as plain data that says why."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, get_args

from steadytrain.core.errors import UsageError
from steadytrain.core.program import Precision
from steadytrain.recipes._settings import (
    ClipSettings,
    OptimizerSettings,
    ScheduleSettings,
    check_count,
    check_name,
    check_number,
)

_LABEL: Final = 16
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that is decided before step 0: plain data, printed with its reasons.

    Make one with `recipes.cnn()`, `recipes.transformer()`, ... or `recipes.auto(model)`, and
    change a field with `dataclasses.replace`. `stabilise` applies it to a model;
    `to_deepspeed`, `to_training_arguments` and `to_lightning` hand it to other libraries.

    Args:
        name: the architecture.
        initialisation: a scheme of `blocks.initialize`, or None to leave the weights alone.
        norm: the normalisation it advises, and where it stands.
        optimizer: class and numbers.
        schedule: the rate over the steps.
        batch_size: items per optimizer step on one device.
        clip: what bounds the gradient.
        precision: `"fp32"`, `"bf16"` or `"fp16"`; said once, here.
        accumulate: microbatches per optimizer step; divides `batch_size`.
        critic: a second optimizer, where two networks are trained in turns.
        stored_rms: size at which weights are stored of which only the direction is used
            (`blocks.scale_free`); None for plain weights.
        vector_ratio: rate of gains and biases as a share of the matrices' rate.
        losses: extra terms of the loss and their weights.
        blocks: building blocks it advises.
        why: the reason for a field, by the field's name.
        notes: what it cannot do for you.

    Raises:
        UsageError: a field cannot mean what was given.

    Example:
        >>> from steadytrain import recipes
        >>> plan = recipes.rnn(total_steps=1000, batch_size=32)
        >>> plan.clip.max_norm, plan.schedule.total_steps
        (1.0, 1000)
        >>> plan.to_lightning()["max_steps"]
        1000
    """

    name: str
    initialisation: str | None
    norm: str
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    batch_size: int
    clip: ClipSettings = field(default_factory=ClipSettings)
    precision: Precision = "fp32"
    accumulate: int = 1
    critic: OptimizerSettings | None = None
    stored_rms: float | None = None
    vector_ratio: float = 1.0
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    blocks: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name("precision", self.precision, get_args(Precision))
        check_count("batch_size", self.batch_size, remedy="items per optimizer step on one device")
        check_count("accumulate", self.accumulate, remedy="1 means no accumulation")
        if self.batch_size % self.accumulate:
            raise UsageError(
                f"accumulate must divide batch_size, got {self.accumulate} for {self.batch_size}: "
                f"{_nearest(self.batch_size, self.accumulate)} microbatches make equal parts."
            )
        if self.stored_rms is not None:
            check_number("stored_rms", self.stored_rms, above=0.0, remedy="None for plain weights")
        check_number("vector_ratio", self.vector_ratio, above=0.0, remedy="1 is the same rate")
        for name, weight in self.losses.items():
            check_number(f"losses[{name!r}]", weight, remedy="it multiplies that term")
        object.__setattr__(self, "losses", dict(self.losses))
        object.__setattr__(self, "why", dict(self.why))

    @property
    def microbatch_size(self) -> int:
        """Items of one forward pass on one device."""
        return self.batch_size // self.accumulate

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON's own types."""
        plain = asdict(self)
        for name in ("optimizer", "critic"):
            if plain[name]:
                plain[name]["betas"] = list(plain[name]["betas"])
        return plain | {"blocks": list(self.blocks), "notes": list(self.notes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_json` wrote."""
        values: dict[str, Any] = dict(data)
        for name in ("optimizer", "critic"):
            values[name] = OptimizerSettings(**values[name]) if values[name] else None
        values["schedule"] = ScheduleSettings(**values["schedule"])
        values["clip"] = ClipSettings(**values["clip"])
        for name in ("blocks", "notes"):
            values[name] = tuple(values[name])
        return cls(**values)

    def to_deepspeed(self, *, schedule: bool = True) -> dict[str, Any]:
        """A DeepSpeed configuration, of literals only: no key waits for another library.

        See `steadytrain.recipes._deepspeed.deepspeed_config`.
        """
        from steadytrain.recipes._deepspeed import deepspeed_config

        return deepspeed_config(self, schedule=schedule)

    def to_training_arguments(self) -> dict[str, Any]:
        """Keyword arguments of Hugging Face's `TrainingArguments`.

        See `steadytrain.recipes._training_arguments.training_arguments`.
        """
        from steadytrain.recipes._training_arguments import training_arguments

        return training_arguments(self)

    def to_lightning(self) -> dict[str, Any]:
        """Keyword arguments of Lightning's `Trainer`.

        See `steadytrain.recipes._lightning.trainer_arguments`.
        """
        from steadytrain.recipes._lightning import trainer_arguments

        return trainer_arguments(self)

    def __str__(self) -> str:
        lines = [" - ".join(filter(None, (f"recipe {self.name}", self.why.get("name"))))]
        for name, value in self._decisions():
            reason = self.why.get(name, "")
            lines += _wrapped(name, f"{value} - {reason}" if reason else value)
        for note in self.notes:
            lines += _wrapped("note", note)
        return "\n".join(lines)

    def _decisions(self) -> list[tuple[str, str]]:
        parts = {
            "initialisation": self.initialisation or "none: the weights stay as they are",
            "norm": self.norm,
            "optimizer": str(self.optimizer),
            "critic": str(self.critic or ""),
            "stored_rms": f"{self.stored_rms:g}, scale-free" if self.stored_rms else "",
            "vector_ratio": f"{self.vector_ratio:g}" if self.vector_ratio != 1.0 else "",
            "schedule": str(self.schedule),
            "clip": str(self.clip),
            "precision": self.precision,
            "batch_size": f"{self.batch_size:,} = {self.accumulate} x {self.microbatch_size:,}",
            "losses": ", ".join(f"{name} {weight:g}" for name, weight in self.losses.items()),
            "blocks": ", ".join(self.blocks),
        }
        return [(name, value) for name, value in parts.items() if value]


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"  {label:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2),
    )


def _nearest(batch_size: int, wanted: int) -> int:
    """The divisor of `batch_size` that is nearest to `wanted`."""
    divisors = [d for d in range(1, batch_size + 1) if batch_size % d == 0]
    return min(divisors, key=lambda divisor: (abs(divisor - wanted), divisor))
