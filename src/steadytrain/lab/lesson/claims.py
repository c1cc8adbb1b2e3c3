"""The lesson's questions: what it expects, what was measured, and a verdict.

`holds` and `contradicted` are said only where the 95% confidence interval of a difference,
paired by seed, excludes 0, or where every seed agrees; a single seed shows nothing.
"""

from __future__ import annotations

from steadytrain.core.experiment import Claim, Verdict
from steadytrain.lab.intervals import difference, interval
from steadytrain.lab.lesson.lesson_says import STABILITY
from steadytrain.lab.lesson.results import (
    CORRECTED,
    Quantity,
    Results,
    clipped_percent,
    final_loss,
    first_epoch_loss,
    jitter_before,
    spread_after,
    spread_before,
)
from steadytrain.lab.lesson.tables import factor_name, shown

WRITTEN = "all tricks, as written"


def claims(results: Results) -> tuple[Claim, ...]:
    """Every question that was tried, in the lesson's order."""
    return (
        _fastest(results),
        _lowest(results),
        _at_best_rate(results),
        _most_stable(results),
        _very_stable(results),
        _clipping_acts(results),
        _layernorm_against_batchnorm(results),
        _break_test(results),
        _warmup(results),
    )


def _fastest(results: Results) -> Claim:
    return Claim(
        question="Which configuration learns fastest?",
        expected="all tricks has the lowest first-epoch loss, before batchnorm",
        measured=f"first-epoch loss: {_listed(results, first_epoch_loss)}",
        verdict=_is_smallest(results, "all tricks", first_epoch_loss),
        comment="The warm-up holds the rate back for a tenth of the run; in a run of few epochs "
        "the first one pays for it.",
    )


def _lowest(results: Results) -> Claim:
    return Claim(
        question="Which configuration ends with the lowest training loss?",
        expected="all tricks, before batchnorm, layernorm and no tricks",
        measured=f"final loss: {_listed(results, final_loss)}",
        verdict=_is_smallest(results, "all tricks", final_loss),
        comment="All configurations have the same peak rate here; the break test shows what each "
        "gains from a higher one.",
    )


def _at_best_rate(results: Results) -> Claim:
    best = {
        name: (factor, losses)
        for name in CORRECTED
        if (factor := results.best_factor(name)) is not None
        and (losses := results.break_losses(name, factor)) is not None
    }
    shown_best = ", ".join(
        f"{name} {interval(losses)} at {factor_name(factor)}"
        for name, (factor, losses) in best.items()
    )
    rivals = [losses for name, (_, losses) in best.items() if name != "all tricks"]
    return Claim(
        question="And when each configuration has the best of the tried learning rates?",
        expected="all tricks ends lowest",
        measured=f"final loss: {shown_best}",
        verdict=_is_below(best["all tricks"][1], rivals) if "all tricks" in best else "not shown",
        comment="The rate is chosen by the same final loss that is compared.",
    )


def _is_below(favourite: list[float], rivals: list[list[float]]) -> Verdict:
    """Whether `favourite` is below each rival, seed by seed."""
    if not rivals:
        return "not shown"
    gaps = [difference(rival, favourite) for rival in rivals]
    if all(gap.low > 0 for gap in gaps):
        return "holds"
    return "contradicted" if any(gap.high < 0 for gap in gaps) else "not shown"


def _most_stable(results: Results) -> Claim:
    words = ", ".join(f"{name} {word}" for name, word in STABILITY.items())
    return Claim(
        question="Which configuration has the steadiest gradient norm, before clipping?",
        expected=f"all tricks; in the lesson's words: {words}",
        measured=f"step-to-step log-sd: {_listed(results, jitter_before)}",
        verdict=_is_smallest(results, "all tricks", jitter_before),
        comment="Judged is whether all tricks is the steadiest; the order of the others is not.",
    )


def _very_stable(results: Results) -> Claim:
    before, after = results.mean(WRITTEN, spread_before), results.mean(WRITTEN, spread_after)
    gap = results.gap_of(WRITTEN, spread_before, spread_after)
    is_artefact = gap is not None and gap.low > 0
    return Claim(
        question="Is the 'very stable' gradient norm of all tricks a property of the training?",
        expected="very stable, in the norms that the lesson's code logs: after clipping",
        measured=f"log-sd {shown(after)} after clipping, {shown(before)} before it "
        f"(n={results.num_seeds})",
        verdict="contradicted" if is_artefact else "not shown",
        comment="A norm that was clipped to 1 cannot exceed 1: the lesson measures its threshold.",
    )


def _clipping_acts(results: Results) -> Claim:
    shares = [results.mean(name, clipped_percent) for name in ("all tricks", WRITTEN)]
    acts = [all(clipped_percent(r) > 0 for r in results.main[n]) for n in ("all tricks", WRITTEN)]
    return Claim(
        question="Does clipping at 1 act at all?",
        expected="yes",
        measured=f"norm above 1 on {shown(shares[0])} percent of the steps; as written on "
        f"{shown(shares[1])} percent (n={results.num_seeds})",
        verdict="holds" if all(acts) else "not shown" if any(acts) else "contradicted",
        comment="Adam divides by the size of the gradients: scaling them all changes its step "
        "only through the steps around.",
    )


def _layernorm_against_batchnorm(results: Results) -> Claim:
    gap = results.gap("GroupNorm(1, C)", "batchnorm", final_loss)
    verdict: Verdict = "not shown"
    if gap is not None and gap.excludes_zero:
        verdict = "holds" if gap.mean > 0 else "contradicted"
    return Claim(
        question="Does layernorm differ from batchnorm?",
        expected="batchnorm ends lower, 0.05 against 0.08",
        measured=f"final loss of GroupNorm(1, C) minus that of batchnorm: {shown(gap)} "
        f"(n={results.num_seeds}, paired)",
        verdict=verdict,
        comment="The lesson's layernorm is GroupNorm(1, C): other affine parameters than a layer "
        "norm over [C, H, W], and not the one of transformers.",
    )


def _break_test(results: Results) -> Claim:
    last = results.factors[-1]
    outcome = {name: results.num_converged(name, last) for name in CORRECTED}
    counts = {name: len(results.breaking[name, last]) for name in CORRECTED}
    margins = ", ".join(
        f"{name} {'none' if margin is None else factor_name(margin)}"
        for name in CORRECTED
        for margin in [results.safety_margin(name)]
    )
    return Claim(
        question=f"What does a learning rate {factor_name(last)} break?",
        expected="no tricks stops training; every normalised configuration still trains",
        measured=f"converged at {factor_name(last)}: "
        + ", ".join(f"{name} {outcome[name]} of {counts[name]}" for name in CORRECTED)
        + f"; safety margins: {margins}",
        verdict=_break_verdict(results, last),
    )


def _break_verdict(results: Results, factor: float) -> Verdict:
    """Holds where every seed agrees; contradicted where most seeds of some configuration do not."""

    def share(name: str) -> float:
        records = results.breaking[name, factor]
        return results.num_converged(name, factor) / len(records)

    if len(results.breaking["no tricks", factor]) < 2:
        return "not shown"
    plain, normalised = share("no tricks"), [share(name) for name in CORRECTED[1:]]
    if plain == 0 and min(normalised) == 1:
        return "holds"
    return "contradicted" if plain > 0.5 or min(normalised) < 0.5 else "not shown"


def _warmup(results: Results) -> Claim:
    written, fixed = (results.main[name][0] for name in (WRITTEN, "all tricks"))
    peak_share = written.rates[0] / max(written.rates)
    return Claim(
        question="Does the warm-up protect the first update?",
        expected="the first update runs at a small fraction of the peak rate",
        measured=f"as written the first update runs at {peak_share:.2g} of the peak, corrected at "
        f"{fixed.rates[0] / max(fixed.rates):.2g}; {_cost_of_full_peak(results)}",
        verdict="holds" if peak_share < 1 else "contradicted",
        comment="The lesson steps its scheduler after the optimizer and sets no rate before.",
    )


def _cost_of_full_peak(results: Results) -> str:
    last = results.factors[-1]
    losses = [
        [record.first_epoch_loss for record in results.breaking[name, last]]
        for name in (WRITTEN, "all tricks")
    ]
    means = [sum(values) / len(values) for values in losses]
    return (
        f"first-epoch loss at {factor_name(last)}: {means[0]:.2f} as written, "
        f"{means[1]:.2f} corrected"
    )


def _listed(results: Results, quantity: Quantity) -> str:
    """The configurations from the smallest mean to the largest."""
    ranked = results.ranking(quantity)
    listed = ", ".join(f"{name} {shown(results.mean(name, quantity))}" for name in ranked)
    return f"{listed} (n={results.num_seeds})"


def _is_smallest(results: Results, favourite: str, quantity: Quantity) -> Verdict:
    """Whether `favourite` has the smallest mean by more than the seeds' noise."""
    first, second, *_ = results.ranking(quantity)
    if first == favourite:
        gap = results.gap(second, favourite, quantity)
        return "holds" if gap is not None and gap.low > 0 else "not shown"
    gap = results.gap(favourite, first, quantity)
    return "contradicted" if gap is not None and gap.low > 0 else "not shown"
