"""The gradient grows out of proportion: at one step, over steps, or from layer to layer.

## What it sees
One of three things, never an absolute size. A jump: the norm of all gradients stands above the
steps before it by a factor that its own past does not explain. Growth: the norm has risen by as
much within some dozens of steps while the loss has not fallen. Depth: gradients are multiplied
from layer to layer on their way to the input, or activations on their way to the output.

## Why it matters
One step along such a gradient can move the weights further than all steps before together.

## Fires on
    grad_norm_total 1.0x50 10.1

    grad_norm_total 1.0x80 1.0->50.0x60
    loss 3.0->2.0x80 2.0..2.5x60

    grad_rms@l1.weight 14641
    grad_rms@l2.weight 1331
    grad_rms@l3.weight 121
    grad_rms@l4.weight 11
    grad_rms@l5.weight 1

## Stays silent on
    grad_norm_total 1.0x50 9.9

    grad_norm_total 1.0x80 1.0->50.0x60
    loss 3.0->2.0x80 2.0->1.0x60

    grad_rms@l1.weight 6561
    grad_rms@l2.weight 729
    grad_rms@l3.weight 81
    grad_rms@l4.weight 9
    grad_rms@l5.weight 1

    grad_norm_total 1e6x50

## What to do
A jump: look at the step's batch, and clip the gradient norm. Growth: lower the learning rate.
Depth: initialise for the activation used, add normalisation or residual connections.

## Source
Pascanu, Mikolov, Bengio 2013 (recurrent form); Hanin 2018 (depth form). Ten times the past is
what clipping recipes call an outlier (Megatron-LM's is ten times a maximum); measured in
benchmarks/results/rule_curves.md and rule_faults.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import NORMAL_MAD, Trail, Upward, median, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import comparable, profile, tenth_rows
from steadytrain.rules._extent import named, number

_JUMP = ("bad-batch", "missing-grad-clip", "lr-too-high", "recurrent-spectral-radius")
_GROWTH = ("lr-too-high", "missing-warmup", "missing-zero-grad", "missing-grad-clip")
_DEPTH = ("exploding-gradient", "init-too-large", "missing-norm", "residual-growth")


@rule(code="GRD001", causes=(*_JUMP[:3], *_DEPTH))
@dataclass(frozen=True, slots=True, kw_only=True)
class ExplodingGradient:
    """Options of the rule."""

    max_ratio: float = 10.0
    """Factor over the run's own past that a gradient norm may reach."""
    max_depth_ratio: float = 1e4
    """Factor by which gradients or activations may be multiplied from one end to the other."""

    def __post_init__(self) -> None:
        if not (self.max_ratio > 1 and self.max_depth_ratio > 1):
            msg = f"max_ratio and max_depth_ratio must be above 1, got {self.max_ratio} and"
            raise ValueError(f"{msg} {self.max_depth_ratio}: they are factors. Try 10 and 1e4.")

    @property
    def _test(self) -> Upward:
        return Upward(window=256, tail=8.0)

    @property
    def lookback(self) -> int:
        return self._test.reach

    def check(self, history: History, /) -> Iterator[Finding]:
        norms = _logs(history)
        for step, ratio, level, kind in self._over_steps(history, norms):
            yield self._outlier(history, step, ratio, level, kind)
        for stat, factor, step, ends in self._over_depth(history):
            yield self._cascade(stat, factor, step, ends)

    def _over_steps(
        self, history: History, norms: Trail
    ) -> Iterator[tuple[int, float, float, str]]:
        """Steps with a jump or growth: the ratio, the level it is over, and which it is."""
        if not len(norms.rows):
            return
        bar = np.log(self.max_ratio)
        rows = norms.rows
        before = norms.before(rows, 4, reach=64)
        sudden = norms.values[rows] - np.where(np.isfinite(before), before, -np.inf).max(axis=-1)
        past = norms.before(rows, 48, reach=128, lag=16)
        level = median(past)
        risen = median(norms.before(rows, 4, reach=16, lag=-1)) - level
        noise = NORMAL_MAD * median(np.abs(np.diff(past, axis=-1))) / np.sqrt(2)
        risen = np.where(risen > 4 * noise, risen, -np.inf)
        jump = sudden > np.log(3.0)
        if not (jump.any() or (risen > bar).any()):
            return
        seen = self._test.judge(norms)
        jump &= (seen.excess > bar) & (seen.excess > seen.limit)
        for row in np.flatnonzero(jump | (risen > bar)):
            step = int(seen.steps[row])
            if jump[row]:
                yield step, seen.excess[row], seen.expected[row], "jump"
            elif risen[row] > self._bar_of_growth(history, step):
                yield step, risen[row], level[row], "growth"

    def _bar_of_growth(self, history: History, step: int) -> float:
        """A norm may grow while the loss falls: leaving a plateau looks like that."""
        losses = history.between("loss", step - 64, step + 1)[:, 0]
        losses = losses[np.isfinite(losses)]
        if len(losses) < 16:
            return 2 * np.log(self.max_ratio)
        fell = np.median(losses[-4:]) < np.median(losses[:-8])
        return np.inf if fell else float(np.log(self.max_ratio))

    def _over_depth(self, history: History) -> Iterator[tuple[str, float, int, tuple[str, str]]]:
        """Steps at which something is multiplied from layer to layer: factor and both ends."""
        for stat in ("grad_rms", "act_rms"):
            names = history.sites(stat)
            for step, row in tenth_rows(history, stat):
                chosen = comparable(history, stat, step, row)
                if stat == "grad_rms":
                    chosen = chosen[::-1]
                seen = profile(row[chosen], self.max_depth_ratio)
                if seen and seen.factor > self.max_depth_ratio and seen.is_geometric(0.7):
                    ends = names[int(chosen[0])], names[int(chosen[-1])]
                    yield stat, seen.factor, step, ends

    def _outlier(
        self, history: History, step: int, ratio: float, level: float, kind: str
    ) -> Finding:
        factor, usual = float(np.exp(min(ratio, 700.0))), float(np.exp(min(level, 700.0)))
        names, places = _grown(history, step)
        where = f" {places} in particular {names[0]}." if names else ""
        act = "look at its batch and clip the norm" if kind == "jump" else "lower the learning rate"
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL if factor > 1e3 else Severity.WARNING,
            site=names[0] if names else None,
            message=f"The gradient norm is {number(usual * factor)}, {number(factor)} times its recent "
            f"{number(usual)} ({kind}).{where} Before the next step, {act}.",
            causes=_jump_causes(history, step) if kind == "jump" else _GROWTH,
            evidence={"kind": kind, "ratio": factor, "usual": usual, "parameters": names},
        )

    def _cascade(self, stat: str, factor: float, step: int, ends: tuple[str, str]) -> Finding:
        what = "Gradients" if stat == "grad_rms" else "Activations"
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL if factor > 1e8 else Severity.WARNING,
            site=ends[1],
            message=f"{what} grow by a factor of {number(factor)} from {ends[0]} to {ends[1]}, layer by "
            f"layer; {number(self.max_depth_ratio)} is a lot. Initialise for the activation, or add "
            "normalisation or residual connections.",
            causes=_DEPTH,
            evidence={
                "kind": "depth",
                "statistic": stat,
                "factor": factor,
                "from": ends[0],
                "to": ends[1],
            },
        )


def _jump_causes(history: History, step: int) -> tuple[str, ...]:
    """A bad batch lifts the gradients of all layers; one alone was not computed from it."""
    rows = history.between("grad_norm", step - 9, step + 1)
    ratio = rows[-1] / median(rows[:-1].T)
    known = np.isfinite(ratio)
    others = np.sort(ratio[known])[:-1]
    lone = known.sum() >= 4 and bool((others < 3).all())
    return ("hardware-fault", *_JUMP[:3]) if lone else _JUMP


def _logs(history: History) -> Trail:
    """The logarithm of the total norm where it is positive and finite."""
    norms = trail(history, "grad_norm_total")
    positive = norms.values > 0
    steps = norms.steps[positive]
    return Trail(steps, np.log(norms.values[positive]), int(np.searchsorted(steps, history.fresh)))


def _grown(history: History, step: int) -> tuple[list[str], str]:
    """The parameters whose own norm grew most, and how many grew tenfold."""
    rows = history.between("grad_norm", step - 9, step + 1)
    ratio = rows[-1] / median(rows[:-1].T)
    grew = (ratio >= 10) & np.isfinite(ratio)
    order = np.argsort(-np.nan_to_num(ratio, nan=-1.0, posinf=-1.0), kind="stable")
    names = named(history.sites("grad_norm"), grew, order)
    return names, f"{int(grew.sum())} of {int(np.isfinite(ratio).sum())} parameters grew tenfold,"
