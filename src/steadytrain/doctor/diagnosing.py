"""`diagnose`: what is wrong with a program, proven by changing one thing and running again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from steadytrain.core.diagnosis import Cause, Diagnosis, Trial
from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.core.program import Program
from steadytrain.doctor.before import known_before, said_of_source
from steadytrain.doctor.budget import TIMES_THE_RUN, Budget, check_count
from steadytrain.doctor.change import PLACEBO, RERUN, change_named
from steadytrain.doctor.evidence import Evidence, Made
from steadytrain.doctor.experiment import Experiment
from steadytrain.doctor.observing import Observation
from steadytrain.doctor.progress import make_display
from steadytrain.doctor.reading import read
from steadytrain.doctor.scene import Scene
from steadytrain.doctor.summary import summarised
from steadytrain.doctor.tape import record
from steadytrain.doctor.trials import InProcess
from steadytrain.doctor.twin import twin_of
from steadytrain.doctor.verdict import causes_of, opinions

AS_IT_IS = "as-it-is"
"""The observed run among the trials."""

CURVE = 64
"""Points of a trial's loss that are kept."""


def diagnose(
    program: Program,
    steps: int = 200,
    *,
    seed: int = 0,
    budget: int | None = None,
    seconds: float | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    preflight: bool = True,
) -> Diagnosis:
    """Why `program` does not train, with the proof: which one change makes it train.

    Copies of the program are run: as it is; with another order of the data, which tells the noise;
    then with one change at a time, those that the findings speak for first. A cause is proven when
    its change alone restores health and the placebo does not. The program itself, the random
    generators and the data are as they were afterwards, whatever happens. Two calls with one seed
    give one answer. Ctrl-C ends it with the answer so far.

    Args:
        program: left as it is.
        steps: optimizer steps of the observed run: enough for the trouble to show.
        seed: of every draw.
        budget: optimizer steps of all runs together; 12 times `steps` if None.
        seconds: wall time after which no further trial is begun; as long as it takes if None.
        executor: runs the trials, if it can take the program to its place; this process if None.
        progress: a bar on a terminal.
        preflight: whether the checks before step 0 are asked first, and lint of the source.

    Raises:
        UsageError: a number cannot mean what was given.
        ProgramError: the program cannot be copied, or its data cannot be read.

    Example:
        >>> import torch, steadytrain as st
        >>> model = torch.nn.Linear(4, 1)
        >>> inputs = torch.randn(16, 4)
        >>> program = st.Program(
        ...     model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        ...     batches=[(inputs, inputs.sum(1, keepdim=True))],
        ...     loss_fn=lambda model, batch: (model(batch[0]) - batch[1]).square().mean())
        >>> st.diagnose(program, steps=40, progress=False).healthy
        True
    """
    check_count("steps", steps)
    if not isinstance(program, Program):
        msg = f"diagnose takes a steadytrain.Program, got a {type(program).__name__}"
        raise UsageError(f"{msg}: put model, optimizer, batches and loss_fn into one.")
    _check_values(program)
    display = make_display(progress, TIMES_THE_RUN * steps if budget is None else budget)
    try:
        allowance = Budget(steps, budget, seconds, display)
        tape = record(program, steps * program.accumulate)
        before = known_before(program, seed) if preflight else None
        known = [*before.findings, *said_of_source(program)] if before else []
        workers = executor or InProcess()
        experiment = Experiment(program, tape, seed, allowance, workers, display, known)
        evidence = experiment.run()
    finally:
        display.close()
    return _diagnosis(evidence, allowance, before)


def _check_values(program: Program) -> None:
    for name, parameter in program.model.named_parameters():
        if getattr(parameter, "is_meta", False):
            msg = f"Program.model: its parameter {name!r} is on the meta device and has no values"
            raise ProgramError(
                f"{msg}, expected a model that can be run: call model.to_empty(device=...) and "
                "initialise it."
            )


def _diagnosis(evidence: Evidence, budget: Budget, before: Diagnosis | None) -> Diagnosis:
    trials = _trials(evidence)
    causes = causes_of(evidence, trials)
    return Diagnosis(
        causes=tuple(causes),
        findings=evidence.findings,
        trials=tuple(trials),
        answers=before.answers if before else (),
        summary=summarised(evidence, causes, trials),
        cost=budget.cost,
        fixer=_fixer(evidence, causes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Makes one change on a copy of a program."""

    change: str
    scene: Scene

    def __call__(self, program: Program) -> Program:
        """A new program with the change; the one given is untouched.

        Raises:
            UsageError: the change does not apply to this program.
        """
        fixed = change_named(self.change).apply(twin_of(program), self.scene)
        if fixed is None:
            text = change_named(self.change).text
            msg = f"the fix, {text}, does not apply to this program"
            raise UsageError(f"{msg}: give the program that was diagnosed, or one built alike.")
        return fixed


def _fixer(evidence: Evidence, causes: Sequence[Cause]) -> Fix | None:
    """The best change of the first cause: its proof, or what helped, or what was never tried."""
    if not causes:
        return None
    first = next((one for one in opinions(evidence) if one.suspect.name == causes[0].name), None)
    if first is None or first.proof == RERUN:
        return None
    unrefuted = (n for n in first.suspect.proofs if n not in evidence.made)
    applied = (n for n in first.suspect.proofs if n in evidence.made and evidence.made[n].judgement)
    name = first.proof or first.best or next(applied, None) or next(unrefuted, None)
    return None if name is None else Fix(change=name, scene=evidence.scene)


# the table of trials


def _trials(evidence: Evidence) -> list[Trial]:
    """Every run as plain data, the observed one first; changes that do not apply are left out."""
    made = [one for one in evidence.made.values() if one.judgement is not None]
    return [_observed(evidence), *(_trial(evidence, one) for one in made)]


def _observed(evidence: Evidence) -> Trial:
    base, reading = evidence.base, read(evidence.base)
    alarms = ", ".join(sorted(reading.alarms))
    outcome = base.error or (f"alarms: {alarms}" if alarms else "")
    if not outcome:
        state = "" if reading.is_finite else ", not finite"
        outcome = f"the loss went from {reading.head:.3g} to {reading.tail:.3g}{state}"
    return Trial(
        change="nothing, as it is",
        name=AS_IT_IS,
        healthy=not evidence.is_sick,
        outcome=outcome,
        numbers=_numbers(base),
        steps=base.steps,
        losses=_curve(base),
    )


def _trial(evidence: Evidence, made: Made) -> Trial:
    assert made.judgement is not None
    seen = made.record.observation
    assert seen is not None
    numbers = _numbers(seen) | {"merit": round(evidence.promising.get(made.name, 0.0), 4)}
    outcome = made.judgement.outcome
    if made.name == RERUN:
        known = evidence.base.losses[: len(seen.losses)]
        same = _same_bits(known, seen.losses)
        outcome = "the same bits" if same else "other numbers: the program draws from elsewhere"
        numbers |= {"identical": same, "largest_difference": _apart(known, seen.losses)}
    return Trial(
        change=_text(made.name),
        name=made.name,
        healthy=made.judgement.healthy,
        outcome=outcome,
        numbers=numbers,
        steps=seen.steps,
        losses=_curve(seen),
    )


def _text(name: str) -> str:
    texts = {PLACEBO: "another seed (placebo)", RERUN: "nothing, run again"}
    return " and ".join(texts.get(n) or change_named(n).text for n in name.split(" + "))


def _numbers(seen: Observation) -> dict[str, float | int]:
    reading = read(seen)
    found: dict[str, float | int] = {
        "first_loss": reading.head,
        "last_loss": reading.tail,
        "alarms": len(reading.alarms),
        "seconds": round(seen.seconds, 3),
    }
    return found if np.isnan(reading.metric) else found | {"metric": reading.metric}


def _curve(seen: Observation) -> tuple[float, ...]:
    losses = seen.losses
    places = np.linspace(0, len(losses) - 1, min(CURVE, len(losses))).astype(int)
    return tuple(losses[at] for at in places)


def _same_bits(one: Sequence[float], other: Sequence[float]) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    with np.errstate(all="ignore"):
        gaps = np.abs(np.asarray(one) - np.asarray(other)) if len(one) == len(other) else [np.nan]
    finite = [float(gap) for gap in gaps if np.isfinite(gap)]
    return max(finite, default=0.0)
