"""The fault lab in pieces: runs are kept, and judged again in a minute when rules change.

    python -m benchmarks.fault_lab --minutes 3        run what is missing, for three minutes
    python -m benchmarks.fault_lab --judge-only       judge what is kept, run nothing
    python -m benchmarks.fault_lab --judge-only --only double-softmax --messages
    python -m benchmarks.fault_lab --part all --seeds 0 1 2 3 4 --judge-only --write
    python -m benchmarks.fault_lab --redo             run also what other measuring code has made

Of the tuning part every miss, wrong cause, wrong place and false alarm is listed; of the part
that is only scored just the totals. `--architectures all` runs every architecture a fault names.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.lab import RESULTS, page
from steadytrain.core.finding import Severity
from steadytrain.core.ranking import rank
from steadytrain.lab.fault_lab import all_jobs, experiment_of
from steadytrain.lab.zoo.claims import claims, places_of
from steadytrain.lab.zoo.kept import code_kept, code_of
from steadytrain.lab.zoo.planting import known_controls, known_faults
from steadytrain.lab.zoo.running import judge_kept, kept_path, run_job, source_of
from steadytrain.lab.zoo.scoring import (
    Job,
    Outcome,
    delay,
    first_right,
    is_first_cause_right,
    is_site_right,
)

KEPT = Path("runs/fault-lab/kept")


def main() -> None:
    options = parsed()
    jobs = chosen(options)
    if not options.judge_only:
        run_missing(jobs, options.keep, options.minutes, redo=options.redo)
    if options.quiet:
        return
    began = time.perf_counter(), time.process_time()
    outcomes = judged(jobs, options.keep, options.jobs)
    tuning = [one for one in outcomes if not one.job.is_scored_only]
    if options.part != "scored":
        tell_details(tuning, with_messages=options.messages)
        tell_totals("tuning", tuning)
    if options.part != "tuning":
        tell_totals("only scored", [one for one in outcomes if one.job.is_scored_only])
    spent = time.perf_counter() - began[0], time.process_time() - began[1]
    print(f"\njudged {len(outcomes)} of {len(jobs)} runs in {spent[1]:.0f} s")
    if options.write:
        write(outcomes, jobs, options, (spent[0] / 60, spent[1] / 60))


def chosen(options: argparse.Namespace) -> list[Job]:
    """The jobs of the part, the seeds, the architectures and the names that were asked for."""
    listed = all_jobs(max(options.seeds) + 1, None, is_quick=False)
    return [
        job
        for job in listed
        if job.seed in options.seeds
        and (not options.only or job.name in options.only)
        and (not options.kinds or job.kind in options.kinds)
        and (options.part == "all" or job.is_scored_only is (options.part == "scored"))
        and (options.architectures == "all" or is_first(job))
    ]


def is_first(job: Job) -> bool:
    """Whether the job is on the first architecture that some fault or control names for it."""
    if job.kind == "control":
        return known_controls()[job.name].on[0] == job.architecture
    own = known_faults()[job.name]
    if job.kind == "fault":
        return own.on[0] == job.architecture
    sharing = (one for one in known_faults().values() if one.prepare is own.prepare)
    return any(one.on[0] == job.architecture for one in sharing)


def run_missing(jobs: Sequence[Job], keep: Path, minutes: float, *, redo: bool) -> None:
    """What is not kept is run until the time is up; then, to redo it, what other code has made."""
    stop = time.monotonic() + 60 * minutes
    missing = [job for job in jobs if not kept_path(keep, job).exists()]
    random.Random(0).shuffle(missing)  # what is done when it is broken off is a fair part
    missing.sort(key=lambda job: job.is_scored_only)
    if redo:
        missing += [job for job in jobs if job not in missing and not is_current(job, keep)]
    done, slow = 0, Counter[str]()
    began = time.process_time()
    for job in missing:
        if time.monotonic() > stop:
            break
        start = time.process_time()
        try:
            run_job(job, keep)
        except Exception as error:  # one broken run must not end a sweep of hundreds
            print(f"BROKE {job.kind} {job.name} {job.architecture}/{job.seed}: {error!r}")
        slow[f"{job.kind} {job.name} on {job.architecture}"] += round(time.process_time() - start)
        done += 1
    spent = time.process_time() - began
    print(f"ran {done} of {len(missing)} missing runs ({len(jobs)} asked for) in {spent:.0f} s")
    for name, seconds in slow.most_common(5):
        print(f"  {seconds:3} s {name}")


def is_current(job: Job, keep: Path) -> bool:
    return code_kept(kept_path(keep, job)) == code_of(source_of(job))


def judged(jobs: Sequence[Job], keep: Path, processes: int) -> list[Outcome]:
    """The outcomes of what is kept."""
    work = partial(judge_kept, keep=keep)
    if processes == 1:
        return [one for one in map(work, jobs) if one is not None]
    with ProcessPoolExecutor(processes) as pool:
        return [one for one in pool.map(work, jobs, chunksize=8) if one is not None]


def tell_totals(part: str, outcomes: Sequence[Outcome]) -> None:
    faulty = [one for one in outcomes if one.job.kind == "fault"]
    healthy = [one for one in outcomes if one.job.kind != "fault"]
    steps = sum(one.steps for one in healthy)
    print(f"\n{part}: {len(faulty)} faulty, {len(healthy)} healthy runs of {steps:,} steps")
    if outcomes:
        for claim in claims(outcomes):
            print(f"  {claim.question:58} {claim.measured:28} {claim.expected}: {claim.verdict}")


def tell_details(outcomes: Sequence[Outcome], *, with_messages: bool) -> None:
    """Every miss, wrong cause, wrong place and false alarm, one line each."""
    for one in outcomes:
        verdict = verdict_of(one)
        if not verdict and not with_messages:
            continue
        job = one.job
        cause = known_faults()[job.name].cause if job.kind == "fault" else "healthy"
        ranked = ", ".join(f"{name} {share:.2f}" for name, share in rank(one.alarms)[:3])
        print(
            f"{verdict or 'right':12} {job.kind} {job.name} ({cause}) {job.architecture}/{job.seed}"
            f": {ranked or 'silent'}"
        )
        for said in one.said if with_messages else one.alarms[:4]:
            where = f" at {said.site}" if said.site else ""
            words = f": {said.message}" if with_messages else ""
            severity = Severity(said.severity).name.lower()
            print(
                f"      {said.step:4} {severity} {said.rule}{where} -> {', '.join(said.causes)}{words}"
            )


def write(
    outcomes: Sequence[Outcome],
    jobs: Sequence[Job],
    options: argparse.Namespace,
    minutes: tuple[float, float],
) -> None:
    """The committed table is that of these outcomes."""
    current = sum(is_current(one.job, options.keep) for one in outcomes)
    seconds = sum(one.seconds for one in outcomes)
    share = sum(one.watch_seconds for one in outcomes) / seconds if seconds else 0.0
    steps = sum(one.steps for one in outcomes)
    made = experiment_of(outcomes, None)
    told = {
        **made.settings,
        "architectures": f"{options.architectures} of those that a fault or a control names",
        "runs judged": ", ".join(_coverage(outcomes, jobs)),
        "runs made": f"{span(options.keep, outcomes)}; {current} of them by exactly the measuring "
        "code at hand, the others before its last changes",
        "all runs": f"{seconds / 60:.0f} minutes of the clock for {steps:,} steps, machine shared",
        "watching and judging": f"{1e3 * share * seconds / max(1, steps):.2f} ms a step "
        f"({share:.0%} of runs whose steps are tiny)",
    }
    words = f"--part {options.part} --seeds {' '.join(map(str, options.seeds))}"
    command = f"python -m benchmarks.fault_lab {words} --write"
    text = page(dataclasses.replace(made, settings=told), minutes, command)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "fault_lab.md").write_text(text, encoding="utf-8")


def _coverage(outcomes: Sequence[Outcome], jobs: Sequence[Job]) -> Iterator[str]:
    """How much of each part is judged."""
    for name, is_scored in (("tuning", False), ("only scored", True)):
        done = sum(one.job.is_scored_only is is_scored for one in outcomes)
        yield f"{name} {done} of {sum(job.is_scored_only is is_scored for job in jobs)}"


def span(keep: Path, outcomes: Sequence[Outcome]) -> str:
    """When the oldest and the newest of the runs were made."""
    times = [kept_path(keep, one.job).stat().st_mtime for one in outcomes]
    ends = (datetime.fromtimestamp(end, tz=UTC) for end in (min(times), max(times)))
    return " to ".join(f"{end:%Y-%m-%d %H:%M}" for end in ends) + " UTC"


def verdict_of(one: Outcome) -> str:
    """What is wrong with an outcome; empty if nothing."""
    if one.job.kind != "fault":
        return "FALSE ALARM" if one.alarms else ""
    if first_right(one) is None:
        return "MISSED" if one.alarms else "SILENT"
    if not is_first_cause_right(one, among=3):
        return "NOT IN THREE"
    if not is_first_cause_right(one):
        return "NOT FIRST"
    places = places_of(one)
    if places and not is_site_right(one, places):
        return "WRONG PLACE"
    sudden = known_faults()[one.job.name].is_sudden
    return f"LATE {delay(one):g}" if sudden and not delay(one) <= 20 else ""


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("tuning", "scored", "all"), default="tuning")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--architectures", choices=("first", "all"), default="first")
    parser.add_argument("--kinds", nargs="+", choices=("fault", "twin", "control"))
    parser.add_argument("--only", nargs="+", help="names of faults and controls")
    parser.add_argument("--judge-only", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="run what is missing, judge nothing")
    parser.add_argument("--redo", action="store_true", help="run again what other code has made")
    parser.add_argument("--messages", action="store_true", help="print what was said, all of it")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the clock, for running")
    parser.add_argument("--jobs", type=int, default=1, help="processes that judge")
    parser.add_argument("--keep", type=Path, default=KEPT)
    parser.add_argument("--write", action="store_true", help="write results/fault_lab.md")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.seterr(all="ignore")
    main()
