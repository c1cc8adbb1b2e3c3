"""What textbooks and this library say about deep plain networks, beside what was measured.

`holds` and `contradicted` are said only where every seed agrees; a single seed shows nothing
about the spread over seeds, which is what most of these claims are about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadytrain.core.experiment import Claim, Verdict
from steadytrain.lab.signal.findings import HIGH, LOW, RATIOS, Starts, backward, forward
from steadytrain.lab.signal.one_start import DEFAULT, FITTED, GAIN, HE, MIRRORED

SMOOTH = ("GELU", "SiLU")


def claims(starts: Starts) -> tuple[Claim, ...]:
    """Every statement that was tried."""
    return (
        _default_is_he(starts),
        _he_for_smooth(starts),
        _he_for_relu(starts),
        _exact_gain_forward(starts),
        _exact_gain_backward(starts),
        _lsuv(starts),
        _mirrored(starts),
    )


def _default_is_he(starts: Starts) -> Claim:
    records = [one for a in starts.activations for one in starts.records[a, DEFAULT]]
    values = [record.weight_variance for record in records]
    below = all(value < 1.0 for value in values)
    kept = [record.kept_difference for record in starts.records["ReLU", DEFAULT]]
    return Claim(
        question="Is nn.Linear's default initialisation He's, and right for ReLU?",
        expected="yes: variance 2 / fan_in",
        measured=f"variance x fan_in {np.mean(values):.4f}, between {min(values):.4f} and "
        f"{max(values):.4f}; of what ReLU tells two inputs apart by, {max(kept):.1e} is left",
        verdict="contradicted" if below else "holds",
        comment="Its a = sqrt(5) makes the variance 1 / (3 fan_in), a sixth of He's. What is left "
        "of the signal are the biases, the same for every input.",
    )


def _he_for_smooth(starts: Starts) -> Claim:
    return Claim(
        question="Does He initialisation work for GELU and SiLU?",
        expected="yes, they are close to ReLU",
        measured=_listed(starts, SMOOTH, HE, "signal"),
        verdict=_all_or_none(starts, SMOOTH, HE, "signal"),
        comment="Their gains are 1.534 and 1.677. Every layer loses what sqrt(2) leaves out, and "
        "the smaller the signal, the more linear they are with slope 1/2.",
    )


def _he_for_relu(starts: Starts) -> Claim:
    counts = {name: starts.num_within("ReLU", HE, ratio) for name, ratio in RATIOS.items()}
    return Claim(
        question="Does He initialisation keep ReLU's signal and gradient at this width, every seed?",
        expected="yes: 2 / fan_in is exact for ReLU",
        measured=f"{_listed(starts, ('ReLU',), HE, 'signal')}; gradient within the band under "
        f"{counts['gradient']} of {starts.num_seeds} seeds",
        verdict=_every_seed(starts, min(counts.values())),
        comment="It is exact on average over the seeds. The logarithm of the signal spreads by "
        "sqrt(5 depth / width) from seed to seed.",
    )


def _exact_gain_forward(starts: Starts) -> Claim:
    return Claim(
        question=f"Does the exact gain keep the signal within [{LOW:g}, {HIGH:g}]?",
        expected="yes, for every activation: it makes unit variance a fixed point",
        measured=_listed(starts, starts.activations, GAIN, "signal"),
        verdict=_all_or_none(starts, starts.activations, GAIN, "signal"),
        comment="For GELU, SiLU and Mish the fixed point is unstable: what width leaves to chance "
        "grows by 14, 17 and 8 percent per layer.",
    )


def _exact_gain_backward(starts: Starts) -> Claim:
    return Claim(
        question="And the gradient?",
        expected="yes: the same gain serves both ways",
        measured=_listed(starts, starts.activations, GAIN, "gradient"),
        verdict=_all_or_none(starts, starts.activations, GAIN, "gradient"),
        comment="Only for scale-free activations are E[phi'^2] and E[phi^2] the same.",
    )


def _lsuv(starts: Starts) -> Claim:
    held = starts.always_within(starts.activations, FITTED, forward)
    lost = [a for a in starts.activations if not starts.always_within([a], FITTED, backward)]
    return Claim(
        question="Does LSUV close what the formula leaves?",
        expected="unit variance in every layer, whatever the activation",
        measured=f"signal: {'every' if held else 'not every'} seed within the band; gradient "
        f"beyond it for {', '.join(lost) or 'none'}",
        verdict="holds" if held and starts.num_seeds > 1 else _otherwise(starts),
        comment="It measures the signal, and it knows nothing of the gradient.",
    )


def _mirrored(starts: Starts) -> Claim:
    held = starts.always_within(starts.activations, MIRRORED, forward, backward)
    worst = {
        name: [v for a in starts.activations for v in starts.values(a, MIRRORED, ratio)]
        for name, ratio in RATIOS.items()
    }
    spans = ", ".join(f"{k} {min(v):.3g} to {max(v):.3g}" for k, v in worst.items())
    return Claim(
        question="Do mirrored pairs keep signal and gradient at once?",
        expected=f"both within [{LOW:g}, {HIGH:g}] for every activation and seed",
        measured=f"over all of them: {spans}",
        verdict="holds" if held and starts.num_seeds > 1 else _otherwise(starts),
        comment="phi(u) - phi(-u) is proportional to u for ReLU, LeakyReLU, GELU and SiLU: the "
        "network begins as a linear one.",
    )


def _listed(starts: Starts, activations: Sequence[str], way: str, name: str) -> str:
    parts = (
        f"{a} {starts.span(a, way, RATIOS[name])} "
        f"({starts.num_within(a, way, RATIOS[name])} of {starts.num_seeds})"
        for a in activations
    )
    return f"{name} changes by: {', '.join(parts)}"


def _all_or_none(starts: Starts, activations: Sequence[str], way: str, name: str) -> Verdict:
    """Whether every seed is within the band; contradicted where one activation never is."""
    counts = [starts.num_within(a, way, RATIOS[name]) for a in activations]
    if starts.num_seeds < 2:
        return "not shown"
    if min(counts) == starts.num_seeds:
        return "holds"
    return "contradicted" if min(counts) == 0 else "not shown"


def _every_seed(starts: Starts, count: int) -> Verdict:
    """For a claim about every seed, one seed beyond the band is enough to contradict it."""
    if starts.num_seeds < 2:
        return "not shown"
    return "holds" if count == starts.num_seeds else "contradicted"


def _otherwise(starts: Starts) -> Verdict:
    return "not shown" if starts.num_seeds < 2 else "contradicted"
