"""A parameter is in two optimizers, or twice in one.

## What it does
Counts how often each parameter stands in the groups of the program's optimizers.

## Why it matters
Held twice, it is stepped twice: at twice the rate, by two memories of its past, decayed by both.

## Passes when
Each parameter stands in one group of one optimizer, or its second holder was not stepped.

## Fails when
Two optimizers that hold it both step within the same step of the program, or it stands twice in
one.

## What to do
Give each parameter to one optimizer; where groups overlap, take the shared part out of one.

## Source
torch.optim refuses a parameter in two groups of one optimizer for this reason; over two
optimizers nobody looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._holdings import Holdings, holdings_of
from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed


@check(code="OPT252", causes=("lr-too-high", "params-not-in-optimizer"), stage="optimizer")
@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersHeldTwice:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        holdings = holdings_of(scene.program)
        twice = [key for key, places in holdings.held.items() if len(places) > 1]
        if not twice:
            return passed(self, f"each of {len(holdings.held)} tensors is held once", 0)
        names = [holdings.names.get(key, "a tensor of no model") for key in twice]
        within_one = any(_is_within_one(holdings, key) for key in twice)
        if not within_one and not _is_stepped_twice(scene, set(names)):
            return passed(self, f"{len(twice)} are held twice, and stepped by one at a time")
        return failed(
            self,
            f"{len(twice)} parameters are held and stepped twice",
            len(twice),
            findings=[
                finding(
                    self,
                    f"{listed(names)} stand twice in the optimizers and are stepped twice in every "
                    "step. Give each parameter to one group of one optimizer.",
                    site=names[0],
                    evidence={"parameters": names[:8], "num_twice": len(twice)},
                )
            ],
        )


def _is_within_one(holdings: Holdings, key: int) -> bool:
    places = holdings.held[key]
    return len({place.optimizer for place in places}) < len(places)


def _is_stepped_twice(scene: Scene, names: set[str]) -> bool:
    """Whether most steps of the program used a gradient of theirs more than once."""
    try:
        steps = scene.once(steps_of)
    except Unseen:
        return False
    used = [path.num_used for path in steps.paths if path.name in names]
    return bool(used) and max(used) > 1.5 * steps.num_calls
