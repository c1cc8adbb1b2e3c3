"""Timing the arms against each other: one process, interleaved blocks, random order.

Every arm has its own copy of the model and the optimizer. A round gives each arm one block: a
step that is not timed, so that every arm starts with warm caches, then the timed ones. An arm is
compared with the bare arms of the same round only, so that what the machine does besides weighs
on both.
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

from benchmarks.overhead.monitors import Monitor
from benchmarks.overhead.workloads import Batch, Workload, loss_of

MIN_ROUNDS: Final = 4

WARMUP_STEPS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of one arm: wall seconds of each step, and of all with their CPU seconds."""

    steps: tuple[float, ...]
    wall: float
    cpu: float

    @property
    def mean(self) -> float:
        return self.wall / len(self.steps)

    @property
    def median(self) -> float:
        return float(np.median(self.steps))

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

    def run_block(self, device: str) -> Block:
        """A block's timed steps, after one that is not timed."""
        num_steps = self.monitor.steps_per_block
        self.train_step()
        gc.collect()
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
    """Blocks of all arms, in random order within a round, until the time is up; the rounds.

    What is built on first use, such as the optimizer's state, is built before.
    """
    order = random.Random(seed)
    for arm in arms:
        for _ in range(WARMUP_STEPS):
            arm.train_step()
    until = time.monotonic() + seconds
    rounds = 0
    while rounds < min_rounds or time.monotonic() < until:
        for arm in order.sample(list(arms), len(arms)):
            arm.blocks.append(arm.run_block(device))
            time.sleep(arm.monitor.settle_seconds)
        rounds += 1
    return rounds
