"""What comes of applying a recipe: the parts of a loop, and what was done to get them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from steadytrain.blocks._changes import Change
from steadytrain.optim.clipping import clip_grad_norm_
from steadytrain.optim.robust_clipping import RobustClip
from steadytrain.recipes._settings import ClipSettings
from steadytrain.recipes.plan import Recipe

Clip = Callable[[Iterable[Tensor]], Any]
"""Called with the parameters after `backward` (and after unscaling), before the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stabilised:
    """What a training loop needs, and what was done to get it."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR | None
    """To be stepped once per optimizer step; None without `total_steps`."""
    clip: Clip
    recipe: Recipe
    changes: tuple[Change, ...]
    """What is different now."""
    advice: tuple[str, ...]
    """What was left as it is, though it may be worth a change."""

    def __str__(self) -> str:
        lines = [str(self.recipe), "changes", *_lines(self.changes)]
        lines += ["  nothing"] if not self.changes else []
        lines += ["advice", *(f"  {text}" for text in self.advice)] if self.advice else []
        return "\n".join(lines)


def clip_of(settings: ClipSettings) -> Clip:
    """The clip that the settings describe, to be called with the parameters."""
    if settings.name == "robust":
        return RobustClip(warmup_max_norm=settings.max_norm)
    if settings.name == "norm":
        return partial(clip_grad_norm_, max_norm=settings.max_norm)
    return _leave


def _leave(parameters: Iterable[Tensor]) -> None:
    """Clips nothing."""


def _lines(changes: Iterable[Change]) -> Iterator[str]:
    """The changes, those that say the same in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        alike.setdefault((change.what, change.why), []).append(change.path or "(model)")
    for (what, why), paths in alike.items():
        shown = ", ".join(paths) if len(paths) < 4 else f"{paths[0]} ... {paths[-1]} ({len(paths)})"
        yield f"  {shown}: {what} ({why})"
