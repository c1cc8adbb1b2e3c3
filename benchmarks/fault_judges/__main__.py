"""The fault lab's runs under every tool that is installed: `python -m benchmarks.fault_judges`.

Every tool sees the same programs from the same seeds, one program after the other, so that the
comparison may be broken off (`--minutes`) and taken up again. A tool that installs only apart from the
others is run by the Python of its own environment with `--only NAME`; the results of all runs are
kept in one file, and the table is made of the runs in it that every tool has seen.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fault_judges.drive import Verdict, run
from benchmarks.fault_judges.judge import Judge
from benchmarks.fault_judges.table import write_table
from steadytrain.core.discovery import modules
from steadytrain.lab.fault_lab import all_jobs
from steadytrain.lab.zoo.scoring import TUNING_SEEDS, Job

Kept = dict[str, dict[str, dict[str, Any]]]
"""Verdicts as JSON, by tool and run."""

RESULTS = Path(__file__).parents[1] / "results" / "fault_judges.md"


def main() -> None:
    options = _options()
    kept: Kept = json.loads(options.cache.read_text()) if options.cache.exists() else {}
    jobs = chosen_jobs(options.seeds, options.every)
    asked = installed(options.only)
    stop = time.monotonic() + 60 * options.minutes
    for place, job in enumerate(jobs):
        for judge in asked:
            own = kept.setdefault(judge.name, {})
            if name_of(job) not in own and time.monotonic() < stop:
                own[name_of(job)] = run(job, judge).to_json()
                options.cache.write_text(json.dumps(kept, default=str))
        print(f"{place + 1}/{len(jobs)} {name_of(job)}", file=sys.stderr)
    verdicts = judged_by_all(kept, jobs)
    done = len(next(iter(verdicts.values()), []))
    write_table(options.out, verdicts, judges(), arguments(options), (done, len(jobs)))
    print(options.out)


def name_of(job: Job) -> str:
    return f"{job.kind}/{job.name}/{job.architecture}/{job.seed}"


def judged_by_all(kept: Kept, jobs: Sequence[Job]) -> dict[str, list[Verdict]]:
    """The verdicts on the jobs that every tool in the file has seen: the same for each."""
    common = [name for name in map(name_of, jobs) if all(name in own for own in kept.values())]
    return {tool: [Verdict.from_json(own[name]) for name in common] for tool, own in kept.items()}


def arguments(options: argparse.Namespace) -> str:
    return f"--seeds {' '.join(map(str, options.seeds))} --every {options.every}"


def chosen_jobs(seeds: Sequence[int], every: int) -> list[Job]:
    """Every so many faults, twins and controls on the first architecture they name.

    They come in an order drawn by lot, so that the part that is done is a fair one.
    """
    listed = [job for job in all_jobs(max(seeds) + 1, None, is_quick=False) if job.seed in seeds]
    firsts: dict[tuple[str, str], str] = {}
    for job in listed:
        firsts.setdefault((job.kind, job.name), job.architecture)
    names = {kind: sorted({n for k, n in firsts if k == kind})[::every] for kind, _ in firsts}
    chosen = [
        job
        for job in listed
        if job.name in names[job.kind] and firsts[job.kind, job.name] == job.architecture
    ]
    random.Random(0).shuffle(chosen)
    return chosen


def judges() -> list[type[Judge]]:
    """The adapters of this folder, installed or not."""
    for _ in modules("benchmarks.fault_judges"):
        pass
    return sorted(Judge.__subclasses__(), key=lambda one: (one.name != "steadytrain", one.name))


def installed(only: list[str] | None) -> list[type[Judge]]:
    """The adapters whose tools can be imported here."""
    found: list[type[Judge]] = []
    for judge in judges():
        if only and judge.name not in only:
            continue
        try:
            if judge.package:
                importlib.metadata.version(judge.package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{judge.name} is not installed here: left out", file=sys.stderr)
            continue
        found.append(judge)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[TUNING_SEEDS])
    parser.add_argument("--every", type=int, default=1, help="take every so many faults")
    parser.add_argument("--minutes", type=float, default=1e6, help="of the clock, for running")
    parser.add_argument("--only", nargs="*", help="names of tools")
    parser.add_argument("--cache", type=Path, default=Path("fault_judges.json"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
