"""Learning rates that were published for a setting, to start from where nothing is known.

A starting rate is a rate somebody trained this kind of model with, not the best one for yours:
`lr_range_test` looks for that. Rates belong to a batch size; `for_batch` scales them.

## Formula

At another batch size B: lr * B / B0 for SGD, whose noise is that of its mean gradient, and
lr * sqrt(B / B0) for optimizers that divide by the gradient's scale. The warm-up of Adam with
nothing tuned: 2 / (1 - beta2) steps.

## Shape

One row per optimizer and setting.

## Dtype

Python's own float.

## Cost

None.

## Source

With each row. Scaling with the batch: Goyal et al. 2017, section 2.1 (linear); Malladi et al. 2022
(square root). The warm-up: Ma & Yarats 2019 (On the Adequacy of Untuned Warmup).

## Helps against

`lr-too-high`, `lr-too-low`, `missing-warmup`
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.technique import technique


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingRate:
    """One published setting; prints as a line.

    Example:
        >>> rate = starting_rate("sgd", "cnn")
        >>> rate.lr, rate.batch_size, rate.for_batch(1024).lr
        (0.1, 256, 0.4)
    """

    optimizer: str
    setting: str
    lr: float
    batch_size: int | None = None
    """Items, or None where the source counts tokens or names none."""
    weight_decay: float = 0.0
    options: tuple[tuple[str, Any], ...] = ()
    """What else of the optimizer the source sets."""
    source: str

    def for_batch(self, batch_size: int) -> StartingRate:
        """The row at another batch size.

        Args:
            batch_size: items per optimizer step.

        Raises:
            UsageError: it is no batch size, or the source has none to scale from.
        """
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            msg = f"batch_size must be a whole number from 1 on, got {batch_size!r}"
            raise UsageError(f"{msg}: count the items of one optimizer step.")
        if self.batch_size is None:
            msg = f"the rate for {self.optimizer} and {self.setting!r} has no batch size"
            raise UsageError(f"{msg} to scale from: use it as it is.")
        ratio = batch_size / self.batch_size
        factor = ratio if self.optimizer == "sgd" else math.sqrt(ratio)
        return replace(self, lr=self.lr * factor, batch_size=batch_size)

    def __str__(self) -> str:
        """The row as a line of the table."""
        batch = "-" if self.batch_size is None else str(self.batch_size)
        numbers = f"{self.lr:8.2g}  {batch:>6}  {self.weight_decay:8.2g}"
        return f"{self.optimizer:<8}  {self.setting:<12}  {numbers}  {self.source}"


def _row(
    optimizer: str,
    setting: str,
    lr: float,
    batch_size: int | None,
    weight_decay: float,
    source: str,
    **options: Any,
) -> StartingRate:
    return StartingRate(
        optimizer=optimizer,
        setting=setting,
        lr=lr,
        batch_size=batch_size,
        weight_decay=weight_decay,
        options=tuple(options.items()),
        source=source,
    )


STARTING_RATES: Final[tuple[StartingRate, ...]] = (
    _row("adam", "default", 1e-3, None, 0.0, "Kingma & Ba 2015, algorithm 1"),
    _row("adam", "diffusion", 2e-4, 128, 0.0, "Ho et al. 2020 (DDPM), appendix B, CIFAR-10"),
    _row("adam", "gan", 2e-4, 128, 0.0, "Radford et al. 2016 (DCGAN), section 4", betas=(0.5, 0.999)),
    _row("adam", "rl", 3e-4, 64, 0.0, "Schulman et al. 2017 (PPO), table 3"),
    _row("adam", "transformer", 7e-4, None, 0.0, "Vaswani et al. 2017, section 5.3: peak at width 512", betas=(0.9, 0.98), eps=1e-9),
    _row("adam", "wgan-gp", 1e-4, 64, 0.0, "Gulrajani et al. 2017, algorithm 1", betas=(0.0, 0.9)),
    _row("adamw", "finetune", 3e-5, 32, 0.01, "Devlin et al. 2019 (BERT), appendix A.3: 2e-5 to 5e-5"),
    _row("adamw", "lora", 2e-4, None, 0.1, "Hu et al. 2022 (LoRA), table 12: GPT-3"),
    _row("adamw", "transformer", 6e-4, None, 0.1, "Brown et al. 2020 (GPT-3), table 2.1: 125M, 0.5M tokens", betas=(0.9, 0.95)),
    _row("adamw", "vit", 1e-3, 1024, 0.05, "Touvron et al. 2021 (DeiT), table 9"),
    _row("lion", "transformer", 1.2e-4, None, 0.5, "Chen et al. 2023, section 5: AdamW's rate by 3 to 10, its decay times that; here 5", betas=(0.95, 0.98)),
    _row("muon", "transformer", 2e-2, None, 0.0, "Jordan 2024 (Muon): hidden matrices only", momentum=0.95),
    _row("rmsprop", "rl", 2.5e-4, 32, 0.0, "Mnih et al. 2015 (DQN), extended data table 1", momentum=0.95),
    _row("sgd", "cnn", 0.1, 256, 1e-4, "He et al. 2016, section 3.4: ImageNet", momentum=0.9),
    _row("sgd", "cnn-small", 0.1, 128, 1e-4, "He et al. 2016, section 4.2: CIFAR-10", momentum=0.9),
    _row("sgd", "rnn", 1.0, 20, 0.0, "Zaremba et al. 2014, section 4.1: LSTM, norm clipped at 5"),
)  # fmt: skip
"""Every row, by optimizer and setting."""


def starting_rate(optimizer: str, setting: str) -> StartingRate:
    """The published rate of an optimizer for a setting.

    Args:
        optimizer: its name in lower case, as in `torch.optim`.
        setting: what is trained, such as `"cnn"`, `"vit"`, `"transformer"` or `"finetune"`.

    Raises:
        UnknownNameError: there is no such row.

    Example:
        >>> starting_rate("adamw", "vit").lr
        0.001
    """
    rows = {f"{row.optimizer} {row.setting}": row for row in STARTING_RATES}
    wanted = f"{optimizer} {setting}"
    if wanted not in rows:
        raise UnknownNameError.build("starting rate", wanted, rows)
    return rows[wanted]


def starting_rate_table() -> str:
    """All rows, one per line.

    Example:
        >>> print(starting_rate_table().splitlines()[1][:60])
        adam      default          0.001       -         0  Kingma &
    """
    head = f"{'':<8}  {'setting':<12}  {'lr':>8}  {'batch':>6}  {'decay':>8}  source"
    return "\n".join([head, *map(str, STARTING_RATES)])


def untuned_warmup_steps(beta2: float) -> int:
    """The steps of linear warm-up that Adam needs when nothing is tuned: 2 / (1 - beta2).

    Args:
        beta2: decay of the second moment, from 0 on and below 1.

    Raises:
        UsageError: `beta2` is none.

    Example:
        >>> untuned_warmup_steps(0.999), untuned_warmup_steps(0.95)
        (2000, 40)
    """
    if not 0.0 <= beta2 < 1.0:
        msg = f"beta2 must be from 0 on and below 1, got {beta2}"
        raise UsageError(f"{msg}: torch's AdamW has 0.999.")
    return round(2.0 / (1.0 - beta2))


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=(
        "STARTING_RATES",
        "StartingRate",
        "starting_rate",
        "starting_rate_table",
        "untuned_warmup_steps",
    ),
)
