"""One parameter group has a rate hundreds of times that of all others.

## What it does
Compares the rates of the parameter groups of each optimizer: the highest with the next one below.

## Why it matters
A rate of its own is often copied in the unit of another optimizer. The updates of that group throw
the outputs about, and what it sends back misleads the layers before it.

## Passes when
The highest rate is within a hundred times of the next: rates that fall from layer to layer pass.

## Fails when
It is a hundred times the next or more.

## What to do
Give the group a rate within a factor of ten of the others.

## Source
Howard & Ruder 2018 (ULMFiT), section 3.2: neighbouring layers differ by 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="OPT261", causes=("lr-too-high",), stage="optimizer")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnevenRates:
    """Options of the check."""

    max_ratio: float = 100.0
    """The highest rate over the next one below."""

    def judge(self, scene: Scene, /) -> Answer:
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
                    evidence={"ratio": ratio, "rate": _rate(group)},
                )
            ],
        )


def _gap(optimizer: Any) -> tuple[float, dict[str, Any]] | None:
    """The highest rate over the next one, and the group that has it."""
    groups = sorted(optimizer.param_groups, key=_rate)
    lower = [one for one in groups if 0.0 < _rate(one) < _rate(groups[-1])]
    return (_rate(groups[-1]) / _rate(lower[-1]), groups[-1]) if lower else None


def _rate(group: dict[str, Any]) -> float:
    return float(group.get("initial_lr", group.get("lr", 0.0)))


def _name(scene: Scene, group: dict[str, Any]) -> str | None:
    held = {id(one) for one in group["params"]}
    return next((name for name, one in scene.parameters.items() if id(one) in held), None)
