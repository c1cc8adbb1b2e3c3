"""Histories that rules are run over: hostile ones, fixed, and random ones that look like runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steadytrain.core.history import History
from steadytrain.core.stats import STATS

LIVE_STATS = tuple(STATS)
SITES = {
    "parameter": [f"l{i}.{part}" for i in range(6) for part in ("weight", "bias")],
    "module": [f"l{i}" for i in range(6)] + ["act.0", "act"],
    "group": ["0", "1"],
    "run": [""],
}


def _filled(
    value_at: Callable[[int], float], steps: list[int], capacity: int | None = None
) -> History:
    history = History(capacity=capacity)
    for number, step in enumerate(steps):
        for stat, declared in STATS.items():
            names = SITES[declared.kind]
            history.append(step, stat, [value_at(number)] * len(names), names)
    return history


def _constant(value: float, steps: int = 120) -> Callable[[], History]:
    return lambda: _filled(lambda _: value, list(range(steps)))


def _late_sites() -> History:
    history = random_history(5, steps=80)
    for step in range(80, 120):
        history.append(step, "grad_norm", [1.0, 2.0], ["late.weight", "late.bias"])
        history.append(step, "grad_rms", [0.1, 0.2], ["late.weight", "late.bias"])
        history.append(step, "update_ratio", [0.7], ["late.weight"])
        history.append(step, "in_optimizer", [0.0], ["late.weight"])
    return history


def _single_site() -> History:
    history = History(capacity=None)
    for step in range(120):
        for stat, declared in STATS.items():
            name = "" if declared.kind == "run" else "only"
            history.append(step, stat, [float(step % 7)], [name])
    return history


HOSTILE: dict[str, Callable[[], History]] = {
    "empty": lambda: History(),
    "one step of zeros": lambda: _filled(lambda _: 0.0, [0]),
    "one step of ones": _constant(1.0, 1),
    "zeros then a jump": lambda: _filled(lambda n: 0.0 if n < 100 else 1e6, list(range(120))),
    "all not measured": _constant(float("nan")),
    "infinite": _constant(float("inf")),
    "negative infinite": _constant(float("-inf")),
    "denormal": _constant(5e-324),
    "negative": _constant(-3.0),
    "huge": _constant(1.7e308),
    "huge and alternating": lambda: _filled(lambda n: (-1) ** n * 1.7e308, list(range(300))),
    "constant": _constant(0.25, 400),
    "infinite now and then": lambda: _filled(
        lambda n: np.inf if n % 9 == 8 else 1.0, list(range(300))
    ),
    "single site": _single_site,
    "late sites": _late_sites,
    "gaps": lambda: _filled(lambda n: float(n % 5), [0, 1, 2, 50, 51, 700, 5000, 5001, 9000]),
    "every hundredth step": lambda: _filled(lambda n: 2.0 ** (n % 9), list(range(0, 9000, 100))),
    "huge steps": lambda: _filled(lambda n: float(n), [0, 1, 2**40, 2**40 + 1, 2**40 + 2]),
    "huge steps in a ring": lambda: _filled(
        lambda n: float(n), [0, 1, 2**40, 2**40 + 1], capacity=64
    ),
}


def random_history(seed: int, steps: int = 330) -> History:
    """A run with everything in it now and then: noise, faults, gaps, late and frozen sites."""
    rng = np.random.default_rng(seed)
    history = History(capacity=None)
    level, trouble = rng.uniform(0.5, 5), set(rng.choice(steps, 6).tolist())
    depth = rng.choice([1.0, 0.05, 20.0])
    base = np.repeat(depth ** np.arange(6), 2)
    rare = [stat for stat, declared in STATS.items() if declared.kind == "module"]
    step = int(rng.choice([0, 3, 2**40]))
    for number in range(steps):
        step += int(rng.choice([1, 1, 1, 1, 1, 1, 1, 30])) if rng.random() < 0.02 else 1
        bad = number in trouble
        level *= rng.choice([0.999, 0.995, 1.004])
        wild = rng.choice([1e3, 30.0, np.inf]) if bad else 1.0
        history.append(step, "loss", level * (1 + 0.02 * rng.standard_normal()) * (5 if bad else 1))
        history.append(step, "loss_num_nonfinite", float(bad and rng.random() < 0.3))
        history.append(step, "grad_norm_total", wild * rng.lognormal(0, 0.3))
        history.append(step, "clip_coefficient", rng.choice([0.01, 0.02, 1.0], p=[0.7, 0.29, 0.01]))
        history.append(step, "stale_grad_fraction", rng.choice([0.0, 1.0], p=[0.3, 0.7]))
        history.append(step, "step_skipped", float(rng.random() < 0.3))
        history.append(
            step, "learning_rate", [0.1 * (1 + 9 * (number > 200)), 0.01], SITES["group"]
        )
        _parameters(history, rng, step, base, bad)
        if number % 10 == 0 or bad:
            for stat in rare:
                row = rng.choice([0.0, 0.3, 1.0, 5.0], size=8)
                history.append(
                    step, stat, np.where(rng.random(8) < 0.1, np.nan, row), SITES["module"]
                )
    return history


def _parameters(
    history: History, rng: np.random.Generator, step: int, base: np.ndarray, bad: bool
) -> None:
    names = SITES["parameter"]
    rms = base * rng.lognormal(0, 0.2, 12)
    rms[rng.random(12) < 0.03] = np.nan
    moves = rng.lognormal(-3, 2, 12) * (np.arange(12) != 4)
    history.append(step, "grad_rms", rms, names)
    history.append(step, "grad_norm", rms * np.tile([8.0, 2.0], 6), names)
    history.append(step, "update_norm", moves, names)
    history.append(step, "update_ratio", moves * rng.choice([1.0, 1e-5]), names)
    history.append(step, "in_optimizer", [1.0] * 11 + [float(rng.random() < 0.99)], names)
    history.append(step, "grad_num_nonfinite", np.where(bad, rng.integers(0, 3, 12), 0), names)
    history.append(step, "param_num_nonfinite", np.where(bad, rng.integers(0, 2, 12), 0), names)


def snapshot(history: History) -> list[list[tuple[int, str, list[float], tuple[str, ...]]]]:
    """Every row by step, as it could be appended to another history."""
    by_step: dict[int, list[tuple[int, str, list[float], tuple[str, ...]]]] = {}
    for stat in history.stats:
        steps, rows = history.measured(stat)
        for step, row in zip(steps.tolist(), rows, strict=True):
            by_step.setdefault(step, []).append((step, stat, row.tolist(), history.sites(stat)))
    return [by_step[step] for step in sorted(by_step)]
