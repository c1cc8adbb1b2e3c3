"""What the watch holds in memory and leaves on disk, counted and not estimated."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

import steadytrain
from benchmarks.overhead.monitors import PERIOD, Monitor, Steadytrain
from benchmarks.overhead.timing import Arm, make_arms
from benchmarks.overhead.workloads import Workload
from steadytrain.core.history import DEFAULT_CAPACITY, History
from steadytrain.probes.memory import resident_bytes
from steadytrain.store.limits import Limits
from steadytrain.store.writer import RunWriter

PARAMETER_STATS: Final = ("grad_norm", "param_norm", "update_norm", "update_ratio", "grad_rms")
"""What a watch writes of every parameter at every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Bytes that a default watch holds beside a model."""

    title: str
    num_tensors: int
    model_bytes: int
    tensor_bytes: int
    """Tensors that exist only because of the watch."""
    history_bytes: int
    """The table of measurements when its ring is full and grows no further."""


def held_bytes(workload: Workload, *, seed: int, folder: Path) -> Held:
    """What a watch of `workload` holds after a sampling period, and its table once it is full.

    All live tensors are counted before, with a bare arm, and with a watched arm beside it: what
    the watched arm has more than the bare one is the watch's, however it keeps it.
    """
    nothing = live_tensor_bytes()
    bare = _trained(workload, Monitor, seed, folder)
    with_bare = live_tensor_bytes()
    watched = _trained(workload, Steadytrain, seed, folder)
    with_both = live_tensor_bytes()
    assert isinstance(watched.monitor, Steadytrain)
    held = Held(
        title=workload.title,
        num_tensors=sum(1 for _ in bare.monitor.model.parameters()),
        model_bytes=sum(p.numel() * p.element_size() for p in bare.monitor.model.parameters()),
        tensor_bytes=(with_both - with_bare) - (with_bare - nothing),
        history_bytes=full_history_bytes(watched.monitor.watch.history),
    )
    watched.monitor.close()
    return held


def _trained(workload: Workload, monitor: type[Monitor], seed: int, folder: Path) -> Arm:
    (arm,) = make_arms(workload, (monitor,), seed=seed, device="cpu", fused=False, folder=folder)
    for _ in range(PERIOD):
        arm.train_step()
    if isinstance(arm.monitor, Steadytrain):
        arm.monitor.watch.flush()
    return arm


def full_history_bytes(period: History) -> int:
    """What the table holds after a run that repeats the measurements of `period` for ever."""
    full = History({"parameter": period.sites_of("parameter"), "module": period.sites_of("module")})
    rows = {stat: period.measured(stat) for stat in period.stats}
    length = len(period)
    for step in range(2 * DEFAULT_CAPACITY):
        for stat, (steps, values) in rows.items():
            for place in np.flatnonzero(steps - period.start == step % length):
                full.append(step, stat, values[place])
    return full.num_bytes


def live_tensor_bytes() -> int:
    """Bytes of all storages that a tensor of this process holds, each once."""
    gc.collect()
    storages: dict[int, int] = {}
    for found in gc.get_objects():
        if issubclass(type(found), Tensor) and found.layout is torch.strided:
            storage = found.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident bytes of the process at some steps of a long run."""

    steps: tuple[int, ...]
    resident: tuple[float, ...]


def resident_growth(*, steps: int, samples: int, seed: int) -> Growth:
    """Memory of a process in which a small network is trained under a watch for `steps` steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    inputs = torch.randn(16, 8)
    at: list[int] = []
    resident: list[float] = []
    with steadytrain.watch(model, optimizer) as watch:
        for step in range(1, steps + 1):
            loss = model(inputs).square().mean()
            loss.backward()
            watch.clip_grad_norm_(1.0)
            optimizer.step()
            optimizer.zero_grad()
            watch.log(loss=loss)
            if step % (steps // samples) == 0:
                at.append(step)
                resident.append(resident_bytes())
    return Growth(tuple(at), tuple(resident))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What a long run leaves on disk under a bound."""

    steps: int
    sites: int
    max_bytes: int
    given_bytes: int
    """Bytes of the rows that were handed to the writer, as float32."""
    largest_bytes: int
    """The most that lay in the run directory at any flush."""
    final_bytes: int
    num_dropped_rows: int


def disk_use(*, steps: int, sites: int, max_bytes: int, seed: int, folder: Path) -> Disk:
    """Rows of `PARAMETER_STATS` are recorded step by step; the directory is measured all along."""
    rng = np.random.default_rng(seed)
    rows = rng.lognormal(size=(64, sites))
    writer = RunWriter(folder, limits=Limits(max_bytes=max_bytes))
    writer.add_sites("parameter", [f"layer{site}.weight" for site in range(sites)])
    largest = 0
    for step in range(steps):
        for offset, stat in enumerate(PARAMETER_STATS):
            writer.add_row(step, stat, rows[(step + 13 * offset) % len(rows)])
        if step % 10 == 9:
            writer.flush()
            if step % 500 == 499:
                largest = max(largest, _bytes_in(folder))
    writer.close()
    return Disk(
        steps=steps,
        sites=sites,
        max_bytes=max_bytes,
        given_bytes=4 * steps * sites * len(PARAMETER_STATS),
        largest_bytes=max(largest, _bytes_in(folder)),
        final_bytes=_bytes_in(folder),
        num_dropped_rows=writer.num_dropped_rows,
    )


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
