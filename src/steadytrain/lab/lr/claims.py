"""The paper's statements and ours: what was expected, what was measured, and a verdict.

`holds` and `contradicted` are said only where the 95% confidence interval of a difference,
paired by seed, excludes 0, or where every seed agrees; a single seed shows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from steadytrain.core.experiment import Claim, Verdict
from steadytrain.lab.intervals import Interval, difference, interval
from steadytrain.lab.lr.arms import BASELINE, RECIPE
from steadytrain.lab.lr.curves import Curves, saved_share
from steadytrain.lab.lr.tables import NEAR

SENSITIVITY_SAVED: Final = 0.6
REGRET_SAVED: Final = 0.7
"""Shares of the baseline's that the recipe is expected to save."""
PAPER_DECADES: Final = 2.0
"""The paper's "orders of magnitude", read as at least two."""

_QK, _Z = "+ qk-norm", "+ qk-norm, z-loss"


def claims(curves: Curves) -> tuple[Claim, ...]:
    """Every statement that was tried: the paper's first, then ours."""
    peers = [name for name in curves.names if name.startswith("x-transformers")]
    return (
        _lowers(curves, _QK, BASELINE, "Does qk-norm lower the sensitivity?", "Wortsman et al."),
        _lowers(curves, _Z, _QK, "Does z-loss lower it further?", "Wortsman et al."),
        _diverges(curves),
        _flat(curves),
        _saves(curves, "sensitivity", SENSITIVITY_SAVED),
        _saves(curves, "regret", REGRET_SAVED),
        _best_loss(curves),
        *(_beats(curves, peer) for peer in peers),
    )


def _lowers(curves: Curves, name: str, reference: str, question: str, who: str) -> Claim:
    gap = difference(curves.sensitivity(name), curves.sensitivity(reference))
    return Claim(
        question=question,
        expected=f"yes ({who} 2023, at up to 1.2 billion parameters)",
        measured=f"sensitivity of {name!r} minus that of {reference!r}: {gap}",
        verdict=_negative(gap),
    )


def _diverges(curves: Curves) -> Claim:
    highest = curves.diverged[BASELINE][:, -1]
    seeds = len(curves.seeds)
    return Claim(
        question="Does the baseline diverge at the highest rate?",
        expected="yes: its attention logits grow without bound (Wortsman et al. 2023)",
        measured=f"diverged under {int(highest.sum())} of {seeds} seeds; "
        f"{curves.num_diverged(BASELINE)} of {curves.diverged[BASELINE].size} runs in all",
        verdict=_agreement([bool(diverged) for diverged in highest]),
        comment="Diverged means no better than at initialisation. A small model that is trained "
        "briefly loses at a high rate, without diverging.",
    )


def _flat(curves: Curves) -> Claim:
    decades = {name: curves.decades_within(name, NEAR) for name in (_Z, RECIPE)}
    return Claim(
        question="Is the loss similar over orders of magnitude of the rate?",
        expected="yes, with qk-norm and z-loss (Wortsman et al. 2023, abstract)",
        measured=", ".join(f"{name}: {value:.1f} decades" for name, value in decades.items()),
        verdict=_known(curves, decades[_Z] >= PAPER_DECADES),
        comment=f"Similar is read as within {NEAR:g} nats of the configuration's best mean, and "
        f"orders of magnitude as at least {PAPER_DECADES:g} decades. The verdict is on the paper's "
        "two parts, in a run far shorter than its 100,000 steps: low rates are not done here.",
    )


def _saves(curves: Curves, what: str, share: float) -> Claim:
    quantity = curves.sensitivity if what == "sensitivity" else curves.regret
    saved = saved_share(quantity(RECIPE), quantity(BASELINE))
    return Claim(
        question=f"How much lower is the recipe's {what} than the baseline's?",
        expected=f"at least {100 * share:.0f}% (ours)",
        measured=f"{_percent(interval(saved))}; the worst seed {100 * min(saved):.0f}%",
        verdict=_agreement([value >= share for value in saved]),
    )


def _best_loss(curves: Curves) -> Claim:
    gap = difference(curves.best(RECIPE), curves.best(BASELINE))
    return Claim(
        question="Does the recipe pay for it with its best loss?",
        expected="no: equal to the baseline's or lower (ours)",
        measured=f"best loss of the recipe minus that of the baseline: {gap}",
        verdict=_known(curves, gap.mean <= 0)
        if gap.mean <= 0 or gap.excludes_zero
        else "not shown",
        comment="Contradicted only where the recipe's is higher by more than the seeds' noise.",
    )


def _beats(curves: Curves, peer: str) -> Claim:
    gaps = {
        "sensitivity": difference(curves.sensitivity(RECIPE), curves.sensitivity(peer)),
        "regret": difference(curves.regret(RECIPE), curves.regret(peer)),
    }
    verdicts: set[Verdict] = {_negative(gap) for gap in gaps.values()}
    return Claim(
        question=f"Is the recipe less sensitive than {peer}?",
        expected="yes, in sensitivity and in regret (ours)",
        measured=", ".join(f"{name}: {gap}" for name, gap in gaps.items()) + ", recipe minus peer",
        verdict=verdicts.pop() if len(verdicts) == 1 else "not shown",
    )


def _negative(gap: Interval) -> Verdict:
    if not gap.excludes_zero:
        return "not shown"
    return "holds" if gap.mean < 0 else "contradicted"


def _agreement(answers: Sequence[bool]) -> Verdict:
    if len(answers) < 2 or len(set(answers)) > 1:
        return "not shown"
    return "holds" if answers[0] else "contradicted"


def _known(curves: Curves, answer: bool) -> Verdict:
    if len(curves.seeds) < 2:
        return "not shown"
    return "holds" if answer else "contradicted"


def _percent(share: Interval) -> str:
    width = "" if share.n == 1 else f" ± {100 * share.half_width:.0f}"
    return f"{100 * share.mean:.0f}{width}% (n={share.n})"
