"""Where a copy runs: seeded, silent, and without a trace on the process afterwards."""

from __future__ import annotations

import contextlib
import io
import random
import threading
import warnings
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch

from steadytrain.core.program import Program
from steadytrain.snapshots.rng import RandomSources

_ONE_AT_A_TIME: Final = threading.RLock()
"""The random generators belong to the process: trials of one process run one after another."""


@contextlib.contextmanager
def sandbox(program: Program, seed: int) -> Iterator[None]:
    """Inside, every generator starts from `seed`; afterwards all are as they were before.

    What the program prints or warns of is not shown: a person would read it once per trial.
    """
    with _ONE_AT_A_TIME:
        sources = RandomSources.of(program.model, program.batches)
        state, kept = sources.capture(), _settings()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                _seed_all(seed)
                with torch.enable_grad():
                    yield
        finally:
            sources.restore(state)
            _put_back(*kept)


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _settings() -> tuple[torch.dtype, bool, bool]:
    return (
        torch.get_default_dtype(),
        torch.is_anomaly_enabled(),
        torch.backends.cudnn.benchmark,
    )


def _put_back(dtype: torch.dtype, anomaly: bool, benchmark: bool) -> None:
    torch.set_default_dtype(dtype)
    torch.autograd.set_detect_anomaly(anomaly)
    torch.backends.cudnn.benchmark = benchmark
