"""Scores the rules about the loss and the gradient norm on synthetic curves.

    python benchmarks/rule_curves.py [--seeds 50] [--jobs 2] [--write] [--keep FILE] [--minutes 3]

Healthy curves: false alarms per 1,000 steps, by rule and kind of noise. Curves with a fault that
begins at step 2,500: how many were found, and after how many steps. Limits were chosen on seeds
0 to 5; even and odd seeds are shown apart. `--write` replaces
benchmarks/results/rule_curves.md. With `--keep` and `--minutes` it is made in pieces: it ends after
some runs, to be called once more.
"""

from __future__ import annotations

import argparse
import math
import os
import pickle
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steadytrain.core.history import History
from steadytrain.engine import judge, make_rules

STEPS = 4000
ONSET = 2500
RULES = [
    "loss-spike", "divergence", "early-divergence", "loss-plateau", "exploding-gradient", "nonfinite-loss"
]  # fmt: skip
TARGETS = {
    "single +50%": 0, "spike +1.0, 50-step decay": 0, "+2%/step": 4, "jump +5%": 10,
    "drift +0.02%/step": 200, "NaN": 0,
}  # fmt: skip
RESULT = Path(__file__).parent / "results" / "rule_curves.md"


@dataclass
class Curve:
    loss: np.ndarray
    rate: np.ndarray | None = None
    norm: np.ndarray | None = None
    nonfinite: list[int] = field(default_factory=list)

    def history(self) -> History:
        history = History(capacity=None)
        for step, loss in enumerate(self.loss):
            if step in self.nonfinite:
                history.append(step, "loss_num_nonfinite", 1)
                continue
            history.append(step, "loss", loss)
            history.append(step, "loss_num_nonfinite", 0)
            if self.rate is not None:
                history.append(step, "learning_rate", self.rate[step])
            if self.norm is not None:
                history.append(step, "grad_norm_total", self.norm[step])
        return history


def power_law() -> np.ndarray:
    return 2.0 + 8.5 * (1 + np.arange(STEPS) / 15) ** -0.5


def correlated(rng: np.random.Generator, share: float) -> np.ndarray:
    noise = np.zeros(STEPS)
    for step in range(1, STEPS):
        noise[step] = share * noise[step - 1] + rng.standard_normal() * np.sqrt(1 - share**2)
    return noise


def normal(width: float) -> Callable[[np.random.Generator], Curve]:
    return lambda rng: Curve(power_law() * (1 + width * rng.standard_normal(STEPS)))


def student(rng: np.random.Generator) -> Curve:
    return Curve(power_law() * (1 + 0.01 * rng.standard_t(3, STEPS)))


def laplace(rng: np.random.Generator) -> Curve:
    return Curve(power_law() * (1 + 0.02 * rng.laplace(size=STEPS)))


def wandering(rng: np.random.Generator) -> Curve:
    return Curve(power_law() * (1 + 0.015 * correlated(rng, 0.8)))


def batch_of_two(rng: np.random.Generator) -> Curve:
    return Curve(power_law() * rng.lognormal(-0.125, 0.5, (STEPS, 2)).mean(axis=1))


def widening(rng: np.random.Generator) -> Curve:
    width = np.linspace(0.005, 0.03, STEPS)
    return Curve(power_law() * (1 + width * rng.standard_normal(STEPS)))


def epochs(rng: np.random.Generator) -> Curve:
    """Memorised data: the level falls at every epoch's start, hard batches come last in each."""
    within = np.arange(STEPS) % 200 / 200
    level = power_law() * 0.985 ** (np.arange(STEPS) // 200) * (1 + 0.01 * within)
    return Curve(level * (1 + 0.012 * rng.standard_normal(STEPS)))


def restarts(rng: np.random.Generator) -> Curve:
    """Cosine restarts every 1,000 steps: the loss rises by a tenth at each and comes back."""
    within = np.arange(STEPS) % 1000
    rate = 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * within / 1000))
    bump = np.where(np.arange(STEPS) >= 1000, 0.10 * np.exp(-within / 150), 0)
    return Curve(power_law() * (1 + bump) * (1 + 0.012 * rng.standard_normal(STEPS)), rate=rate)


def negative(rng: np.random.Generator) -> Curve:
    return Curve(power_law() - 12 + 0.05 * rng.standard_normal(STEPS))


def near_zero(rng: np.random.Generator) -> Curve:
    level = 2.3 * np.exp(-np.arange(STEPS) / 250) + 1e-4
    return Curve(level * rng.lognormal(0, 0.3, STEPS))


def full_batch(rng: np.random.Generator) -> Curve:
    """No noise at all, with the ripple of momentum dying out."""
    ripple = 0.05 * np.cos(np.arange(STEPS) / 9) * np.exp(-np.arange(STEPS) / 400)
    return Curve(power_law() * (1 + ripple * rng.uniform(0.5, 1)))


def reinforcement(rng: np.random.Generator) -> Curve:
    """A policy loss: no level to speak of, heavy tails, slow waves."""
    return Curve(0.02 * correlated(rng, 0.97) + 0.05 * rng.standard_t(4, STEPS))


def adversarial(rng: np.random.Generator) -> Curve:
    waves = 0.08 * np.sin(np.arange(STEPS) / rng.uniform(60, 120)) + 0.05 * correlated(rng, 0.95)
    settle = 0.7 * np.exp(-np.arange(STEPS) / 100)
    return Curve(1.2 + settle + waves + 0.1 * rng.standard_normal(STEPS))


def gradient_norms(rng: np.random.Generator) -> Curve:
    curve = normal(0.012)(rng)
    curve.norm = (0.3 + 3 * np.exp(-np.arange(STEPS) / 80)) * rng.lognormal(0, 0.35, STEPS)
    return curve


HEALTHY: dict[str, Callable[[np.random.Generator], Curve]] = {
    "normal 0.3%": normal(0.003), "normal 1.2%": normal(0.012), "normal 5%": normal(0.05),
    "Student-t(3) 1%": student, "Laplace 2%": laplace, "correlated 0.8": wandering,
    "batch of 2": batch_of_two, "noise growing 6x": widening, "epochs": epochs,
    "warm restarts": restarts, "negative loss": negative, "loss near 0": near_zero,
    "full batch, ripple": full_batch, "policy loss": reinforcement, "adversarial": adversarial,
    "log-normal gradient norms": gradient_norms,
}  # fmt: skip


def faulted(
    kind: str, base: Callable[[np.random.Generator], Curve]
) -> Callable[[np.random.Generator], Curve]:
    def make(rng: np.random.Generator) -> Curve:
        curve = base(rng)
        after = np.arange(STEPS) - ONSET
        late = after >= 0
        match kind:
            case "single +50%":
                curve.loss[ONSET] *= 1.5
            case "spike +1.0, 50-step decay":
                curve.loss += np.where(late, np.exp(-np.maximum(after, 0) / 50), 0)
            case "+2%/step":
                curve.loss *= np.where(late, 1.02 ** np.minimum(after + 1, 300), 1)
            case "jump +5%":
                curve.loss *= np.where(late, 1.05, 1)
            case "drift +0.02%/step":
                curve.loss *= np.where(late, 1 + 0.0002 * (after + 1), 1)
            case "NaN":
                curve.nonfinite = list(range(ONSET, STEPS))
            case _:
                raise ValueError(kind)
        return curve

    return make


def norm_fault(kind: str) -> Callable[[np.random.Generator], Curve]:
    def make(rng: np.random.Generator) -> Curve:
        curve = gradient_norms(rng)
        assert curve.norm is not None
        after = np.arange(STEPS) - ONSET
        if kind == "gradient x1000 once":
            curve.norm[ONSET] *= 1000
        else:
            curve.norm *= np.where(after >= 0, 1.1 ** np.minimum(np.maximum(after + 1, 0), 80), 1)
            curve.loss *= np.where(after >= 0, 1.004 ** np.minimum(np.maximum(after, 0), 200), 1)
        return curve

    return make


FAULTY = {
    **{(kind, noise): faulted(kind, HEALTHY[noise]) for kind in TARGETS for noise in ("normal 1.2%", "correlated 0.8", "normal 5%")},
    ("gradient x1000 once", "log-normal gradient norms"): norm_fault("gradient x1000 once"),
    ("gradient +10%/step", "log-normal gradient norms"): norm_fault("gradient +10%/step"),
}  # fmt: skip


def alarms(curve: Curve) -> list[tuple[int, str]]:
    return [(finding.step, finding.rule) for finding in judge(curve.history(), make_rules(RULES))]


def healthy_run(job: tuple[str, int]) -> tuple[str, int, list[tuple[int, str]]]:
    kind, seed = job
    return kind, seed, alarms(HEALTHY[kind](np.random.default_rng([seed, 1])))


def faulty_run(
    job: tuple[tuple[str, str], int],
) -> tuple[tuple[str, str], int, int | None, str, int]:
    """The first alarm at or after the onset, and alarms before it."""
    case, seed = job
    said = alarms(FAULTY[case](np.random.default_rng([seed, 2])))
    before = sum(1 for step, _ in said if step < ONSET)
    step, rule = next(((s, r) for s, r in said if s >= ONSET), (None, "-"))
    return case, seed, None if step is None else step - ONSET, rule, before


def healthy_table(results: list[tuple[str, int, list[tuple[int, str]]]]) -> list[str]:
    lines = [
        f"| curve | even seeds | odd seeds | {' | '.join(RULES)} |",
        "|---" * (3 + len(RULES)) + "|",
    ]
    total: dict[int, list[float]] = {0: [0, 0], 1: [0, 0]}
    for kind in HEALTHY:
        steps, count = {0: 0, 1: 0}, {0: 0, 1: 0}
        by_rule: dict[str, int] = defaultdict(int)
        for _, seed, said in (r for r in results if r[0] == kind):
            steps[seed % 2] += STEPS
            count[seed % 2] += len(said)
            for _, rule in said:
                by_rule[rule] += 1
        for half in (0, 1):
            total[half][0] += count[half]
            total[half][1] += steps[half]
        rate = [f"{1000 * count[half] / max(steps[half], 1):.3f}" for half in (0, 1)]
        lines.append(
            f"| {kind} | {' | '.join(rate)} | {' | '.join(str(by_rule[r]) for r in RULES)} |"
        )
    rate = [f"**{1000 * total[half][0] / max(total[half][1], 1):.3f}**" for half in (0, 1)]
    return [*lines, f"| **all** | {' | '.join(rate)} |{' |' * len(RULES)}"]


def faulty_table(results: list[tuple[tuple[str, str], int, int | None, str, int]]) -> list[str]:
    lines = [
        "| fault at step 2,500 | noise | found | median delay | 90% delay | worst | target | first to speak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in FAULTY:
        mine = [r for r in results if r[0] == case]
        delays = sorted(r[2] for r in mine if r[2] is not None)
        rules: dict[str, int] = defaultdict(int)
        for row in mine:
            rules[row[3]] += 1
        spoke = ", ".join(f"{rule} {n}" for rule, n in sorted(rules.items(), key=lambda kv: -kv[1]))
        at = [
            f"{np.quantile(delays, q, method='higher'):.0f}" if delays else "-"
            for q in (0.5, 0.9, 1.0)
        ]
        target = TARGETS.get(case[0])
        lines.append(
            f"| {case[0]} | {case[1]} | {len(delays)}/{len(mine)} | {' | '.join(at)} | "
            f"{'-' if target is None else target} | {spoke} |"
        )
    return lines


def finished(keep: Path | None, seeds: range, jobs: int, until: float) -> dict[Any, Any]:
    """What every run said, by its function, case and seed; those that are kept are not run again.

    What is kept was said by the rules as they were: begin another file when they change.
    """
    runs: list[tuple[Any, ...]] = [(healthy_run, kind, s) for s in seeds for kind in HEALTHY]
    runs += [(faulty_run, case, s) for s in seeds for case in FAULTY]
    said = pickle.loads(keep.read_bytes()) if keep and keep.exists() else {}
    left = [run for run in runs if run not in said]
    with ProcessPoolExecutor(jobs) as pool:
        while left:
            piece, left = left[: 16 * jobs], left[16 * jobs :]
            results = [pool.submit(do, (case, seed)) for do, case, seed in piece]
            said |= {run: result.result() for run, result in zip(piece, results, strict=True)}
            if keep:
                keep.write_bytes(pickle.dumps(said))
            if left and time.time() > until:
                sys.exit(f"{len(left)} of {len(runs)} runs are left: call it once more")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep", type=Path, help="file of what finished runs said")
    parser.add_argument("--minutes", type=float, default=math.inf, help="with --keep: end after")
    args = parser.parse_args()
    seeds = range(args.seeds)
    start = time.time()
    said = finished(args.keep, seeds, args.jobs, start + 60 * args.minutes)
    healthy = [said[healthy_run, kind, seed] for kind in HEALTHY for seed in seeds]
    faulty = [said[faulty_run, case, seed] for case in FAULTY for seed in seeds]
    text = "\n".join(
        [
            "# The loss rules on synthetic curves",
            "",
            f"Measured {time.strftime('%Y-%m-%d')} by `python benchmarks/rule_curves.py --seeds {args.seeds} --write`; "
            f"{os.cpu_count()} {platform.machine()} CPU cores, Python {platform.python_version()}, numpy {np.__version__}; seeds 0 to {args.seeds - 1}, {STEPS} steps "
            "each. Limits were chosen on seeds 0 to 5, the others were only scored. "
            "Target: at most 0.1 false alarms per 1,000 steps.",
            "",
            "## Healthy curves: false alarms per 1,000 steps (last columns: alarms counted, by rule)",
            "",
            *healthy_table(healthy),
            "",
            "## Faulty curves: steps from onset to the first finding",
            "",
            *faulty_table(faulty),
            "",
        ]
    )
    sys.stdout.write(f"{text}\n{time.time() - start:.0f} s\n")
    if args.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
