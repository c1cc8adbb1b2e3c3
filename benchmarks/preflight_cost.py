"""Seconds and memory of a preflight of the reference transformer, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

import steadytrain as st
from benchmarks.overhead.workloads import WORKLOADS, loss_of

WORKLOAD = "W2"
THREADS = 1
STEPS = 4
"""Training steps after which the program's own peak is known."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a preflight takes, beside what training takes; memory above that of the imports."""

    quick: bool
    wall_seconds: float
    """As the clock had them, beside whatever else the machine did."""
    processor_seconds: float
    program_megabytes: float
    preflight_megabytes: float
    slowest: tuple[tuple[str, float], ...]


def cost_of(*, quick: bool) -> Cost:
    """The cost, with the program's own peak measured in another process."""
    own = _in_process("train")
    seen = _in_process("quick" if quick else "full")
    return Cost(
        quick=quick,
        wall_seconds=float(seen["wall"]),
        processor_seconds=float(seen["processor"]),
        program_megabytes=float(own["megabytes"]),
        preflight_megabytes=float(seen["megabytes"]),
        slowest=tuple((name, seconds) for name, seconds in seen["slowest"]),
    )


def _in_process(what: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.preflight_cost", what]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _program() -> st.Program:
    workload = WORKLOADS[WORKLOAD]
    torch.manual_seed(0)
    model = workload.build()
    return st.Program(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=3e-4),
        batches=workload.batches(0, "cpu"),
        loss_fn=loss_of,
        clip=1.0,
    )


def _train() -> dict[str, object]:
    program = _program()
    for batch in list(program.batches)[:STEPS]:
        loss_of(program.model, batch).backward()
        torch.nn.utils.clip_grad_norm_(program.model.parameters(), 1.0)
        program.optimizer.step()
        program.optimizer.zero_grad()
    return {}


def _preflight(quick: bool) -> Callable[[], dict[str, object]]:
    def run() -> dict[str, object]:
        program = _program()
        wall, processor = time.perf_counter(), time.process_time()
        answers = st.preflight(program, quick=quick, progress=False).answers
        slowest = sorted(answers, key=lambda one: -one.seconds)[:4]
        return {
            "wall": time.perf_counter() - wall,
            "processor": time.process_time() - processor,
            "slowest": [(one.check, one.seconds) for one in slowest],
        }

    return run


@contextmanager
def _peak(found: dict[str, object]) -> Iterator[None]:
    """The highest resident memory inside the block above that at its beginning."""
    before, highest, ended = _megabytes(), [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.002):
            highest[0] = max(highest[0], _megabytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        found["megabytes"] = highest[0] - before


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def main(what: str) -> None:
    torch.set_num_threads(THREADS)
    torch.optim.SGD([torch.zeros(1)], lr=0.1)  # torch imports its compiler with the first one
    run = _train if what == "train" else _preflight(what == "quick")
    found: dict[str, object] = {}
    with _peak(found):
        measured = run()
    sys.stdout.write(json.dumps({**measured, **found}))


if __name__ == "__main__":
    main(sys.argv[1])
