"""The committed page on the preflight: recall, failures of healthy programs, cost."""

from __future__ import annotations

import platform
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch

import steadytrain as st
from benchmarks.preflight_cost import Cost
from steadytrain.checks._registry import known_checks
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import Share

HEALTHY = ("architecture", "control", "twin")


def page(outcomes: Sequence[Any], costs: Sequence[Cost], seeds: int, wanted: int) -> str:
    """The page as Markdown; `wanted` is how many programs there would be in all."""
    faulty = [one for one in outcomes if one.cell.kind == "fault"]
    healthy = [one for one in outcomes if one.cell.kind in HEALTHY]
    seconds = statistics.median(one.seconds for one in outcomes)
    lines = [
        "# The preflight",
        "",
        f"Made {time.strftime('%Y-%m-%d', time.gmtime())} by `python -m benchmarks.preflight --write`: "
        f"steadytrain {st.__version__}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"CPU ({platform.machine()}), {len(known_checks())} checks; faults at seeds 0 to {seeds - 1}, each on "
        "the next of its architectures, healthy programs at seed 0. Limits were chosen on seed 0; seed 1 "
        f"was scored. A program takes {seconds:.2g} seconds of a processor at "
        f"the median. {len(outcomes)} of {wanted} programs are finished. Intervals are 95% (Wilson).",
        "",
        "A fault is visible if a check nominates its cause. It is *named* if a check that fails puts the "
        "right cause first, and *first* if that cause stands first in the diagnosis.",
        "",
        "## Faults",
        "",
        "| seed | visible | named | first |",
        "| --- | --- | --- | --- |",
        *(_recall(seed, [one for one in faulty if one.cell.seed == seed]) for seed in range(seeds)),
        _recall("all", faulty),
        "",
        "## Healthy programs that fail",
        "",
        "| programs | number | failed | share | by |",
        "| --- | --- | --- | --- | --- |",
        *(_alarms(kind, [one for one in healthy if one.cell.kind == kind]) for kind in HEALTHY),
        _alarms("all", healthy),
        "",
        *_cost_lines(costs),
        "## Fault by fault",
        "",
        "| fault | cause | on | named | first | checks that fail |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_fault(one) for one in sorted(faulty, key=lambda one: (one.cell.name, one.cell.seed))),
    ]
    return "\n".join(lines) + "\n"


def _right(outcome: Any) -> set[str]:
    fault = known_faults()[outcome.cell.name]
    return {fault.cause, *fault.also}


def is_visible(outcome: Any) -> bool:
    """Whether a check nominates the fault's cause, or another right name of it."""
    return bool(
        _right(outcome) & {name for info in known_checks().values() for name in info.causes}
    )


def is_named(outcome: Any) -> bool:
    """Whether a failed check puts a right cause first."""
    return any(causes[:1] and causes[0] in _right(outcome) for _, _, causes in outcome.alarms)


def is_first(outcome: Any) -> bool:
    """Whether the diagnosis puts a right cause first."""
    return outcome.best in _right(outcome)


def _recall(seed: object, faulty: Iterable[Any]) -> str:
    seen = [one for one in faulty if is_visible(one)]
    named = Share(hits=sum(map(is_named, seen)), total=len(seen))
    first = Share(hits=sum(map(is_first, seen)), total=len(seen))
    return f"| {seed} | {len(seen)} | {named} | {first} |"


def _alarms(kind: str, healthy: Sequence[Any]) -> str:
    failed = [one for one in healthy if one.alarms]
    by = Counter(f"{rule} ({one.cell.name})" for one in failed for rule, _, _ in one.alarms[:1])
    share = Share(hits=len(failed), total=len(healthy))
    return f"| {kind} | {len(healthy)} | {len(failed)} | {share} | {', '.join(by) or '-'} |"


def _cost_lines(costs: Sequence[Cost]) -> list[str]:
    if not costs:
        return []
    return [
        "## Cost: a GPT of 10.9M parameters, 2 x 128 tokens a batch, one thread",
        "",
        "Seconds are those of the processor, which do not count what else the machine did. Memory is what "
        "is resident above the imports, beside the peak of training the same program.",
        "",
        "| preflight | processor seconds | by the clock | MB | times training | slowest, by the clock |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_cost(one) for one in costs),
        "",
    ]


def _cost(one: Cost) -> str:
    slowest = ", ".join(f"{name} {seconds:.1f}" for name, seconds in one.slowest)
    ratio = one.preflight_megabytes / one.program_megabytes
    return (
        f"| {'quick' if one.quick else 'full'} | {one.processor_seconds:.1f} | {one.wall_seconds:.1f} | "
        f"{one.preflight_megabytes:.0f} | {ratio:.2f} | {slowest} |"
    )


def _fault(one: Any) -> str:
    rules = ", ".join(dict.fromkeys(rule for rule, _, _ in one.alarms)) or "-"
    marks = [_mark(one, is_named), _mark(one, is_first)]
    fault = known_faults()[one.cell.name]
    place = f"{one.cell.architecture}, {one.cell.seed}"
    return f"| {fault.name} | {fault.cause} | {place} | {' | '.join(marks)} | {rules} |"


def _mark(one: Any, question: Any) -> str:
    if not is_visible(one):
        return "not visible"
    return "yes" if question(one) else "**no**"
