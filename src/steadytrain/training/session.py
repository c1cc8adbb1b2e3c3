"""`train`: checks what was asked, opens the record, resumes, runs the loop and closes it all."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from steadytrain.core.program import Program
from steadytrain.core.rule import Rule
from steadytrain.guard import Guard
from steadytrain.snapshots.checkpoints import Checkpoints, Loaded
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.settings import attributes_of
from steadytrain.snapshots.snapshot import capture
from steadytrain.snapshots.stream import Stream
from steadytrain.snapshots.writing import checked
from steadytrain.training.loop import Loop, device_of
from steadytrain.training.progress import make_display
from steadytrain.training.record import BareRecord, Record
from steadytrain.training.repetition import Repetition
from steadytrain.training.request import check_request, check_types, rhythm_of
from steadytrain.training.run import Run
from steadytrain.training.snapshot import saved_parts, take_up
from steadytrain.training.stepping import provide_scaler
from steadytrain.watching import Watch
from steadytrain.watching import watch as attach


def train(
    program: Program,
    steps: int,
    *,
    guard: Guard | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    watch: bool = True,
    checkpoint_every: int | None = None,
    validate_every: int | None = None,
    resume: bool = False,
    progress: bool = True,
    rules: Sequence[Rule] | None = None,
    every: int = 10,
    name: str | None = None,
) -> Run:
    """The program has finished `steps` optimizer steps, and what happened is in the `Run`.

    One step: microbatches, forward, backward, unscale, clip, step, zero_grad, schedule, log.
    With a `step_fn` the step is the user's own. The loop never touches train/eval modes, and
    putting the random sources back after `metric_fn` makes validation change nothing.

    A second call for more steps goes on with the weights, in a new pass over the data; only
    `resume` takes up the place in it.

    Ctrl-C ends the run after the step that is under way: the `Run` comes back with
    `interrupted=True`. A second one raises `KeyboardInterrupt` at once. SIGTERM (a scheduler's
    preemption) does the same and then leaves with `SystemExit(143)`. Both save a checkpoint where
    there is a `run_dir`. Whatever ends the run, its directory is closed and readable.

    With a `guard` every step is judged before it is taken: a bad one leaves no trace, and is no
    row of the history but an event. Weights that are at fault are gone back on; the rows count on,
    while `program.step` goes back too. With a `step_fn` the guard copies weights and moments
    before every step, because the user's code changes them before they can be judged: about as
    much time as the optimizer's own step. When nothing helps the run ends with
    `interrupted=True`, whole weights and the evidence in `run_dir`.

    Args:
        program: trained in place.
        steps: finished steps wanted in all; a resumed program does what is missing.
        guard: makes every step a transaction; nothing is left out if None.
        run_dir: where the run is written; nothing is written if None.
        watch: False measures the loss only, and writes checkpoints only.
        checkpoint_every: steps between checkpoints; the last step is saved too. Two are kept.
        validate_every: steps between calls of `metric_fn`; it is called after the last step too.
        resume: go on from the newest whole checkpoint in `run_dir`, bit for bit: model,
            optimizer, schedule, scaler, random sources, place in the data, and what in `extra`
            has a `state_dict`. Starts from step 0 where there is none. The optimizer's settings
            are the checkpoint's. Steps that were logged after the checkpoint are compared when
            they are done again: other losses than logged are an event and a warning.
        progress: a bar on a terminal.
        rules: what judges the run; every rule if None.
        every: steps between sampled activations.
        name: the run's name in reports.

    Raises:
        UsageError: an option cannot mean what was given, `run_dir` holds a run, or the guard is
            attached to another loop.
        ProgramError: no data, a loss that is no scalar, state that cannot be saved.
        StoreError: every checkpoint is damaged.
        SystemExit: SIGTERM ended the run; all of it is saved.
    """
    check_types(program, guard, run_dir)
    rhythm = rhythm_of(steps, validate_every, checkpoint_every)
    directory = None if run_dir is None else Path(run_dir)
    check_request(program, rhythm, directory, resume=resume)
    provide_scaler(program, device_of(program))
    sources = RandomSources.of(program.model, program.batches)
    resumable, others = directory is not None, {} if guard is None else {"guard": guard}
    microbatches = Stream(program.batches, sources, resumable=resumable, keep=guard is not None)
    loaded = Checkpoints(directory).load_newest() if directory and resume else None
    changed: list[str] = []
    parts = saved_parts(program, microbatches, sources, **others)
    before = attributes_of(parts)
    if loaded:
        changed = take_up(program, loaded.snapshot, parts)
    elif checkpoint_every is not None:
        checked(capture(parts))
    row = loaded.facts["row"] if loaded else program.step
    repetition = Repetition.after(directory, row) if directory and loaded and not guard else None
    record: Record = BareRecord(program, row, rules)
    if watch:
        record = open_watch(program, directory, row, rules=rules, every=every, name=name)
    used = getattr(record, "run_dir", None) or directory
    display = make_display(progress, program.step, rhythm.steps)
    loop = Loop(program, record, rhythm, row, used, microbatches, sources, display, guard)
    loop.before = before
    loop.expect(repetition)
    try:
        if resume:
            announce(loop, loaded, changed, directory)
        interrupted = loop.run()
    finally:
        record.close()
        display.close()
    if loop.stop.is_preemption:
        raise SystemExit(loop.stop.exit_code)
    return Run(
        history=record.history,
        events=loop.events,
        metrics=loop.metrics,
        run_dir=used,
        program=program,
        interrupted=interrupted,
        _findings=record.findings(),
    )


def open_watch(
    program: Program,
    run_dir: Path | None,
    first_row: int,
    *,
    rules: Sequence[Rule] | None,
    every: int,
    name: str | None,
) -> Watch:
    """A watch on every optimizer that the program's step moves."""
    optimizers = [program.optimizer]
    if program.step_fn is not None:
        others = [o for o in program.extra.values() if isinstance(o, torch.optim.Optimizer)]
        optimizers += [other for other in others if other is not program.optimizer]
    return attach(
        program.model,
        optimizers,
        run_dir=run_dir,
        every=every,
        scaler=program.scaler,
        rules=rules,
        name=name,
        first_step=first_row,
        resume=True,  # whether a run may be there was asked before
    )


def announce(loop: Loop, loaded: Loaded | None, changed: list[str], run_dir: Path | None) -> None:
    """The run says where it goes on from, and warns of what a person would not expect."""
    if loaded is None:
        loop.add_event("resume", f"no checkpoint in {run_dir}: started from step 0")
        return
    evidence = {"checkpoint": loaded.path.name, "passed_over": list(loaded.damaged)}
    loop.add_event("resume", f"continued from {loaded.path.name}", evidence)
    if loaded.damaged:
        msg = f"newer checkpoints are damaged and were passed over: {'; '.join(loaded.damaged)}"
        warnings.warn(f"{msg}. Continued from {loaded.path.name}.", RuntimeWarning, stacklevel=3)
    if changed:
        msg = f"the optimizer goes on with the checkpoint's settings: {', '.join(changed)}"
        warnings.warn(f"{msg}. Change them after resuming.", RuntimeWarning, stacklevel=3)
