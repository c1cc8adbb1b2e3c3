"""Many independent runs through any `concurrent.futures.Executor`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from steadytrain.lab.protocol import ProgressReport

Job = TypeVar("Job")
Record = TypeVar("Record")
P = ParamSpec("P")
T = TypeVar("T")


class InProcess(Executor):
    """Runs what is submitted at once, in the process and thread that submits it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """A future that is done already."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # an executor's contract: the future carries it to the caller
            future.set_exception(error)
        return future


@contextmanager
def executor_for(jobs: int) -> Iterator[Executor]:
    """An executor of `jobs` processes with one thread each; this process alone for 1.

    Processes are spawned, because a forked torch may hang in its thread pool. What was not
    begun when an error or Ctrl-C comes is cancelled.
    """
    if jobs == 1:
        yield InProcess()
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_all(
    jobs: Sequence[Job],
    work: Callable[[Job], Record],
    executor: Executor,
    report_progress: ProgressReport,
    name_of: Callable[[Job], str],
) -> list[Record]:
    """The records of all `jobs`, in their order; the first error ends the sweep.

    Args:
        jobs: picklable where the executor leaves this process.
        work: a function at the top of its module.
        executor: left open.
        report_progress: called once per finished job.
        name_of: what to call a job in the report.
    """
    count = _Count(len(jobs), report_progress)
    futures: list[Future[Record]] = []
    for job in jobs:
        future = executor.submit(work, job)
        future.add_done_callback(count.reporting(name_of(job)))
        futures.append(future)
    return [future.result() for future in futures]


class _Count:
    """Finished jobs, counted from whichever thread they end in."""

    def __init__(self, total: int, report_progress: ProgressReport) -> None:
        self._total, self._report = total, report_progress
        self._done = 0
        self._lock = threading.Lock()

    def reporting(self, name: str) -> Callable[[Future[Any]], None]:
        def report(future: Future[Any]) -> None:
            if future.cancelled() or future.exception() is not None:
                return
            with self._lock:
                self._done += 1
                self._report(self._done, self._total, name)

        return report


def _start_worker() -> None:
    """One thread for torch, an end at Ctrl-C without a traceback, and an end with the parent."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's workers would wait for work for ever where the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
