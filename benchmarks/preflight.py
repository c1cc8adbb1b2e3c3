"""How often the preflight names what is wrong, how often it fails what is healthy, what it costs.

    python -m benchmarks.preflight --write

Every fault of the lab once per seed, on the next of its architectures; every control, the
healthy twin of every third fault and every healthy architecture once. Finished programs are kept under `runs/`, so that an interrupted run goes on where it was; they are made anew
when the package's code changes. `--seconds` ends a run early.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import steadytrain as st
from benchmarks.preflight_cost import Cost, cost_of
from benchmarks.preflight_table import page
from steadytrain.core.finding import Severity
from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, parts_of
from steadytrain.lab.zoo.planting import known_controls, known_faults

RESULTS = Path(__file__).parent / "results" / "preflight.md"
KEPT = Path("runs/benchmarks/preflight.jsonl")
TWINS = 3
"""One of so many faults has its twin looked at."""
SOURCE = Path(st.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One program."""

    kind: str
    name: str
    architecture: str
    seed: int

    def program(self) -> Program:
        """The program, built anew."""
        case = Case(architecture=self.architecture, seed=self.seed)
        if self.kind == "architecture":
            return parts_of(case).program()
        if self.kind == "control":
            return known_controls()[self.name].program(case)
        fault = known_faults()[self.name]
        return fault.program(case) if self.kind == "fault" else fault.twin(case)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the preflight said of it: alarms are findings of warning or above."""

    cell: Cell
    alarms: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Check, message and nominated causes, best first."""
    best: str | None
    """The cause it ranks first."""
    seconds: float
    """Of the processor."""
    broken: tuple[str, ...]
    """Checks that raised."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="programs whose name holds this")
    parser.add_argument("--kept", type=Path, default=KEPT, help="file of finished programs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time to spend")
    parser.add_argument("--partial", action="store_true", help="take what is finished, and say so")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    wanted = [cell for cell in cells(options.seeds) if options.only in f"{cell.kind}: {cell.name}"]
    outcomes = list(finished(wanted, options.kept, options.seconds))
    if len(outcomes) < len(wanted) and not options.partial:
        sys.exit(f"{len(outcomes)} of {len(wanted)} programs are finished: run it again")
    kept = options.kept.with_suffix(".costs.json")
    measures = options.write and (kept.exists() or not options.partial)
    text = page(outcomes, costs_of(kept) if measures else [], options.seeds, len(wanted))
    sys.stdout.write(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


def costs_of(kept: Path) -> list[Cost]:
    """The cost of a quick and of a full preflight, measured anew where the code has changed."""
    digest = digest_of_source()
    if kept.exists() and (read := json.loads(kept.read_text(encoding="utf-8")))["digest"] == digest:
        return [Cost(**one) for one in read["costs"]]
    costs = [cost_of(quick=True), cost_of(quick=False)]
    document = {"digest": digest, "costs": [asdict(one) for one in costs]}
    kept.write_text(json.dumps(document), encoding="utf-8")
    return costs


def cells(seeds: int) -> Iterator[Cell]:
    """Every program of the table."""
    for name in ARCHITECTURES:
        yield Cell(kind="architecture", name=name, architecture=name, seed=0)
    for name, control in known_controls().items():
        yield _cell("control", name, control.on, 0)
    for seed in range(seeds):
        for name, fault in known_faults().items():
            yield _cell("fault", name, fault.on, seed)
    for name, fault in list(known_faults().items())[::TWINS]:
        yield _cell("twin", name, fault.on, 0)


def _cell(kind: str, name: str, on: tuple[str, ...], seed: int) -> Cell:
    return Cell(kind=kind, name=name, architecture=on[seed % len(on)], seed=seed)


def finished(wanted: list[Cell], kept: Path, seconds: float) -> Iterator[Outcome]:
    """The outcomes: those that are kept, and as many more as the time allows."""
    digest, begun = digest_of_source(), time.perf_counter()
    done = read(kept, digest)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("a", encoding="utf-8") as file:
        for cell in wanted:
            if cell not in done and time.perf_counter() - begun < seconds:
                done[cell] = look(cell)
                file.write(json.dumps({"digest": digest, **asdict(done[cell])}) + "\n")
                file.flush()
            if cell in done:
                yield done[cell]


def look(cell: Cell) -> Outcome:
    """The preflight of one program."""
    program = cell.program()
    start = time.process_time()
    diagnosis = st.preflight(program, progress=False)
    seconds = time.process_time() - start
    serious = [one for one in diagnosis.findings if one.severity >= Severity.WARNING]
    return Outcome(
        cell=cell,
        alarms=tuple((one.rule, one.message, tuple(one.causes)) for one in serious),
        best=diagnosis.causes[0].name if diagnosis.causes else None,
        seconds=seconds,
        broken=tuple(one.check for one in diagnosis.answers if "itself raised" in one.seen),
    )


def read(kept: Path, digest: str) -> dict[Cell, Outcome]:
    """What was finished with this code before."""
    if not kept.exists():
        return {}
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    return {one.cell: one for row in rows if row.pop("digest") == digest for one in [_outcome(row)]}


def _outcome(row: dict[str, object]) -> Outcome:
    given: dict = dict(row)
    return Outcome(
        cell=Cell(**given.pop("cell")),
        alarms=tuple(
            (rule, message, tuple(causes)) for rule, message, causes in given.pop("alarms")
        ),
        broken=tuple(given.pop("broken")),
        **given,
    )


def digest_of_source() -> str:
    """Of the code that decides: the checks, what they rest on, and the lab's programs."""
    rooms = ("checks", "core", "optim", "lab/zoo", "lab/faults", "lab/controls")
    files = sorted(path for room in rooms for path in (SOURCE / room).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
