"""The learning rate is far outside the range in which the network learns.

## What it does
Raises the rate of a copy over eight decades within sixty steps and finds where the loss falls and
where it diverges. A rate that lies suspiciously is tried: forty steps at it, and forty at a
hundredth, or at the suggested one.

## Why it matters
A hundred times too high throws the weights about; a thousand times too low learns nothing within
the patience of anybody.

## Passes when
The rate lies between a thousandth of the one suggested and the edge, or does as well as the other
in the trial.

## Fails when
Too high: it lies above a tenth of the rate at which the loss diverges, or eight times the suggested
one; and either the loss is blown up on the way or ends above its start, while a hundredth of the
rate, at which it falls, ends clearly lower after forty steps; or it is thrown up and falls by less
than a third of what it falls at a tenth or a thirtieth of the rate. Too low: it is a
thousandth of the suggested one (without one, of a hundredth of the edge) or less, and in forty steps the loss falls by less than a fiftieth
of what it falls at that.

## What to do
Start from the suggested rate, with a warmup; `lr_range_test(program)` prints the whole table.

## Source
Smith 2017 (Cyclical learning rates), section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

import torch

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.checks._traffic import is_scale_free
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.optim._rate_sweep import RateSweep
from steadytrain.optim.range_test import has_diverged, suggestion

_STEPS = 60
_FEWEST, _LEVEL = 20, 6
"""Steps at rising rates, and losses of the untrained network, where a step takes long."""
_SECONDS = 8.0
"""Time that the rising rates may take before there are fewer of them."""
_LOWEST, _HIGHEST = 1e-7, 10.0
_TRIAL = 40
_CLIP = ("missing-grad-clip",)
_BEHIND = ("init-too-large", "data-not-normalized")
"""What may make every usual rate too high: a check that sees it itself counts more than this one."""

_BLOWN_UP = ("is blown up and ends higher after", 100.0)
_STANDS = ("is thrown up and ends higher after", 10.0)
"""What is said of both kinds, and the factor of the rate that does better."""


@check(code="OPT259", causes=("lr-too-high", "lr-too-low"), stage="optimizer", slow=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class RateFarOff:
    """Options of the check."""

    near_edge: float = 0.1
    """Share of the diverging rate from which on a rate is tried."""
    far_above: float = 8.0
    """Factor over the suggested rate from which on a rate is tried."""
    far_below: float = 1e-3
    """Factor over the suggested rate down to which it is not."""

    def judge(self, scene: Scene, /) -> Answer:
        if scene.has_own_step:
            return not_applicable(self, "a step_fn sets rates of its own")
        rate = max(
            float(g.get("initial_lr", g["lr"])) for g in scene.program.optimizer.param_groups
        )
        suggested, edge = _range(scene, rate)
        seen = f"rate {number(rate)}, suggested {_shown(suggested)}, diverging at {_shown(edge)}"
        high = edge is not None and rate > self.near_edge * edge
        high = high or (suggested is not None and rate > self.far_above * suggested)
        if high:
            own = _own_losses(scene)
            if _throws_about(scene, rate, own):
                return self._too_high(scene, seen, rate, suggested, _BLOWN_UP)
            if _stands_still(scene, rate, own):
                return self._too_high(scene, seen, rate, suggested, _STANDS)
        usual = suggested or (edge and edge / 100)
        if usual and rate < self.far_below * usual:
            fall, could = _fall(scene, rate), _fall(scene, usual)
            if could > 0 and fall < could / 50:
                return self._too_low(seen, rate, usual)
        return passed(self, seen, rate)

    def _too_high(
        self, scene: Scene, seen: str, rate: float, suggested: float | None, how: tuple[str, float]
    ) -> Answer:
        program = scene.program
        warmup = () if program.scheduler is not None else ("missing-warmup",)
        clip = () if program.clip is not None or is_scale_free(program.optimizer) else _CLIP
        message = (
            f"At a rate of {number(rate)} the loss {how[0]} {_TRIAL} steps "
            f"than at {number(rate / how[1])}, where it falls. Begin with {_shown(suggested or rate / 100)} and a warmup."
        )
        causes = ("lr-too-high", *clip, *warmup, *_BEHIND)[: 3 + len(clip)]
        return self._failed(seen, message, rate, suggested, causes)

    def _too_low(self, seen: str, rate: float, suggested: float) -> Answer:
        message = (
            f"At a rate of {number(rate)} the loss stands still, at {number(suggested)} it falls. "
            "Multiply the rate by ten until it does."
        )
        return self._failed(seen, message, rate, suggested, ("lr-too-low",))

    def _failed(
        self, seen: str, message: str, rate: float, suggested: float | None, causes: tuple[str, ...]
    ) -> Answer:
        evidence = {"rate": rate, "suggested": _shown(suggested)}
        found = finding(self, message, causes=causes, evidence=evidence)
        return failed(self, seen, rate, findings=[found])


def _shown(rate: float | None) -> str:
    return "nowhere" if rate is None else number(rate)


def _range(scene: Scene, rate: float) -> tuple[float | None, float | None]:
    """The suggested rate and the one at which the loss diverges; None where there is none."""
    seconds = _step_seconds(scene)
    if seconds * _STEPS <= _SECONDS:
        level, rates = [], _rising(_LOWEST, _STEPS)
    else:
        level = _untrained(scene)
        count = max(_FEWEST, int(_SECONDS / seconds))
        rates = _rising(min(1e-4, max(_LOWEST, rate / 100)), count)
    losses = [*level, *_losses(scene, rates, before=level)]
    rates = [rates[0]] * len(level) + rates
    edge = rates[len(losses) - 1] if has_diverged(losses, _STEPS) else None
    return suggestion(rates, losses, _STEPS), edge


def _rising(lowest: float, count: int) -> list[float]:
    growth = (_HIGHEST / lowest) ** (1 / (count - 1))
    return [lowest * growth**step for step in range(count)]


def _step_seconds(scene: Scene) -> float:
    """How long an optimizer step takes, by those of the program that were watched."""
    return min(scene.once(steps_of).seconds) * scene.program.accumulate


def _untrained(scene: Scene) -> list[float]:
    """The losses of the first batches before anything is learned: their level and spread."""
    with scene.trial() as trial, torch.no_grad():
        try:
            return [float(trial.loss_value(batch)) for batch in trial.batches(_LEVEL)]
        except Exception as error:  # the user's loss may raise anything
            raise Unseen(f"the loss raised {type(error).__name__}: {error}") from error


def _losses(
    scene: Scene,
    rates: list[float],
    *,
    before: list[float] | None = None,
    num_batches: int = 8,
) -> list[float]:
    """The losses at these rates; until they diverge, where losses `before` them are given."""
    losses: list[float] = []
    with scene.trial() as trial:
        trial.program.batches = list(trial.batches(num_batches))
        try:
            sweep = RateSweep(trial.program)
            for rate in rates:
                losses.append(sweep.step(rate))
                if before is not None and has_diverged([*before, *losses], _STEPS):
                    break
                if not math.isfinite(losses[-1]):
                    break
        except Exception as error:  # the user's loss may raise anything
            raise Unseen(f"a step raised {type(error).__name__}: {error}") from error
    return losses


def _stands_still(scene: Scene, rate: float, own: list[float]) -> bool:
    """Whether the program's own steps learn nothing where a tenth of the rate, or less, learns."""
    if len(own) < _TRIAL or not all(map(math.isfinite, own)):
        return False
    for factor in (10, 30):
        slow = _losses(scene, [rate / factor] * _TRIAL)
        if len(slow) < _TRIAL:
            continue
        start, ends = median(slow[:3]), median(slow[-10:])
        spread, fall = max(slow[:5]) - min(slow[:5]), start - ends
        learns = fall > max(0.05 * abs(start), 4 * spread)
        thrown = max(own) > start + 0.5 * fall
        if learns and thrown and median(own[-10:]) > start - fall / 3:
            return True
    return False


def _throws_about(scene: Scene, rate: float, own: list[float]) -> bool:
    """Whether the program's own steps do harm, and those at a hundredth of the rate do well."""
    slow = _losses(scene, [rate / 100] * _TRIAL)
    start, ends = median(slow[:5]), median(slow[-10:])
    if not (len(slow) == _TRIAL and ends < start):
        return False
    if not all(map(math.isfinite, own)):
        return True
    spread, last = max(slow[:10]) - min(slow[:10]), median(own[-10:])
    blown_up = max(own) > start + 0.5 * abs(start) + 3 * spread
    return last > ends + 0.25 * (start - ends) and (blown_up or last > start + 0.5 * spread)


def _own_losses(scene: Scene) -> list[float]:
    """Losses of the program's own steps, with its schedule and clip."""
    losses: list[float] = []
    with scene.trial() as trial:
        for batch in trial.batches(_TRIAL):
            try:
                losses.append(trial.step(batch))
            except Exception as error:  # the user's loss may raise anything
                raise Unseen(f"a step raised {type(error).__name__}: {error}") from error
            if not math.isfinite(losses[-1]):
                break
    return losses


def _fall(scene: Scene, rate: float) -> float:
    """How far the loss of one batch falls in the trial: others would add their differences."""
    losses = _losses(scene, [rate] * _TRIAL, num_batches=1)
    return median(losses[:3]) - median(losses[-3:]) if len(losses) == _TRIAL else 0.0
