"""Run the cells of the experiment guard-faults in pieces, and write the table of those finished.

    python benchmarks/guard_faults.py --minutes 3 --seeds 1
    python benchmarks/guard_faults.py --minutes 3 --arms "the guard" "bare"

Every finished run is kept, so that an interruption loses nothing; call it again until none is left.
The whole experiment at once is `python benchmarks/lab.py guard-faults`.
"""

import argparse
import datetime
import os
import platform
import shlex
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.lab import RESULTS, markdown
from steadytrain.core.experiment import Table
from steadytrain.lab.guarding.arms import ARMS, GUARD
from steadytrain.lab.guarding.cells import finished_job, kept_job
from steadytrain.lab.guarding.plan import FULL, jobs_of
from steadytrain.lab.guarding.tables import arms_of, claims, passed, tables


def main():
    options = parse()
    torch.set_num_threads(1)
    jobs = [job for job in jobs_of(FULL) if job.arm in options.arms and job.seed < options.seeds]
    jobs.sort(key=lambda job: (options.arms.index(job.arm), job.seed, job.kind))
    end = time.monotonic() + 60 * options.minutes
    for job in jobs:
        if time.monotonic() >= end:
            break
        kept_job(job, options.cells)
    outcomes = [one for job in jobs if (one := finished_job(job, options.cells)) is not None]
    print(f"{len(outcomes)} of {len(jobs)} runs are finished")
    if outcomes and options.out is not None:
        options.out.write_text(page(outcomes, len(jobs)), encoding="utf-8")


def page(outcomes, num_wanted):
    command = shlex.join(["python", "benchmarks/guard_faults.py", *sys.argv[1:]])
    today = datetime.datetime.now(tz=datetime.UTC).date()
    seeds = sorted({one.job.seed for one in outcomes})
    summary = "; ".join(
        f"{arm}: {passed(one for one in outcomes if one.job.arm == arm)}"
        for arm in arms_of(outcomes)
    )
    columns = ("question", "expected", "measured", "verdict")
    rows = tuple((c.question, c.expected, c.measured, c.verdict) for c in claims(outcomes))
    parts = [
        f"# Faults injected into guarded and unguarded loops\n\n{summary}.",
        f"{len(outcomes)} of {num_wanted} runs finished; seeds {seeds}, {FULL.steps} steps. Written "
        f"on {today} by `{command}`, called until then; torch {torch.__version__}, Python "
        f"{platform.python_version()}, {os.cpu_count()} {platform.machine()} cores, one thread.",
        markdown(Table(title="Expected and measured", columns=columns, rows=rows)),
        *(markdown(table) for table in tables(outcomes)),
    ]
    return "\n\n".join(parts) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="no run begins after them")
    parser.add_argument("--seeds", type=int, default=FULL.seeds)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--cells", type=Path, default=Path("runs/benchmarks/guard-faults/cells"))
    parser.add_argument("--out", type=Path, default=RESULTS / "guard_faults.md")
    options = parser.parse_args()
    options.arms.sort(key=lambda arm: arm != GUARD)
    return options


if __name__ == "__main__":
    main()
