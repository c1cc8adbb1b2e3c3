"""The lesson's four configurations, and the last one a second time as its code is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn

from steadytrain.core.errors import UnknownNameError
from steadytrain.lab.lesson import schedules
from steadytrain.lab.lesson.cnn import LessonCNN, Norm
from steadytrain.lab.lesson.schedules import Schedule

PEAK_RATE: Final = 1e-3
"""The lesson's learning rate for Adam."""
WARMUP_FRACTION: Final = 0.1
"""Share of the run that warms up."""

Init = Literal["default", "fan_in", "fan_out"]
ScheduleOf = Callable[[int, int], Schedule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One configuration of the lesson."""

    name: str
    norm: Norm
    init: Init = "default"
    """torch's default, or He initialisation by fan-in (the text) or fan-out (the code)."""
    schedule: ScheduleOf | None = None
    """A constant rate if None."""
    clip: float | None = None
    weight_decay: float = 0.0
    """Of convolution and linear weights; biases and norms are never decayed."""
    conv_bias: bool = True
    description: str

    def build(self, num_classes: int) -> LessonCNN:
        """The network, initialised from torch's global generator."""
        model = LessonCNN(self.norm, num_classes, self.conv_bias)
        if self.init != "default":
            initialise(model, self.init)
        return model

    def rates(self, num_steps: int, peak_rate: float) -> list[float]:
        """The learning rate of every step of a run of `num_steps`."""
        if self.schedule is None:
            return [peak_rate] * num_steps
        warmup_steps = min(max(1, round(WARMUP_FRACTION * num_steps)), num_steps - 1)
        schedule = self.schedule(warmup_steps, num_steps)
        return [peak_rate * schedule(step) for step in range(num_steps)]

    def optimizer(self, model: nn.Module, rate: float) -> torch.optim.Optimizer:
        """AdamW on the decayed and the undecayed parameters; without decay it is Adam."""
        weights = weights_of(model)
        rest = [p for p in model.parameters() if not any(p is weight for weight in weights)]
        groups = [
            {"params": weights, "weight_decay": self.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=rate)


def weights_of(model: nn.Module) -> list[Tensor]:
    """The weights of the convolutions and the classifier, in order of execution."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [layer.weight for layer in layers]


@torch.no_grad()
def initialise(model: nn.Module, init: Literal["fan_in", "fan_out"]) -> None:
    """Convolutions are drawn after He, the classifier after Glorot, their biases are zero."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode=init, nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


_PLAIN: Final = "Adam at a constant 0.001, torch's default initialisation, no clipping"

RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="no tricks", norm="none", description=f"No normalisation. {_PLAIN}."),
        Recipe(
            name="batchnorm",
            norm="batchnorm",
            conv_bias=False,
            description=f"Batch norm after each convolution, which has no bias. {_PLAIN}.",
        ),
        Recipe(
            name="GroupNorm(1, C)",
            norm="groupnorm1",
            description=f"What the lesson calls layernorm. {_PLAIN}.",
        ),
        Recipe(
            name="all tricks",
            norm="batchnorm",
            init="fan_in",
            schedule=schedules.corrected,
            clip=1.0,
            weight_decay=0.01,
            conv_bias=False,
            description="Batch norm, He initialisation by fan-in, AdamW with weight decay 0.01 on "
            "convolution and linear weights only, a linear warm-up over a tenth of the run to "
            "0.001 and a cosine to 0, gradients clipped to norm 1.",
        ),
        Recipe(
            name="all tricks, as written",
            norm="batchnorm",
            init="fan_out",
            schedule=schedules.as_written,
            clip=1.0,
            weight_decay=0.01,
            description="The same with the defects of the lesson's code: the scheduler is stepped "
            "after the optimizer and sets no rate before, so that the first update runs at the "
            "full peak; He by fan-out; a convolution bias that batch norm subtracts again; "
            "gradient norms logged after clipping.",
        ),
    )
}
"""Every configuration by name, in the lesson's order. The lesson's first three are the same in
both versions: its defects touch the schedule and the clip, which only the last one has."""


def find_recipe(name: str) -> Recipe:
    """The configuration called `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in RECIPES:
        raise UnknownNameError.build("configuration", name, RECIPES)
    return RECIPES[name]
