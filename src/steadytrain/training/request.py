"""Whether a call of `train` can mean what was written, before anything is touched."""

from __future__ import annotations

from pathlib import Path

from torch.optim.lr_scheduler import ReduceLROnPlateau

from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.core.program import Program
from steadytrain.snapshots.checkpoints import Checkpoints
from steadytrain.store.catalog import read_catalog
from steadytrain.training.loop import Rhythm


def check_request(program: Program, rhythm: Rhythm, run_dir: Path | None, *, resume: bool) -> None:
    """The call can mean what was written; nothing was touched yet.

    Raises:
        UsageError: it cannot.
        ProgramError: the scheduler needs what a step cannot give it.
    """
    _check_steps(rhythm)
    _check_scheduler(program)
    if run_dir is None and (resume or rhythm.checkpoint_every is not None):
        asked = "resume=True" if resume else "checkpoint_every"
        raise UsageError(f"train({asked}) got no run_dir: pass the directory of the run.")
    if not resume and program.step >= rhythm.steps:
        msg = f"train(steps={rhythm.steps}): the program has finished {program.step} steps already"
        raise UsageError(f"{msg}, and steps counts all of them: pass a larger number.")
    if run_dir is not None and not resume and holds_run(run_dir):
        raise UsageError(
            f"{run_dir} holds a run already: pass resume=True to continue it from its newest "
            "checkpoint, or another run_dir for a new run. Nothing was touched."
        )


def holds_run(run_dir: Path) -> bool:
    """Whether a run, or a checkpoint of one, stands in the directory itself.

    Raises:
        RunVersionError: one stands there that another schema version wrote.
    """
    catalog = read_catalog(run_dir)
    recorded = catalog.document is not None or bool(catalog.numbers)
    return recorded or bool(Checkpoints(run_dir).paths())


def _check_steps(rhythm: Rhythm) -> None:
    for name in ("steps", "validate_every", "checkpoint_every"):
        value = getattr(rhythm, name)
        if value is None and name != "steps":
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            msg = f"train({name}=...) must be a whole number of steps from 1 on, got {value!r}"
            raise UsageError(f"{msg}. Leave validate_every or checkpoint_every out for never.")


def _check_scheduler(program: Program) -> None:
    if isinstance(program.scheduler, ReduceLROnPlateau) and program.step_fn is None:
        raise ProgramError(
            "Program.scheduler is a ReduceLROnPlateau, which steps on a metric, expected one that "
            "steps without arguments, once per optimizer step: step it inside metric_fn and leave "
            "scheduler None, or use steadytrain.optim.warmup_cosine with a LambdaLR."
        )
