"""Processes for the trials, where the program can be taken there and it pays."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Final

from steadytrain.core.program import Program
from steadytrain.doctor.trials import InProcess

WORTH: Final = 2_000_000
"""Parameters from which starting processes costs less than it saves."""


@contextmanager
def executor_of(jobs: int, program: Program) -> Iterator[Executor]:
    """An executor of `jobs` processes for trials of `program`, or this process.

    This process alone where one job is asked for, where the program is so small that a process
    takes longer to start than a trial to run, or where it cannot be pickled, as with functions
    defined inside another one.
    """
    if jobs == 1 or _size(program) < WORTH or not _can_travel(program):
        yield InProcess()
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _size(program: Program) -> int:
    return sum(parameter.numel() for parameter in program.model.parameters())


def _can_travel(program: Program) -> bool:
    try:
        pickle.dumps((program.model, program.loss_fn, program.step_fn, program.metric_fn))
    except Exception:  # whatever it is that cannot be pickled, it stays here
        return False
    return True


def _start_worker() -> None:
    """One thread for torch, and an end at Ctrl-C without a traceback."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_DFL)
