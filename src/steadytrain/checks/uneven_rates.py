"""One parameter group or optimizer has a rate dozens of times that of all others.

## What it does
Compares the rates of the parameter groups of each optimizer: the highest with the next one below;
and the highest rates of optimizers of one kind with each other.

## Why it matters
A rate of its own is often copied in the unit of another optimizer. The updates of that group throw
the outputs about, and what it sends back misleads the layers before it.

## Passes when
The highest rate is within thirty times of the next (rates that fall from layer to layer pass), and
optimizers are within a hundred times of each other.

## Fails when
It is thirty times the next or more, or an optimizer's a hundred times another's.

## What to do
Give the group a rate within a factor of ten of the others.

## Source
Howard & Ruder 2018 (ULMFiT), section 3.2: neighbouring layers differ by 2.6;
Hayou et al. 2024 (LoRA+): a factor of 16 helps; Heusel et al. 2017: networks in a game by 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(
    code="OPT261",
    causes=("lr-too-high", "lr-too-low", "gan-discriminator-dominates"),
    stage="optimizer",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class UnevenRates:
    """Options of the check."""

    max_ratio: float = 30.0
    """The highest rate over the next one below, of one optimizer's groups."""
    max_optimizer_ratio: float = 100.0
    """The highest rate of one optimizer over that of another of the same class."""

    def judge(self, scene: Scene, /) -> Answer:
        apart = _apart(scene.optimizers)
        if apart is not None and not apart[0] < self.max_optimizer_ratio:
            return self._failed_apart(scene, *apart)
        groups = self._groups(scene)
        if apart is not None and groups.verdict == "not-applicable":
            return passed(self, f"optimizers differ by {number(apart[0])} times", apart[0])
        return groups

    def _failed_apart(self, scene: Scene, ratio: float, low: tuple[str, Any]) -> Answer:
        place, optimizer = low
        group = max(optimizer.param_groups, key=_rate)
        said = finding(
            self,
            f"The rate of {place} is {number(_rate(group))}, a {number(ratio)}th of that of another "
            f"{type(optimizer).__name__} of the program: what it trains stands still beside the other. "
            "Bring them within a factor of ten.",
            site=_name(scene, group),
            causes=("lr-too-low", "gan-discriminator-dominates", "lr-too-high"),
            evidence={"ratio": ratio, "rate": _rate(group)},
        )
        return failed(self, f"optimizers differ by {number(ratio)} times", ratio, findings=[said])

    def _groups(self, scene: Scene) -> Answer:
        gaps = [gap for one in scene.optimizers.values() if (gap := _gap(one)) is not None]
        if not gaps:
            return not_applicable(self, "no optimizer has groups of different rates")
        ratio, group = max(gaps, key=lambda gap: gap[0])
        seen = f"the highest rate is {number(ratio)} times the next"
        if ratio < self.max_ratio:
            return passed(self, seen, ratio)
        site = _name(scene, group)
        return failed(
            self,
            seen,
            ratio,
            findings=[
                finding(
                    self,
                    f"The group of {site or 'some parameters'} has a rate of {number(_rate(group))}, "
                    f"{number(ratio)} times that of every other group. Bring it within a factor of ten.",
                    site=site,
                    causes=("lr-too-high",),
                    evidence={"ratio": ratio, "rate": _rate(group)},
                )
            ],
        )


def _gap(optimizer: Any) -> tuple[float, dict[str, Any]] | None:
    """The highest rate over the next one, and the group that has it."""
    groups = sorted(optimizer.param_groups, key=_rate)
    lower = [one for one in groups if 0.0 < _rate(one) < _rate(groups[-1])]
    return (_rate(groups[-1]) / _rate(lower[-1]), groups[-1]) if lower else None


def _apart(optimizers: dict[str, Any]) -> tuple[float, tuple[str, Any]] | None:
    """The largest ratio of rates between optimizers of one class, and the slower one."""
    tops = [(max(map(_rate, one.param_groups)), place, one) for place, one in optimizers.items()]
    pairs = [
        (high[0] / low[0], low[1:])
        for low in tops
        for high in tops
        if low[0] > 0.0 and type(low[2]) is type(high[2]) and low[2] is not high[2]
    ]
    return max(pairs, key=lambda pair: pair[0], default=None)


def _rate(group: dict[str, Any]) -> float:
    return float(group.get("initial_lr", group.get("lr", 0.0)))


def _name(scene: Scene, group: dict[str, Any]) -> str | None:
    held = {id(one) for one in group["params"]}
    return next((name for name, one in scene.parameters.items() if id(one) in held), None)
