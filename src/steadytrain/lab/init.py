"""Signal and gradient at the start of a 50-layer plain network, for six ways to begin it.

## What is tried
50 linear layers of width 512 with an activation behind each and no norm, under ten seeds: the
second moment of the signal behind the last layer against that behind the first, and of the
gradient the other way. Eight activations; torch's default, He, the exact gain E[phi(z)^2]^(-1/2)
with normal and with orthogonal weights, LSUV, and mirrored pairs. Input and output gradient are
standard normal noise.

## What is expected
Lessons say that nn.Linear's default is He's and right for ReLU, and that He works for GELU and SiLU.
The exact gain is expected to hold the signal for all of them. Ours: it does neither hold the
gradient nor an unstable fixed point, LSUV holds the signal only, and mirrored pairs hold both
within [0.5, 2] for all eight activations under every seed.

## Source
He et al. 2015; Klambauer et al. 2017; Poole et al. 2016 and Schoenholz et al. 2017 (maps of
variance and gradient); Mishkin & Matas 2016 (LSUV); Balduzzi et al. 2017 (mirrored pairs of ReLU);
Hanin & Rolnick 2018 (spread over seeds).
"""

from __future__ import annotations

import os
import platform
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from steadytrain.core.experiment import Cell, Experiment
from steadytrain.lab.protocol import (
    LabResult,
    LabSettings,
    ProgressReport,
    experiment,
    no_progress,
)

if TYPE_CHECKING:
    from steadytrain.lab.signal.findings import Starts
    from steadytrain.lab.signal.one_start import StartJob

TITLE: Final = "Signal and gradient through 50 plain layers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How deep and wide the networks are, and how many seeds they are drawn under."""

    depth: int
    width: int
    num_samples: int
    seeds: int


FULL: Final = Size(depth=50, width=512, num_samples=128, seeds=10)
QUICK: Final = Size(depth=6, width=32, num_samples=32, seeds=2)


@experiment(title=TITLE)
def run(
    settings: LabSettings,
    report_progress: ProgressReport = no_progress,
    *,
    executor: Executor | None = None,
) -> LabResult:
    """Every network was drawn and run once; nothing is trained, so no run directory is written.

    Args:
        settings: `data` and `epochs` have no meaning here: the input is noise.
        report_progress: called once per network.
        executor: for the networks; `settings.jobs` processes of this machine if None.
    """
    from steadytrain.lab.signal.findings import Starts
    from steadytrain.lab.signal.one_start import run_start
    from steadytrain.lab.sweep import executor_for, run_all

    size = QUICK if settings.quick else FULL
    num_seeds = size.seeds if settings.seeds is None else settings.seeds
    pool = executor_for(settings.jobs) if executor is None else nullcontext(executor)
    with pool as workers:
        jobs = _jobs(size, num_seeds)
        records = run_all(jobs, run_start, workers, report_progress, _name)
    return LabResult(experiment=_experiment(Starts.of(records), size))


def _jobs(size: Size, num_seeds: int) -> list[StartJob]:
    from steadytrain.lab.signal.one_start import ACTIVATIONS, WAYS, StartJob

    return [
        StartJob(
            activation=activation,
            way=way,
            seed=seed,
            depth=size.depth,
            width=size.width,
            num_samples=size.num_samples,
        )
        for activation in ACTIVATIONS
        for way in WAYS
        for seed in range(num_seeds)
    ]


def _experiment(starts: Starts, size: Size) -> Experiment:
    from steadytrain.lab.signal.claims import claims
    from steadytrain.lab.signal.pictures import charts, tables

    return Experiment(
        name="init",
        title=TITLE,
        summary=_summary(starts, size),
        data=f"{size.num_samples} samples of {size.width} standard normal features, new per seed",
        settings=_settings(starts, size),
        claims=claims(starts),
        tables=tables(starts, _chosen(starts, size)),
        charts=charts(starts),
    )


def _summary(starts: Starts, size: Size) -> str:
    from steadytrain.lab.signal.findings import backward, forward

    steady = {
        way: sum(starts.always_within([a], way, forward, backward) for a in starts.activations)
        for way in starts.ways
    }
    counts = ", ".join(f"{way} {count}" for way, count in steady.items())
    return (
        f"Activations, of {len(starts.activations)}, whose signal and gradient both keep within a "
        f"factor of 2 over {size.depth} layers under every seed: {counts}."
    )


def _chosen(starts: Starts, size: Size) -> dict[str, str]:
    from steadytrain.blocks import init_for
    from steadytrain.lab.signal.one_start import network

    return {
        activation: init_for(network(activation, size.depth, size.width), verbose=False).name
        for activation in starts.activations
    }


def _settings(starts: Starts, size: Size) -> dict[str, Cell]:
    import torch

    return {
        "seeds": ", ".join(str(seed) for seed in range(starts.num_seeds)),
        "layers": size.depth,
        "width": size.width,
        "samples": size.num_samples,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread per network",
    }


def _name(job: StartJob) -> str:
    return f"{job.activation}, {job.way}, seed {job.seed}"
