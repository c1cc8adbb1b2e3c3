"""A router that sends everything to few experts pays for it, and begins without preferences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._losses import put_tracked_loss
from steadytrain.doctor.changes._observing import run_once
from steadytrain.doctor.scene import Scene

WEIGHT: Final = 0.01
"""Of the balance term (Fedus et al. 2022, section 2.2)."""

_CHOICES = ("topk", "argmax", "max", "sort")


def apply(program: Program, scene: Scene) -> Program | None:
    """Softmaxes over few, of whose values the largest are chosen; their layers' biases go."""
    router = _Routers()
    run_once(program, scene, router.handlers())
    if not router.chosen:
        return None
    size = router.chosen[0].shape[-1]
    for module in program.model.modules():
        if (
            isinstance(module, nn.Linear)
            and module.out_features == size
            and module.bias is not None
        ):
            nn.init.zeros_(module.bias)
    return put_tracked_loss(program, _balanced)


class _Routers:
    """The probabilities of which a step chose the largest."""

    def __init__(self) -> None:
        self.chosen: list[Tensor] = []
        self._chances: dict[int, Tensor] = {}

    def handlers(self) -> dict[str, Any]:
        """What sees softmaxes, and choices among their values or the scores before them."""
        return {"softmax": self._softmax} | dict.fromkeys(_CHOICES, self._choice)

    def _softmax(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        chances = function(*args, **kwargs)
        if chances.ndim >= 2 and 2 <= chances.shape[-1] <= 256 and chances.requires_grad:
            self._chances[id(chances)] = self._chances[id(args[0])] = chances
        return chances

    def _choice(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chances = self._chances.get(id(args[0]))
        if chances is not None:
            self.chosen.append(chances)
        return function(*args, **kwargs)


def _balanced() -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    router = _Routers()

    def loss_of(loss: Tensor) -> Tensor:
        terms = [_imbalance(one) for one in router.chosen]
        return loss + WEIGHT * torch.stack(terms).mean() if terms else loss

    return router.handlers(), loss_of


def _imbalance(chances: Tensor) -> Tensor:
    """1 where all experts get the same, their number where one gets everything."""
    flat = chances.flatten(0, -2)
    share = nn.functional.one_hot(flat.argmax(-1), flat.shape[-1]).float().mean(0)
    return flat.shape[-1] * (share * flat.mean(0)).sum()


CHANGE = change(
    "balance-experts", __doc__, text="a balance term for the router", size=3, apply=apply
)
