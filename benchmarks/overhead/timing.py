"""Timing the arms against each other: one process, interleaved, in random order.

Every arm has its own copy of the model and the optimizer. On a CPU the arms take short turns, so
that what the machine does besides weighs on all of them: a step that is not timed, because the
arms before have left the caches to it cold as no training loop does, and then six that are, two
where a step takes long enough to empty the caches by itself. The turns of a round time every phase of a sampling period equally often. On a device, where a step has
no end of its own, a turn is a block. An arm is compared with the bare arms' steps of its turn only.
"""

from __future__ import annotations

import copy
import gc
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn

from benchmarks.overhead.monitors import PERIOD, Monitor
from benchmarks.overhead.workloads import Batch, Workload, loss_of

MIN_ROUNDS: Final = 3

WARMUP_STEPS: Final = 2

TIMED_STEPS: Final = 6
"""Of a turn, after one that is not timed: seven steps and a period of ten share no factor, so that
ten turns time every phase equally often."""

TIMED_LONG_STEPS: Final = 2
"""The same where a step is long: three and ten share no factor either."""

LONG_STEP_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One arm's steps of a round: wall seconds of each, and of all with their CPU seconds."""

    steps: tuple[float, ...]
    wall: float
    cpu: float

    @classmethod
    def joined(cls, parts: Sequence[Block]) -> Block:
        """One block of all the parts' steps."""
        steps = tuple(step for part in parts for step in part.steps)
        wall = sum(part.wall for part in parts)
        return cls(steps=steps, wall=wall, cpu=sum(part.cpu for part in parts))

    @property
    def mean(self) -> float:
        return self.wall / len(self.steps)

    @property
    def cpu_mean(self) -> float:
        return self.cpu / len(self.steps)


@dataclass(slots=True)
class Arm:
    """A model that is trained under one monitor."""

    monitor: Monitor
    batches: Sequence[Batch]
    num_steps: int = 0
    blocks: list[Block] = field(default_factory=list[Block])

    def train_step(self) -> None:
        """One step of an ordinary loop."""
        monitor = self.monitor
        batch = self.batches[self.num_steps % len(self.batches)]
        with monitor.around_backward():
            loss = loss_of(monitor.model, batch)
            loss.backward()
        monitor.clip()
        monitor.before_step(loss)
        monitor.step()
        monitor.optimizer.zero_grad()
        monitor.after_step(loss)
        self.num_steps += 1

    def run(self, num_steps: int, device: str) -> Block:
        """That many steps, timed."""
        synchronize(device)
        cpu, ends = time.process_time(), [time.perf_counter()]
        for _ in range(num_steps):
            self.train_step()
            ends.append(time.perf_counter())
        synchronize(device)
        wall = time.perf_counter() - ends[0]
        steps = (
            tuple(np.diff(ends).tolist()) if device == "cpu" else (wall / num_steps,) * num_steps
        )
        return Block(steps=steps, wall=wall, cpu=time.process_time() - cpu)

    def run_block(self, device: str) -> Block:
        """A block's timed steps, after one that is not timed."""
        self.train_step()
        gc.collect()
        return self.run(self.monitor.steps_per_block, device)


def synchronize(device: str) -> None:
    """Nothing is under way on the device."""
    if device != "cpu":
        torch.cuda.synchronize()


def make_arms(
    workload: Workload,
    monitors: Sequence[type[Monitor]],
    *,
    seed: int,
    device: str,
    fused: bool,
    folder: Path,
) -> list[Arm]:
    """One arm per monitor, all with the same weights and batches."""
    torch.manual_seed(seed)
    model = workload.build().to(device)
    batches = workload.batches(seed, device)
    arms: list[Arm] = []
    for place, monitor in enumerate(monitors):
        own: nn.Module = copy.deepcopy(model)
        optimizer = torch.optim.AdamW(own.parameters(), lr=1e-3, fused=fused or None)
        arms.append(Arm(monitor(own, optimizer, folder / f"{workload.name}-{place}"), batches))
    return arms


def run_rounds(
    arms: Sequence[Arm], *, seconds: float, seed: int, device: str, min_rounds: int = MIN_ROUNDS
) -> int:
    """Rounds of all arms, in random order within a round, until the time is up; their number.

    What is built on first use, such as the optimizer's state, is built before.
    """
    order = random.Random(seed)
    for arm in arms:
        for _ in range(WARMUP_STEPS):
            arm.train_step()
    first = [arm.run(1, device).wall for arm in arms]
    is_long = first[0] > LONG_STEP_SECONDS
    timed = TIMED_LONG_STEPS if is_long else TIMED_STEPS
    until = time.monotonic() + seconds
    rounds = 0
    while rounds < min_rounds or time.monotonic() < until:
        if device == "cpu":
            _run_turns(arms, order, timed)
        else:
            _run_blocks(arms, order, device)
        rounds += 1
    return rounds


def _run_blocks(arms: Sequence[Arm], order: random.Random, device: str) -> None:
    for arm in order.sample(list(arms), len(arms)):
        arm.blocks.append(arm.run_block(device))
        time.sleep(arm.monitor.settle_seconds)


def _run_turns(arms: Sequence[Arm], order: random.Random, timed: int) -> None:
    gc.collect()
    steps: list[list[Block]] = [[] for _ in arms]
    for turn in range(PERIOD):
        taking_part = [i for i, arm in enumerate(arms) if turn < arm.monitor.steps_per_block]
        for place in order.sample(taking_part, len(taking_part)):
            arms[place].train_step()
            steps[place].append(arms[place].run(timed, "cpu"))
            time.sleep(arms[place].monitor.settle_seconds)
    for arm, own in zip(arms, steps, strict=True):
        arm.blocks.append(Block.joined(own))
