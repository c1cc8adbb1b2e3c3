"""Opening the run directory: never over a run that is there."""

from __future__ import annotations

from pathlib import Path

from steadytrain.core.errors import UsageError
from steadytrain.store.writer import RunWriter


def open_run(run_dir: Path, *, resume: bool) -> RunWriter:
    """A writer in `run_dir`; a run that is there is left untouched unless it is to be continued.

    Raises:
        UsageError: there is a run and `resume` is False.
    """
    writer = RunWriter(run_dir, if_busy="error")
    if writer.takes_up_a_run and not resume:
        writer.close()
        msg = f"watch(run_dir={str(run_dir)!r}): the directory holds a run already, expected an"
        remedy = "Choose another, or continue it with resume=True and first_step=<finished steps>."
        raise UsageError(f"{msg} empty or new one; nothing was changed. {remedy}")
    return writer
