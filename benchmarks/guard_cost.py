"""What the guard adds to a training step that has no fault, beside the watch and the bare loop.

    python benchmarks/guard_cost.py --minutes 2
    python benchmarks/guard_cost.py --workloads W1 --out benchmarks/results/guard_cost.md

The arms take turns of a few steps in one process, in random order; the time is that of the processor,
one thread. The guard's snapshots come as often as its own cadence wants them.
"""

import argparse
import copy
import datetime
import os
import platform
import random
import shlex
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import steadytrain as st
from benchmarks.overhead.workloads import WORKLOADS, loss_of

CLIP = 1.0
TURN = 6
"""Timed steps of a turn, after one that is not timed."""


class Bare:
    """The loop with torch's clip."""

    name = "bare"

    def __init__(self, model, batches):
        self.model, self.batches, self.place = model, batches, 0
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        self.shares = []

    def next_batch(self):
        self.place += 1
        return self.batches[self.place % len(self.batches)]

    def step(self):
        loss = loss_of(self.model, self.next_batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()


class BareAgain(Bare):
    """The same once more: how far two equal arms differ."""

    name = "bare again"


class Watched(Bare):
    """With a watch whose clip is used."""

    name = "watch"

    def __init__(self, model, batches):
        super().__init__(model, batches)
        self.watch = st.watch(model, self.optimizer)

    def step(self):
        loss = loss_of(self.model, self.next_batch())
        loss.backward()
        self.watch.clip_grad_norm_(CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.watch.log(loss=loss)


class Guarded(Bare):
    """With the guard, which takes the steps."""

    name = "guard"

    def __init__(self, model, batches):
        super().__init__(model, batches)
        self.guard = st.Guard().attach(model, self.optimizer, clip=CLIP)
        self.stream = self.guard.batches(self.endless())

    def endless(self):
        while True:
            yield self.next_batch()

    def step(self):
        batch = next(self.stream)
        with self.guard.step(batch) as step:
            step.backward(loss_of(self.model, batch))


ARMS = (Bare, BareAgain, Watched, Guarded)


def measure(name, seconds, seed):
    """One share of time per round and arm: its mean step over that of the bare arm in the round."""
    workload = WORKLOADS[name]
    torch.manual_seed(seed)
    model, batches = workload.build(), workload.batches(seed, "cpu")
    arms = [arm(copy.deepcopy(model), batches) for arm in ARMS]
    order, rounds, times = random.Random(seed), 0, []
    for arm in arms:
        for _ in range(3):
            arm.step()
    end = time.monotonic() + seconds
    while rounds < 3 or time.monotonic() < end:
        row = {}
        for arm in order.sample(arms, len(arms)):
            arm.step()
            begin = time.process_time()
            for _ in range(TURN):
                arm.step()
            row[arm.name] = (time.process_time() - begin) / TURN
        times.append(row)
        rounds += 1
    assert arms[-1].guard.events == []
    return times


def line(name, times):
    bare = statistics.median(row["bare"] for row in times)
    ratios = [statistics.median(row[arm.name] / row["bare"] for row in times) for arm in ARMS[1:]]
    return [name, f"{1e3 * bare:.1f}", *(f"{ratio:.3f}" for ratio in ratios), str(len(times))]


def page(rows, options):
    heads = ["workload", "bare, ms", *(f"{arm.name} / bare" for arm in ARMS[1:]), "rounds"]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])
    today = datetime.datetime.now(tz=datetime.UTC).date()
    command = shlex.join(["python", "benchmarks/guard_cost.py", *sys.argv[1:]])
    return (
        f"# What the guard costs where nothing is wrong\n\n{table}\n\n"
        f"Medians over rounds of {TURN} steps per arm; processor time of one thread; the guard "
        "without a watch, its snapshots at its own cadence.\n\n"
        f"Written on {today} by `{command}`; seed {options.seed}; torch {torch.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} {platform.machine()} cores, "
        f"load {os.getloadavg()[0]:.1f}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", default=["W1", "W2", "W4"], choices=WORKLOADS)
    parser.add_argument("--minutes", type=float, default=1.0, help="per workload")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        line(name, measure(name, 60 * options.minutes, options.seed)) for name in options.workloads
    ]
    text = page(rows, options)
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
