"""The comparison as a table: the same figures for every tool, over the same runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.fault_judges.drive import Verdict
from benchmarks.fault_judges.judge import Judge
from steadytrain.core.finding import Severity
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import Outcome, Share, first_right


def write_table(
    path: Path,
    verdicts: Mapping[str, Sequence[Verdict]],
    judges: Sequence[type[Judge]],
    arguments: str,
    done: tuple[int, int],
) -> None:
    """The page is on disk; `done` is how many programs there are verdicts on, and of how many."""
    text = "\n".join(_page(verdicts, judges, arguments, done))
    path.write_text(text + "\n", encoding="utf-8")


def _page(
    verdicts: Mapping[str, Sequence[Verdict]],
    judges: Sequence[type[Judge]],
    arguments: str,
    done: tuple[int, int],
) -> Iterator[str]:
    first = next(iter(verdicts.values()))
    faults = sum(one.outcome.job.kind == "fault" for one in first)
    yield "# What tools say of planted faults"
    yield ""
    yield f"    python -m benchmarks.fault_judges {arguments}"
    yield ""
    yield f"- {datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}, python"
    yield f"  {platform.python_version()}, {os.cpu_count()} {platform.machine()} CPU cores"
    yield f"- {faults} faulty and {len(first) - faults} healthy runs of the fault lab, the same"
    yield "  for every tool, under seeds that none of steadytrain's limits were chosen on. Seeds:"
    yield f"  {', '.join(map(str, sorted({one.outcome.job.seed for one in first})))}."
    if done[0] < done[1]:
        yield f"- Broken off after {done[0]} of {done[1]} programs, in an order drawn by lot."
    yield "- *alarms*: runs in which anything was said at warning or above once the fault can show."
    yield "- *named*: an alarm that can be read as the cause, generously: the adapters list every"
    yield "  cause a reader of the tool's message would look into. *first*: the first that it puts"
    yield "  forward; a tool that names no order has that of its output. In brackets: Wilson, 95%."
    yield "- *false*: different things alarmed about per 1,000 steps of healthy programs."
    yield "- *seconds* are of a run in the median, training included, and are not a benchmark."
    yield ""
    yield "| tool | alarms | named | first | among three | false | runs it broke | seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for judge in judges:
        if judge.name in verdicts:
            yield _row(judge, verdicts[judge.name])
    yield ""
    yield "| tool | version | how it is used |"
    yield "| --- | --- | --- |"
    for judge in judges:
        yield f"| {judge.name} | {_version(judge)} | {judge.what} |"


def _row(judge: type[Judge], verdicts: Sequence[Verdict]) -> str:
    faulty = [one for one in verdicts if one.outcome.job.kind == "fault"]
    healthy = [one for one in verdicts if one.outcome.job.kind != "fault"]
    steps = max(1, sum(one.outcome.steps for one in healthy))
    seconds = sorted(one.outcome.seconds for one in verdicts)
    cells = (
        Share.of(_speaks(one.outcome) for one in faulty),
        Share.of(first_right(one.outcome) is not None for one in faulty),
        Share.of(_is_right(one, 1) for one in faulty),
        Share.of(_is_right(one, 3) for one in faulty),
        f"{1000 * sum(len(_things(one.outcome)) for one in healthy) / steps:.2f}",
        sum(bool(one.broke) for one in verdicts),
        f"{seconds[len(seconds) // 2]:.1f}",
    )
    return f"| {judge.name} | {' | '.join(map(str, cells))} |"


def _speaks(outcome: Outcome) -> bool:
    onset = known_faults()[outcome.job.name].onset
    return any(one.step >= onset for one in outcome.alarms)


def _is_right(verdict: Verdict, among: int) -> bool:
    planted = known_faults()[verdict.outcome.job.name]
    return bool({planted.cause, *planted.also} & set(verdict.ranked[:among]))


def _things(outcome: Outcome) -> set[str]:
    """What was alarmed about: the same rule on twelve layers is one thing."""
    return {one.rule for one in outcome.said if one.severity >= Severity.WARNING}


def _version(judge: type[Judge]) -> str:
    try:
        return importlib.metadata.version(judge.package) if judge.package else "-"
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
