"""The plan of a diagnosis: which runs are made, in which order, and when to stop.

observe     the program as it is
again       the same steps once more: are they the same bits?
placebo     another order of the data, other draws: the noise
short       every nominated change, as short as the trouble shows
long        the best of those that restored health, for the whole length
further     other changes, the smallest first, where no nominated one suffices
pairs       two changes that each helped, where no single one suffices
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Final

from steadytrain.checks._registry import known_checks
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.program import Program
from steadytrain.doctor.budget import Budget
from steadytrain.doctor.change import PLACEBO, RERUN, change_named, known_changes
from steadytrain.doctor.choosing import (
    best_first,
    first_loss,
    has_alarmed,
    is_certain,
    is_settled,
    pairs_to_try,
    short_length,
)
from steadytrain.doctor.evidence import Evidence, Made
from steadytrain.doctor.health import Noise, judge_trial
from steadytrain.doctor.nominating import changes_to_try, suspects
from steadytrain.doctor.observing import observe
from steadytrain.doctor.progress import Display
from steadytrain.doctor.reading import read
from steadytrain.doctor.repairs import repair_of
from steadytrain.doctor.scene import Scene, optimizers_of
from steadytrain.doctor.silence import is_silent, no_progress, summed_loss
from steadytrain.doctor.suspicion import suspects_in
from steadytrain.doctor.tape import Tape
from steadytrain.doctor.trials import Job, Record, gather
from steadytrain.doctor.twin import twin_of
from steadytrain.doctor.yardstick import Yardstick

BATCH: Final = 6
"""Trials between two looks at whether the verdict is certain."""

LONG: Final = 4
"""Trials that are run for the whole length, at most."""


class Experiment:
    """Runs the plan on copies of one program.

    Args:
        program: never run itself.
        tape: its recorded microbatches.
        seed: of every draw.
        budget: steps and time.
        executor: where trials run.
        display: what a person sees.
        known: findings of the preflight and of lint.
    """

    def __init__(
        self,
        program: Program,
        tape: Tape,
        seed: int,
        budget: Budget,
        executor: Executor,
        display: Display,
        known: Sequence[Finding] = (),
    ) -> None:
        self._program = program
        self._tape = tape
        self._seed = seed
        self._budget = budget
        self._executor = executor
        self._display = display
        self._known = tuple(known)
        self._yardstick = Yardstick(program, tape.recorded)
        self._is_game = sum(1 for _ in optimizers_of(program)) > 1
        self.evidence: Evidence | None = None

    def run(self) -> Evidence:
        """What was found out; after Ctrl-C, what was found out until then.

        Raises:
            KeyboardInterrupt: it came before the observed run was over.
        """
        evidence = self.evidence = self._observe()
        try:
            if evidence.is_sick:
                self._try_all(evidence)
        except KeyboardInterrupt:
            evidence.interrupted = True
        return evidence

    # the stages

    def _observe(self) -> Evidence:
        self._display.say("the program as it is")
        copy = twin_of(self._program)
        copy.batches = self._tape
        steps = self._budget.steps
        base = observe(copy, steps, self._seed, self._yardstick, self._budget.spend)
        reading = read(base)
        silent = is_silent(base, reading)
        asked = {one.rule for one in self._known}
        own = (*no_progress(base, reading), *summed_loss(base, reading))
        said = [one for one in own if one.rule not in asked]
        findings = (*self._known, *base.findings, *said)
        scene = Scene(
            history=base.history,
            findings=findings,
            batches=self._tape.recorded,
            suspects=suspects_in(self._tape.recorded, base),
            loss_calls=base.loss_calls,
            steps=steps,
            seed=self._seed,
        )
        # of a game without a metric no trial could say that it went better
        can_improve = silent and not (self._is_game and self._program.metric_fn is None)
        loud = [one for one in self._known if one.severity >= Severity.WARNING]
        return Evidence(
            scene=scene,
            base=base,
            findings=findings,
            ranked=suspects(findings),
            is_sick=not reading.is_finite or bool(reading.alarms or loud or can_improve),
            is_silent=silent,
            is_quiet=reading.is_finite and not reading.alarms,
        )

    def _try_all(self, evidence: Evidence) -> None:
        short = short_length(evidence, self._budget.steps)
        self._make(evidence, [(RERUN,)], max(2, short // 4 if evidence.is_quiet else short))
        if not evidence.recurs:
            self._make(evidence, [(RERUN,)], self._budget.steps)
            return
        self._make(evidence, [(PLACEBO,)], short)
        for rival in _in_batches(changes_to_try(evidence.ranked)):
            self._make(evidence, [(name,) for name in rival], short)
            if is_certain(evidence, rival):
                break
        self._finish(evidence, short)
        if not evidence.restored and not evidence.is_silent:
            self._try_others(evidence, short)
        if not evidence.restored and not evidence.is_silent:
            self._try_pairs(evidence, short)
        evidence.tried_all = True

    def _try_others(self, evidence: Evidence, short: int) -> None:
        """Nobody nominated these: the smallest changes first."""
        others = sorted(known_changes().values(), key=lambda one: one.size)
        names = [one.name for one in others if one.name not in evidence.made]
        for some in _in_batches(names):
            keep = LONG * self._budget.steps  # a promising one must still be run to its end
            if not self._budget.allows(len(some) * short + keep):
                return
            self._make(evidence, [(name,) for name in some], short)
            if evidence.promising:
                self._finish(evidence, short)
            if evidence.restored:
                return

    def _try_pairs(self, evidence: Evidence, short: int) -> None:
        """Two changes that each helped without restoring."""
        self._make(evidence, pairs_to_try(evidence), short)
        self._finish(evidence, short)

    def _finish(self, evidence: Evidence, short: int) -> None:
        """The promising ones are run to the end, and the placebo with them."""
        whole = self._budget.steps
        if short >= whole or not evidence.promising:
            return
        if not has_alarmed(evidence, PLACEBO):
            self._make(evidence, [(PLACEBO,)], whole)
        ordered = best_first(evidence)
        for place, name in enumerate(ordered[:LONG]):
            if is_settled(evidence, ordered[:place], name):
                return
            self._make(evidence, [tuple(name.split(" + "))], whole)

    # one stage's work

    def _make(self, evidence: Evidence, changes: Iterable[tuple[str, ...]], steps: int) -> None:
        """The trials are made as far as the budget goes, and judged."""
        jobs: list[Job] = []
        for names in changes:
            known = evidence.made.get(" + ".join(names))
            is_known = known is not None and (known.judgement is None or known.steps >= steps)
            if not is_known and self._budget.allows((len(jobs) + 1) * steps):
                jobs.append(self._job(evidence, names, steps))
        if not jobs:
            return
        self._display.say(" · ".join(_said(job.changes) for job in jobs[:3]))
        for job, record in zip(jobs, gather(jobs, self._executor, self._budget.spend), strict=True):
            self._note(evidence, record, job.steps)

    def _job(self, evidence: Evidence, names: tuple[str, ...], steps: int) -> Job:
        is_whole = steps >= self._budget.steps
        return Job(
            changes=names,
            program=self._program,
            tape=self._tape,
            scene=evidence.scene,
            steps=steps,
            seed=self._seed,
            first_loss=first_loss(evidence),
            yardstick=self._yardstick if is_whole else None,
            asks=tuple(sorted(self._asked(evidence, names))),
        )

    def _asked(self, evidence: Evidence, names: Sequence[str]) -> frozenset[str]:
        """The failed checks that point to what one of these changes would prove."""
        loud = {one.rule for one in self._known if one.severity >= Severity.WARNING}
        own = (one for one in evidence.ranked if set(names) & set(one.proofs))
        said = {finding.rule for one in own for finding in one.findings}
        return frozenset(loud & said & known_checks().keys())

    def _note(self, evidence: Evidence, record: Record, steps: int) -> None:
        name, seen = record.job_name, record.observation
        if seen is not None and seen.stopped:
            return  # the time was over: half a run says nothing
        judgement = None
        if seen is not None:
            if name == PLACEBO:
                evidence.noise = Noise.between(evidence.base, seen, steps)
            judgement = judge_trial(
                seen,
                evidence.base,
                evidence.noise,
                steps,
                is_comparable=record.is_comparable,
                is_game=self._is_game,
                repair=repair_of(record, self._asked(evidence, record.changes)),
            )
        evidence.made[name] = Made(name=name, record=record, judgement=judgement, steps=steps)


def _in_batches(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return [names[at : at + BATCH] for at in range(0, len(names), BATCH)]


def _said(names: Sequence[str]) -> str:
    texts = {PLACEBO: "another order of the data", RERUN: "the same once more"}
    return " and ".join(texts.get(name) or change_named(name).text for name in names)
