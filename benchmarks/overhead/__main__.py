"""`python -m benchmarks.overhead`: measures, prints the tables and writes them as Markdown."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from benchmarks.overhead import footprint, scaling
from benchmarks.overhead.monitors import OWN, Monitor
from benchmarks.overhead.peers import find_peers
from benchmarks.overhead.ratios import overheads, passes_gate
from benchmarks.overhead.table import Measured, Results, markdown
from benchmarks.overhead.timing import make_arms, run_rounds
from benchmarks.overhead.workloads import WORKLOADS, Workload, many_tensors

RESULTS: Final = Path(__file__).parents[1] / "results"
MAX_ATTEMPTS: Final = 2
"""Runs of a workload whose two bare arms disagree: the second one counts, marked if it does too."""


def main() -> None:
    """Measures what is asked for."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.exit(
            f"--device {options.device}: torch sees no such device here. Leave it out for cpu."
        )
    _warn_of_load(options.threads)
    peers, absent = find_peers()
    monitors = (*OWN, *peers) if options.peers else OWN
    with tempfile.TemporaryDirectory() as folder:
        measured = [
            _measure(WORKLOADS[name], monitors, options, Path(folder)) for name in options.workloads
        ]
        results = Results(
            command=shlex.join(["python", "-m", "benchmarks.overhead", *sys.argv[1:]]),
            seed=options.seed,
            device=options.device,
            monitors=monitors,
            absent=tuple(absent),
            measured=tuple(measured),
        )
        if options.growth:
            results = _with_growth(results, options, Path(folder))
            torch.set_num_threads(options.threads)
    text = markdown(results)
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


def _warn_of_load(threads: int) -> None:
    """A thread that waits for another one that does not run makes a step ten times as long."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    free = (os.cpu_count() or 1) - load
    if not free >= threads - 0.5:
        print(
            f"Load average {load:.1f}: fewer than the {threads} cores asked for are free. Times on "
            "several threads are far off then; wait, or pass --threads 1.",
            file=sys.stderr,
        )


def _measure(
    workload: Workload,
    monitors: tuple[type[Monitor], ...],
    options: argparse.Namespace,
    folder: Path,
) -> Measured:
    for attempt in range(1, MAX_ATTEMPTS):
        found = _attempt(workload, monitors, options, folder, attempt)
        if passes_gate(found.overheads[0]):
            return found
    return _attempt(workload, monitors, options, folder, MAX_ATTEMPTS)


def _attempt(
    workload: Workload,
    monitors: tuple[type[Monitor], ...],
    options: argparse.Namespace,
    folder: Path,
    attempt: int,
) -> Measured:
    print(f"{workload.name}: {workload.title} ...", file=sys.stderr, flush=True)
    arms = make_arms(
        workload,
        monitors,
        seed=options.seed,
        device=options.device,
        fused=options.fused,
        folder=folder / f"attempt{attempt}",
    )
    rounds = run_rounds(arms, seconds=options.seconds, seed=options.seed, device=options.device)
    found = Measured.of(workload, arms, rounds, overheads(arms), attempt)
    for arm in arms:
        arm.monitor.close()
    return found


def _with_growth(results: Results, options: argparse.Namespace, folder: Path) -> Results:
    print("growth with tensors, memory and disk ...", file=sys.stderr, flush=True)
    seed = options.seed
    torch.set_num_threads(1)  # nothing here is large enough for a second one
    costs = scaling.tensor_costs(
        scaling.COUNTS,
        seconds=options.seconds / 6,
        seed=seed,
        device=options.device,
        folder=folder,
        min_rounds=2,
    )
    held = [
        footprint.held_bytes(workload, seed=seed, folder=folder)
        for workload in (WORKLOADS["W2"], many_tensors(10_000))
    ]
    return replace(
        results,
        costs=tuple(costs),
        held=tuple(held),
        growth=footprint.resident_growth(steps=20_000, samples=10, seed=seed),
        disk=footprint.disk_use(
            steps=20_000, sites=100, max_bytes=8 << 20, seed=seed, folder=folder / "disk"
        ),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument(
        "--seconds", type=float, default=50.0, help="per workload; at least 3 rounds"
    )
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--fused", action="store_true", help="AdamW(fused=True) in every arm")
    parser.add_argument(
        "--no-peers", dest="peers", action="store_false", help="only what needs no other package"
    )
    parser.add_argument(
        "--no-growth", dest="growth", action="store_false", help="only the four workloads"
    )
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
