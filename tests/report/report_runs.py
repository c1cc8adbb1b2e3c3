"""Saved runs made up for the tests of the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from steadytrain.core.action import Event
from steadytrain.core.experiment import Chart, Claim, Experiment, Series, Table
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.store.reader import SavedRun

HOSTILE = [
    "<script>document.title='hit'</script>",
    '"><img src=x onerror="document.title=1">',
    "</script><script>document.title='hit'</script>",
    "<!--<script>",
    '<a href="http://example.invalid/">b</a>',
    "<b>bold</b> %{y} $x^2$ &lt;i&gt;",
    "\x1b[31mred\x1b[0m\x07",
    "abc\u202egpj.exe\u2066",
    "two\nlines\r\u2028\x85",
    "__proto__",
    "constructor",
    "{{7*7}} {{data}} ${7*7}",
    "[bold red]markup[/bold red] [link=http://example.invalid]x[/link]",
    "\ud800lone",
    "javascript:alert(1)",
    "x" * 1_000_000,
]

MODULES = ["conv1", "norm1", "relu1", "conv2", "norm2", "relu2", "fc1", "relu3", "fc2"]
PARAMETERS = [
    f"{name}.{kind}" for name in MODULES if "relu" not in name for kind in ("weight", "bias")
]


def saved(**fields: Any) -> SavedRun:
    given: dict[str, Any] = {
        "path": Path("made"),
        "meta": {},
        "history": History(capacity=None),
        "findings": [],
        "events": [],
    }
    return SavedRun(**{**given, **fields})


def finding(**fields: Any) -> Finding:
    given: dict[str, Any] = {
        "rule": "loss-spike",
        "code": "DYN001",
        "severity": Severity.WARNING,
        "step": 3,
        "message": "The loss jumped.",
    }
    return Finding(**{**given, **fields})


def run_of(
    num_steps: int,
    parameters: list[str] | None = None,
    modules: list[str] | None = None,
    seed: int = 0,
    rate: float = 0.1,
    broken_at: int | None = None,
    every: int = 1,
) -> SavedRun:
    """A run whose loss falls, and whose numbers turn NaN at `broken_at`."""
    rng = np.random.default_rng(seed)
    parameters = PARAMETERS if parameters is None else parameters
    modules = MODULES if modules is None else modules
    history = History(
        {"group": ["group 0"], "parameter": parameters, "module": modules}, capacity=None
    )
    depth = np.geomspace(0.3, 3.0, len(parameters)) * rng.uniform(0.4, 1.6, len(parameters))
    for step in range(num_steps):
        broken = broken_at is not None and step >= broken_at
        swell = (
            1.0 if broken_at is None else 1 + 40 * math.exp((min(step, broken_at) - broken_at) / 12)
        )
        share = step / max(1, num_steps)
        warm = min(1.0, (step + 1) / (0.1 * num_steps + 1))
        loss = (0.08 + 2.2 * math.exp(-5 * share) + 0.03 * rng.standard_normal() ** 2) * swell**0.4
        history.append(step, "learning_rate", [rate * warm * 0.5 * (1 + math.cos(math.pi * share))])
        history.append(step, "loss", math.nan if broken else loss)
        history.append(step, "loss_num_nonfinite", float(broken))
        history.append(step, "step_seconds", 0.021 + 0.002 * rng.random())
        history.append(step, "watch_seconds", 0.0004)
        if step % every == 0:
            norms = (
                depth
                * swell
                * (0.2 + math.exp(-2 * share))
                * rng.lognormal(0, 0.25, len(parameters))
            )
            total = float(np.linalg.norm(norms))
            history.append(step, "grad_norm_total", math.nan if broken else total)
            history.append(step, "grad_norm_clipped", math.nan if broken else min(1.0, total))
            history.append(step, "max_grad_norm", 1.0)
            history.append(step, "clip_coefficient", math.nan if broken else min(1.0, 1 / total))
            history.append(step, "grad_norm", np.full(len(norms), math.nan) if broken else norms)
            history.append(step, "grad_num_nonfinite", np.full(len(norms), float(broken)))
            history.append(step, "grad_rms", norms / 30)
            history.append(step, "param_norm", 3 + depth)
            history.append(step, "param_num_nonfinite", np.zeros(len(norms)))
            history.append(step, "update_ratio", norms * rate * warm / 100)
        if modules and step % max(10, every) == 0:
            history.append(step, "act_rms", rng.lognormal(0, 0.2, len(modules)) * swell)
            history.append(step, "act_num_nonfinite", np.full(len(modules), float(broken)))
        if step % 50 == 49:
            history.append(step, "validation_loss", math.nan if broken else loss * 1.2)
            history.append(step, "validation_metric", 0.98 - 0.5 * math.exp(-6 * share))
    meta = {
        "name": "digits-cnn",
        "torch": "2.13.0",
        "seed": seed,
        "optimizer": {"name": "AdamW", "lr": rate, "betas": [0.9, 0.999]},
        "device": "cpu",
    }
    return saved(path=Path("digits-cnn"), meta=meta, history=history)


def healthy(num_steps: int = 600) -> SavedRun:
    return run_of(num_steps)


def diverged() -> SavedRun:
    run = run_of(420, rate=3.0, broken_at=312, seed=3)
    run.meta["name"] = "digits-cnn, lr x 100"
    run.findings = [
        finding(
            rule="exploding-gradient",
            code="GRD001",
            step=298,
            site="conv2.weight",
            causes=("lr-too-high", "missing-grad-clip"),
            message="The gradient norm is 41.2, 37 times its median 1.1 of the 50 steps before. Lower the learning rate or clip at 1.0.",
            evidence={"grad_norm": 41.2, "median": 1.1, "ratio": 37.4},
        ),
        finding(
            rule="nonfinite-loss",
            code="LOS001",
            severity=Severity.CRITICAL,
            step=312,
            message="The loss is NaN; it was 6.53 one step before. Nothing after this step trains.",
            causes=("lr-too-high",),
            evidence={"loss_before": 6.53, "num_nonfinite": 1},
        ),
        finding(
            rule="nonfinite-gradient",
            code="GRD002",
            severity=Severity.CRITICAL,
            step=312,
            site="fc2.weight",
            message="640 of 640 elements of the gradient are NaN.",
            evidence={"num_nonfinite": 640},
        ),
    ]
    run.events = [
        Event(step=301, kind="skip", reason="gradient norm 52 above 30"),
        Event(step=306, kind="lr-cut", reason="second spike in 10 steps"),
    ]
    run.missing = [
        "Steps 120 to 127 are missing: a damaged record was left out.",
        "The validation loss was never logged after step 299.",
    ]
    return run


def hostile() -> SavedRun:
    run = run_of(120, parameters=HOSTILE, modules=HOSTILE)
    run.meta = {name: name for name in HOSTILE} | {
        "name": HOSTILE[0],
        "api_key": "sk-very-secret",
        "host": "box",
    }
    run.path = Path(HOSTILE[4].replace("/", "_"))
    run.findings = [
        finding(
            rule=name,
            code=name,
            step=at,
            site=name,
            message=name,
            causes=(name,),
            evidence={name: name},
            severity=Severity(at % 3),
        )
        for at, name in enumerate(HOSTILE)
    ]
    run.events = [
        Event(step=at, kind="skip", reason=name, evidence={name: name})
        for at, name in enumerate(HOSTILE)
    ]
    run.missing = list(HOSTILE)
    run.experiment = Experiment(
        name=HOSTILE[0],
        title=HOSTILE[1],
        summary=HOSTILE[2],
        data=HOSTILE[6],
        settings={name: name for name in HOSTILE},
        claims=tuple(
            Claim(question=name, expected=name, measured=name, verdict="holds", comment=name)
            for name in HOSTILE
        ),
        tables=(
            Table(
                title=HOSTILE[0], columns=tuple(HOSTILE), rows=(tuple(HOSTILE),), note=HOSTILE[1]
            ),
        ),
        charts=(
            Chart(
                title=HOSTILE[0],
                x_label=HOSTILE[1],
                y_label=HOSTILE[4],
                note=HOSTILE[2],
                kind="bar",
                series=tuple(
                    Series(name=name, x=tuple(HOSTILE), y=(1.0,) * len(HOSTILE))
                    for name in HOSTILE[:4]
                ),
            ),
        ),
    )
    return run


def huge(num_sites: int = 10_000, num_steps: int = 300) -> SavedRun:
    names = [f"layers.{index // 8}.block.{index % 8}.weight" for index in range(num_sites)]
    run = run_of(num_steps, parameters=names, modules=[])
    run.meta["name"] = "ten thousand parameters"
    return run


def lab_page() -> SavedRun:
    names = ("no tricks", "batch norm", "layer norm", "all tricks")
    steps = tuple(float(step) for step in range(0, 2000, 20))
    lines = tuple(
        Series(
            name=name,
            x=steps,
            y=tuple(2.3 * math.exp(-s / (900 - 180 * at)) + 0.05 for s in steps),
            low=tuple(2.2 * math.exp(-s / (900 - 180 * at)) for s in steps),
            high=tuple(2.4 * math.exp(-s / (900 - 180 * at)) + 0.1 for s in steps),
        )
        for at, name in enumerate(names)
    )
    bars = (
        Series(
            name="validation accuracy",
            x=names,
            y=(0.951, 0.978, 0.972, 0.986),
            low=(0.94, 0.975, 0.968, 0.984),
            high=(0.96, 0.981, 0.976, 0.988),
        ),
    )
    claims = (
        Claim(
            question="Does batch norm start faster than no norm?",
            expected="Lower loss after the first epoch",
            measured="0.31 against 0.74 (3 seeds, intervals apart)",
            verdict="holds",
        ),
        Claim(
            question="Does the bare network break at 100 times the rate?",
            expected="Diverges",
            measured="3 of 3 seeds NaN within 40 steps",
            verdict="holds",
            comment="The all-tricks network still reaches 0.91: that is the safety margin.",
        ),
        Claim(
            question="Is the gradient norm of the normalised networks smaller?",
            expected="Smaller",
            measured="Equal before clipping (1.04 against 1.09)",
            verdict="contradicted",
            comment="The lesson logs the norm after clipping, where it cannot exceed 1.",
        ),
        Claim(
            question="Does layer norm beat batch norm at batch size 4?",
            expected="Yes",
            measured="Intervals overlap",
            verdict="not shown",
        ),
    )
    table = Table(
        title="Four configurations",
        columns=(
            "configuration",
            "first-epoch loss",
            "final loss",
            "validation accuracy",
            "gradient norm, median",
            "lr x 100",
        ),
        rows=tuple(
            (
                name,
                0.7412 / (at + 1),
                0.12345678 / (at + 1),
                0.951 + at / 100,
                1.09,
                "NaN at step 31" if not at else None,
            )
            for at, name in enumerate(names)
        ),
        note="Means over 3 seeds.",
    )
    experiment = Experiment(
        name="cookbook",
        title="The lesson's CNN, with and without tricks",
        summary="Normalisation starts faster and survives a hundred times the learning rate; the gradient norm before clipping is about the same.",
        data="Embedded digits: 1,797 images of 8 x 8, 1,437 for training.",
        settings={"seeds": "0, 1, 2", "steps": 2000, "torch": "2.13.0"},
        claims=claims,
        tables=(table,),
        charts=(
            Chart(
                title="Training loss",
                x_label="step",
                y_label="loss",
                series=lines,
                log_y=True,
                note="Mean and range over 3 seeds.",
            ),
            Chart(
                title="Validation accuracy", x_label="", y_label="accuracy", series=bars, kind="bar"
            ),
        ),
    )
    return saved(path=Path("cookbook"), experiment=experiment, meta={"name": "cookbook"})


def four_runs() -> list[SavedRun]:
    runs = [run_of(600, seed=seed) for seed in range(3)] + [
        run_of(600, rate=3.0, broken_at=280, seed=9)
    ]
    for run, name in zip(
        runs, ("no norm", "batch norm", "layer norm", "no norm, lr x 100"), strict=True
    ):
        run.meta["name"] = name
    runs[3].findings = diverged().findings[:2]
    return runs
