"""The results as Markdown: what was run, on what, and every figure with its spread."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import torch

import steadytrain
from benchmarks.overhead.footprint import Disk, Growth, Held
from benchmarks.overhead.monitors import MAX_NORM, PERIOD, STEADY, Monitor
from benchmarks.overhead.peers import Absence, Peer, versions
from benchmarks.overhead.ratios import AA_GATE, Overhead, Spread, passes_gate
from benchmarks.overhead.scaling import TensorCost, fitted_microseconds
from benchmarks.overhead.timing import LONG_STEP_SECONDS, TIMED_LONG_STEPS, TIMED_STEPS, Arm
from benchmarks.overhead.workloads import Workload

_MIB: Final = float(1 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One workload's result."""

    workload: Workload
    num_parameters: int
    num_tensors: int
    rounds: int
    attempt: int
    bare_seconds: Spread
    overheads: tuple[Overhead, ...]

    @classmethod
    def of(
        cls,
        workload: Workload,
        arms: Sequence[Arm],
        rounds: int,
        overheads: Iterable[Overhead],
        attempt: int,
    ) -> Measured:
        params = list(arms[0].monitor.model.parameters())
        return cls(
            workload=workload,
            num_parameters=sum(param.numel() for param in params),
            num_tensors=len(params),
            rounds=rounds,
            attempt=attempt,
            bare_seconds=Spread.of([block.mean for block in arms[0].blocks]),
            overheads=tuple(overheads),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything one run of the benchmark found out."""

    command: str
    seed: int
    device: str
    monitors: tuple[type[Monitor], ...]
    absent: tuple[Absence, ...]
    measured: tuple[Measured, ...]
    costs: tuple[TensorCost, ...] = ()
    held: tuple[Held, ...] = ()
    growth: Growth | None = None
    disk: Disk | None = None


def markdown(results: Results) -> str:
    """The page."""
    parts = [*_head(results)]
    for measured in results.measured:
        parts += _workload(measured)
    parts += _absences(results.absent)
    if results.costs:
        parts += _costs(results.costs)
    if results.held:
        parts += _memory(results.held, results.growth)
    if results.disk is not None:
        parts += _disk(results.disk)
    return "\n".join(parts) + "\n"


def _head(results: Results) -> Iterator[str]:
    low, high = AA_GATE
    yield f"# What monitoring adds to a training step, on {_device(results.device)}"
    yield ""
    yield f"    {results.command}"
    yield ""
    yield f"- {datetime.now(UTC):%Y-%m-%d}, seed {results.seed}, {_versions(results)}"
    yield f"- {_machine()}"
    if not torch.cuda.is_available():
        yield "- There was no GPU in this machine: `--device cuda` takes the same path there, and"
        yield "  synchronises around blocks only. No figure of this page says anything about GPUs."
    yield f"- Bare step: forward, backward, `torch.nn.utils.clip_grad_norm_({MAX_NORM})`, AdamW,"
    yield "  `zero_grad`. Every monitor runs in one process, in random order within a round, each on"
    yield "  its own copy of the model, and is compared with the two bare arms of its turn."
    yield "- On a CPU the monitors take turns: one step that is not timed, because the others left the"
    yield f"  caches cold, and {TIMED_STEPS} that are ({TIMED_LONG_STEPS} of a step above {LONG_STEP_SECONDS:g} s). A round is {PERIOD}"
    yield "  turns, which time every phase of the sampling period equally often; it is"
    yield f"  {STEADY} turns of a monitor whose steps all cost the same."
    yield "  Wall time; medians over all rounds, their 95% interval in brackets (rounds resampled)."
    yield "  *median step*: each step to the bare one of its turn, what most steps cost; *mean step*:"
    yield "  whole rounds, sampled steps included, what a run costs; *CPU*: the same in CPU seconds."
    yield f"- *bare again* is bare against bare. Outside {low} to {high} the run is repeated, and"
    yield "  marked where it stays outside."
    yield ""
    yield "| monitor | what it is |"
    yield "| --- | --- |"
    for monitor in results.monitors:
        yield f"| {monitor.name} | {monitor.what} |"
    yield ""


def _workload(measured: Measured) -> Iterator[str]:
    bare = measured.bare_seconds
    size = f"{measured.num_parameters:,} parameters in {measured.num_tensors:,} tensors"
    yield f"## {measured.workload.name}: {measured.workload.title}"
    yield ""
    yield f"{size}; {measured.rounds} rounds; bare step {_ms(bare)} ms."
    if not passes_gate(measured.overheads[0]):
        yield ""
        yield "**The two bare arms disagree: this run says little.** The machine was busy."
    yield ""
    yield "| monitor | median step | mean step | CPU | added ms | same weights |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for found in measured.overheads:
        cells = [_ratio(found.median_step), _ratio(found.mean_step), _ratio(found.cpu)]
        same = {True: "yes", False: "**no**", None: ""}[found.trains_the_same]
        yield f"| {found.name} | {' | '.join(cells)} | {_ms(found.added_seconds)} | {same} |"
    yield ""


def _absences(absent: Sequence[Absence]) -> Iterator[str]:
    if absent:
        yield "## Not here"
        yield ""
        for absence in absent:
            yield f"- {absence.name}: {absence.reason}"
        yield ""


def _costs(costs: Sequence[TensorCost]) -> Iterator[str]:
    slope, exponent = fitted_microseconds(costs)
    yield "## Cost per tensor"
    yield ""
    yield "The default watch on residual chains of small linear layers, one thread, mean step, sampled steps"
    yield f"included. Fitted: {slope:.1f} microseconds per tensor and step, growing as"
    yield f"tensors^{exponent:.2f}."
    yield ""
    yield "| tensors | added ms per step | microseconds per tensor | ratio |"
    yield "| --- | --- | --- | --- |"
    for cost in costs:
        each = f"{cost.microseconds_per_tensor:.1f}"
        yield f"| {cost.count:,} | {_ms(cost.added_seconds)} | {each} | {_ratio(cost.ratio)} |"
    yield ""


def _memory(held: Sequence[Held], growth: Growth | None) -> Iterator[str]:
    yield "## Memory"
    yield ""
    yield "| model | tensors | model MiB | watch's tensors MiB | share | full history MiB |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for entry in held:
        share = entry.tensor_bytes / entry.model_bytes
        sizes = [f"{value / _MIB:.1f}" for value in (entry.model_bytes, entry.tensor_bytes)]
        full = f"{entry.history_bytes / _MIB:.1f}"
        cells = [entry.title, f"{entry.num_tensors:,}", *sizes, f"{share:.1%}", full]
        yield f"| {' | '.join(cells)} |"
    yield ""
    if growth is not None:
        steps = ", ".join(f"{step:,}" for step in growth.steps)
        sizes = ", ".join(f"{value / _MIB:.1f}" for value in growth.resident)
        yield f"Resident memory of a process that trains a tiny model under a watch, after {steps}"
        yield f"steps: {sizes} MiB. {_slope(growth)}"
        yield ""


def _slope(growth: Growth) -> str:
    half = len(growth.steps) // 2
    late = np.polyfit(growth.steps[half:], growth.resident[half:], 1)[0]
    return f"In the second half it grows by {late:.1f} bytes per step."


def _disk(disk: Disk) -> Iterator[str]:
    yield "## Disk"
    yield ""
    yield f"{disk.steps:,} steps of {disk.sites:,} sites under a bound of {disk.max_bytes / _MIB:.0f}"
    yield f"MiB: {disk.given_bytes / _MIB:.0f} MiB were handed over, {disk.largest_bytes / _MIB:.1f} MiB"
    yield f"lay in the directory at most, {disk.final_bytes / _MIB:.1f} MiB at the end."
    yield f"Rows dropped: {disk.num_dropped_rows}; older steps are thinned instead."
    yield ""


def _device(device: str) -> str:
    return "a CPU" if device == "cpu" else f"a GPU ({torch.cuda.get_device_name()})"


def _versions(results: Results) -> str:
    peers = [monitor for monitor in results.monitors if issubclass(monitor, Peer)]
    found = {"steadytrain": steadytrain.__version__, "torch": torch.__version__}
    found |= {"python": platform.python_version(), **versions(peers)}
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = (
        f", load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    )
    kind = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    return f"{cores} CPU cores ({kind}), torch on {torch.get_num_threads()} threads{load}"


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.3f} [{spread.low:.3f}, {spread.high:.3f}]"


def _ms(spread: Spread) -> str:
    return f"{1e3 * spread.median:.2f} [{1e3 * spread.low:.2f}, {1e3 * spread.high:.2f}]"
