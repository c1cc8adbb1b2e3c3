"""Facts about the machine and the installation, each with what to do where it is amiss."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

OLDEST_PYTHON: Final = (3, 11)
OLDEST_TORCH: Final = (2, 6)
LEAST_DISK_BYTES: Final = 2 << 30
"""A long run keeps up to 1 GiB of measurements, and two checkpoints beside them."""

EXTRAS: Final = {
    "pyarrow": "export --to parquet: pip install 'steadytrain[parquet]'",
    "optimi": "Kahan summation: pip install 'steadytrain[kahan]'",
    "torchao": "stochastic rounding: pip install 'steadytrain[stochastic]'",
}

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that was looked at."""

    name: str
    state: State = "ok"
    found: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fact as JSON's own types."""
        return asdict(self)


def look_around() -> list[Fact]:
    """What this machine and installation give; a look that fails is a problem, never an error."""
    facts: list[Fact] = []
    for look in (_python, _torch, _devices, _threads, _settings, _disk, _extras):
        facts += _looked(look)
    return facts


def _looked(look: Callable[[], Iterator[Fact]]) -> list[Fact]:
    try:
        return list(look())
    except Exception as error:  # a broken installation is what this is asked about
        name = look.__name__.removeprefix("_")
        found = f"looking failed: {type(error).__name__}: {error}"
        return [Fact(name=name, state="problem", found=found, advice="Reinstall what it names.")]


def _python() -> Iterator[Fact]:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        yield Fact(name="python", found=version)
    else:
        yield Fact(name="python", state="problem", found=version, advice="Take 3.11 or newer.")


def _torch() -> Iterator[Fact]:
    import torch

    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version >= OLDEST_TORCH:
        yield Fact(name="torch", found=torch.__version__)
    else:
        advice = "Take torch 2.6 or newer."
        yield Fact(name="torch", state="problem", found=torch.__version__, advice=advice)


def _devices() -> Iterator[Fact]:
    import torch

    for index in range(torch.cuda.device_count()):
        has = "with" if torch.cuda.get_device_capability(index) >= (8, 0) else "without"
        yield Fact(name="device", found=f"{torch.cuda.get_device_name(index)}, {has} bf16")
    if torch.backends.mps.is_available():
        yield Fact(name="device", found="Apple GPU (mps)")
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        yield Fact(name="device", found="CPU only", advice=_why_no_cuda())


def _why_no_cuda() -> str:
    import torch

    if Path("/proc/driver/nvidia/version").exists() and torch.version.cuda is None:
        return "There is an NVIDIA driver, but this torch was built without CUDA."
    return ""


def _threads() -> Iterator[Fact]:
    import torch

    count = torch.get_num_threads()
    has = getattr(os, "sched_getaffinity", None)
    cores = len(has(0)) if has is not None else os.cpu_count() or 1
    found = f"torch computes on {count} of {cores} cores"
    if count > cores:
        advice = f"More threads than cores slow each other: set OMP_NUM_THREADS={cores}."
        yield Fact(name="threads", state="note", found=found, advice=advice)
    else:
        yield Fact(name="threads", found=found)


def _settings() -> Iterator[Fact]:
    import torch

    precision = torch.get_float32_matmul_precision()
    yield Fact(name="float32 products", found=f"precision {precision!r}")
    if torch.is_anomaly_enabled():
        advice = "It slows every step: switch it off outside a search for NaN."
        yield Fact(name="anomaly mode", state="note", found="switched on", advice=advice)


def _disk() -> Iterator[Fact]:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free
    found = f"{free / (1 << 30):,.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        advice = "Runs cannot be kept here: choose another run_dir."
        yield Fact(name="disk", state="note", found=f"{folder} is read-only", advice=advice)
    elif free < LEAST_DISK_BYTES:
        advice = "A long run keeps up to 1 GiB, and its checkpoints: free some space."
        yield Fact(name="disk", state="note", found=found, advice=advice)
    else:
        yield Fact(name="disk", found=found)


def _extras() -> Iterator[Fact]:
    for package, use in EXTRAS.items():
        there = importlib.util.find_spec(package) is not None
        found = "installed" if there else "not installed, and needed by nothing else"
        advice = "" if there else f"For {use}."
        yield Fact(name=package, state="ok" if there else "note", found=found, advice=advice)
