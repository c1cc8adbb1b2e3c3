"""Whether a call of `train` can mean what was written, before anything is touched."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path

from torch.optim.lr_scheduler import ReduceLROnPlateau

from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.core.program import Program
from steadytrain.guard import Guard
from steadytrain.snapshots.checkpoints import Checkpoints
from steadytrain.store.catalog import read_catalog
from steadytrain.training.loop import Rhythm


def check_request(program: Program, rhythm: Rhythm, run_dir: Path | None, *, resume: bool) -> None:
    """The call can mean what was written; nothing was touched yet.

    Raises:
        UsageError: it cannot.
        ProgramError: the scheduler needs what a step cannot give it, or weights have no values.
    """
    _check_scheduler(program)
    _check_values(program)
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


def check_types(program: object, guard: object, run_dir: object) -> None:
    """What was handed over is of the kind that can be trained with.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(program, Program):
        msg = f"train(program): got {_kind(program)}, expected steadytrain.Program"
        raise UsageError(f"{msg}: put model, optimizer, batches and loss_fn into one.")
    if guard is not None and not isinstance(guard, Guard):
        msg = f"train(guard=...): got {_kind(guard)}, expected steadytrain.Guard() or None"
        raise UsageError(f"{msg}: pass guard=Guard() with parentheses.")
    if run_dir is not None and (not isinstance(run_dir, str | os.PathLike) or run_dir == ""):
        msg = f"train(run_dir=...): got {run_dir!r}, expected the path of a directory"
        raise UsageError(f"{msg}: leave it out to keep the run in memory.")


def rhythm_of(steps: int, validate_every: int | None, checkpoint_every: int | None) -> Rhythm:
    """When the loop does what, as whole numbers, numpy's among them.

    Raises:
        UsageError: one is none.
    """
    return Rhythm(
        steps=_whole("steps", steps),
        validate_every=None if validate_every is None else _whole("validate_every", validate_every),
        checkpoint_every=(
            None if checkpoint_every is None else _whole("checkpoint_every", checkpoint_every)
        ),
    )


def _whole(name: str, value: object) -> int:
    if type(value) is bool or not isinstance(value, Integral) or int(value) < 1:
        msg = f"train({name}=...) must be a whole number of steps from 1 on, got {value!r}"
        optional = "" if name == "steps" else f" Leave {name} out for never."
        raise UsageError(f"{msg}.{optional}")
    return int(value)


def _kind(value: object) -> str:
    """What was given, as a person would call it."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return type(value).__name__


def _check_scheduler(program: Program) -> None:
    if isinstance(program.scheduler, ReduceLROnPlateau) and program.step_fn is None:
        raise ProgramError(
            "Program.scheduler is a ReduceLROnPlateau, which steps on a metric, expected one that "
            "steps without arguments, once per optimizer step: step it inside metric_fn and leave "
            "scheduler None, or use steadytrain.optim.warmup_cosine with a LambdaLR."
        )


def _check_values(program: Program) -> None:
    for name, parameter in program.model.named_parameters():
        if parameter.requires_grad and parameter.is_meta:
            raise ProgramError(
                f"Program.model: its parameter {name!r} is on the meta device and has no values, "
                "expected a model that can be trained: call model.to_empty(device=...) and "
                "initialise it."
            )
