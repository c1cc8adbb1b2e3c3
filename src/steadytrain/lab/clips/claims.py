"""What papers and this package say of their clips, beside what was measured."""

from __future__ import annotations

import math
from typing import Final

from steadytrain.core.experiment import Claim
from steadytrain.lab.clips.handlers import ADAGC, COMPOSER, PLAIN, ROBUST, TORCH, ZCLIP
from steadytrain.lab.clips.results import Results, per_seed, percent, shown, verdict
from steadytrain.lab.clips.series import NOISES
from steadytrain.lab.intervals import difference

MAX_CLIPPED: Final = 100
"""Steps that may be clipped after a rise that stays: 5% of 2,000, however long the series is."""


def claims(results: Results) -> tuple[Claim, ...]:
    """Every statement that was tried."""
    return (
        _norm_protects(results),
        _refuses(results),
        _level_shift(results, ROBUST, "Does RobustClip accept a norm that has risen for good?"),
        _level_shift(results, ZCLIP, "Does ZClip?"),
        _healthy(results),
        _moves(results, ROBUST),
        _moves(results, ADAGC),
        _moves(results, COMPOSER),
        *_spikes(results),
    )


def _norm_protects(results: Results) -> Claim:
    runs = results.runs(TORCH, "one NaN")
    alive = [run.is_finite for run in runs]
    return Claim(
        question="Does clipping by norm protect the weights from one bad gradient element?",
        expected="yes: it is recommended against instability of any kind",
        measured=f"after one NaN, weights are finite in {sum(alive)} of {len(alive)} runs",
        verdict=verdict(alive),
        comment="The norm is NaN, and every gradient is multiplied with it.",
    )


def _refuses(results: Results) -> Claim:
    faults = [fault for fault in results.scale.faults if fault.startswith("one ")]
    clean = results.runs(ROBUST, "none")

    def lives_on(seed: int) -> bool:
        hit = [results.runs(ROBUST, fault)[seed] for fault in faults]
        usual = clean[seed].stem_movement
        return all(run.is_finite and run.stem_movement > 0.5 * usual for run in hit)

    alive = per_seed(results, lives_on)
    return Claim(
        question=f"Does RobustClip keep training through {', '.join(faults)}?",
        expected="weights stay finite, and the layer that was hit goes on moving",
        measured=f"so in {sum(alive)} of {len(alive)} seeds",
        verdict=verdict(alive),
    )


def _level_shift(results: Results, handler: str, question: str) -> Claim:
    factors = results.scale.factors
    rises = {factor: results.rises(handler, factor) for factor in factors}
    parts = [
        f"x{factor:g}: {percent([one.clipped_after for one in found])} clipped, at rest after "
        f"{max(one.steps_to_rest for one in found)} steps"
        for factor, found in rises.items()
    ]
    rested = per_seed(
        results,
        lambda seed: all(
            rises[factor][seed].clipped_after * results.scale.after <= MAX_CLIPPED
            for factor in factors
        ),
    )
    return Claim(
        question=question,
        expected=f"at most {MAX_CLIPPED} of the {results.scale.after:,} steps after it are clipped",
        measured="; ".join(parts),
        verdict=verdict(rested),
    )


def _healthy(results: Results) -> Claim:
    shares = {
        (noise, variation): [one.clipped_after for one in results.healthy(noise, variation)]
        for noise in NOISES
        for variation in results.scale.variations
    }
    worst = max(shares, key=lambda key: max(shares[key]))
    calm = per_seed(results, lambda seed: all(found[seed] <= 0.015 for found in shares.values()))
    return Claim(
        question="Does RobustClip leave healthy noise alone?",
        expected="at most 1.5% of the steps are clipped, under heavy tails too",
        measured=f"at most {max(shares[worst]):.2%} ({worst[0]} noise, variation {worst[1]:.0%})",
        verdict=verdict(calm),
    )


def _moves(results: Results, handler: str) -> Claim:
    ours, plain = results.runs(handler, "none"), results.runs(PLAIN, "none")
    ratios = [a.inner_movement / b.inner_movement for a, b in zip(ours, plain, strict=True)]
    return Claim(
        question=f"Does a layer behind a zero-initialised projection still move under {handler}?",
        expected="at least 0.9 times as far as with plain AdamW, in the second half of the run",
        measured=f"{shown(ratios)} times as far",
        verdict=verdict([ratio >= 0.9 for ratio in ratios]),
    )


def _spikes(results: Results) -> list[Claim]:
    """The papers' own ground: finite spikes, a clip that adapts against one that does not."""
    fault = "spike x1000, 5 steps"
    if fault not in results.scale.faults:
        return []
    found: list[Claim] = []
    for handler in (ZCLIP, ADAGC, ROBUST):
        pair = [[run.loss for run in results.runs(one, fault)] for one in (handler, TORCH)]
        if not all(math.isfinite(loss) for losses in pair for loss in losses):
            continue
        gap = difference(*pair)
        told = "not shown" if not gap.excludes_zero else "holds" if gap.mean < 0 else "contradicted"
        found.append(
            Claim(
                question=f"Does {handler} end lower than a fixed norm of 1 after finite spikes?",
                expected="yes: that is what adaptive clips are published for",
                measured=f"test loss differs by {gap.text} after five spikes of x1000",
                verdict=told,
                comment="Published at the scale of language models; this is a small network.",
            )
        )
    return found
