"""The fault lab's runs under every tool that is installed: `python -m benchmarks.fault_judges`.

Every tool sees the same programs from the same seeds. A tool that installs only apart from the
others is run by the Python of its own environment with `--only NAME`; the results of all runs are
kept in one file, and the table is made of the whole file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from pathlib import Path

from benchmarks.fault_judges.drive import Verdict, run
from benchmarks.fault_judges.judge import Judge
from benchmarks.fault_judges.table import write_table
from steadytrain.core.discovery import modules
from steadytrain.lab.fault_lab import all_jobs
from steadytrain.lab.zoo.scoring import Job

RESULTS = Path(__file__).parents[1] / "results" / "fault_judges.md"


def main() -> None:
    options = _options()
    kept = json.loads(options.cache.read_text()) if options.cache.exists() else {}
    jobs = chosen_jobs(options.seeds, options.every)
    for judge in installed(options.only):
        own = kept.setdefault(judge.name, {})
        for place, job in enumerate(jobs):
            key = f"{job.kind}/{job.name}/{job.architecture}/{job.seed}"
            if key not in own:
                own[key] = run(job, judge).to_json()
                options.cache.write_text(json.dumps(kept, default=str))
            print(f"{judge.name}: {place + 1}/{len(jobs)} {key}", file=sys.stderr)
    verdicts = {
        name: [Verdict.from_json(one) for one in own.values()] for name, own in kept.items()
    }
    write_table(options.out, verdicts, judges(), f"--seeds {options.seeds} --every {options.every}")
    print(options.out)


def chosen_jobs(seeds: int, every: int) -> list[Job]:
    """Every so many faults and controls on the first architecture they name."""
    listed = all_jobs(seeds, None, is_quick=False)
    firsts: dict[tuple[str, str], str] = {}
    for job in listed:
        firsts.setdefault((job.kind, job.name), job.architecture)
    names = {kind: sorted({n for k, n in firsts if k == kind})[::every] for kind, _ in firsts}
    return [
        job
        for job in listed
        if job.name in names[job.kind] and firsts[job.kind, job.name] == job.architecture
    ]


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
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="take every so many faults")
    parser.add_argument("--only", nargs="*", help="names of tools")
    parser.add_argument("--cache", type=Path, default=Path("fault_judges.json"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
