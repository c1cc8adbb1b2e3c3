"""All checks on one program, and the diagnosis they make; the program stays as it was."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch

from steadytrain.checks._registry import make_checks
from steadytrain.checks._scene import Scene
from steadytrain.checks._untouched import untouched
from steadytrain.core.answer import Answer
from steadytrain.core.causes import CAUSES
from steadytrain.core.check import Check, Unseen, at_step, finding, info_of, not_applicable
from steadytrain.core.diagnosis import Cause, Diagnosis
from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.program import Program
from steadytrain.core.ranking import rank

Report = Callable[[int, int, str], None]
"""Told how many checks are done, of how many, and which comes next."""

BROKEN_CHECK: Final = "broken-check"


def preflight(
    program: Program,
    *,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] | None = None,
    quick: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: bool | Report = True,
    seed: int = 0,
) -> Diagnosis:
    """Says what is wrong with a program before its first step; the program is left as it was.

    Model, optimizer, buffers, modes, random generators and the place in the data are the same
    bits afterwards: the checks look at copies.

    Args:
        program: what is going to be trained.
        select: names, codes, families or stages of the checks to run; all if None.
        ignore: the same, to leave out.
        quick: leave out the checks that train a copy.
        options: option values by the check's name; `steadytrain explain NAME` has them.
        progress: a bar in the terminal; False for silence, or a function that is told.
        seed: what the random generators of every trial begin at.

    Raises:
        ProgramError: the program cannot be looked at: it has no data, no values or no copy.
        UnknownNameError: there is no check of a name that was given.
        ConfigError: a check has no such option, or refuses its value.

    Example:
        >>> import torch
        >>> import steadytrain as st
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=-1))
        >>> batches = [(torch.randn(32, 4), torch.arange(32) % 3) for _ in range(4)]
        >>> program = st.Program(
        ...     model=model,
        ...     optimizer=torch.optim.Adam(model.parameters()),
        ...     batches=batches,
        ...     loss_fn=lambda m, b: torch.nn.functional.cross_entropy(m(b[0]), b[1]),
        ... )
        >>> diagnosis = st.preflight(program, quick=True, progress=False)
        >>> diagnosis.causes[0].name
        'double-softmax'
    """
    _check_request(program, seed)
    checks = make_checks(select, ignore, options)
    with untouched(program), _shown(progress) as report:
        scene = Scene(program, quick=quick, seed=seed)
        try:
            scene.batch()
            with scene.trial():
                pass  # a program that cannot be copied ends here, not in every check
            answers = list(_ask(checks, scene, report))
        finally:
            scene.close()
    return diagnosis_of(answers)


def diagnosis_of(answers: Sequence[Answer]) -> Diagnosis:
    """The answers with the causes their findings speak for, best first."""
    findings = tuple(one for answer in answers for one in answer.findings)
    serious = [one for one in findings if one.severity >= Severity.WARNING]
    causes = tuple(_cause(name, share, serious) for name, share in rank(serious))
    return Diagnosis(
        causes=causes, findings=findings, answers=tuple(answers), summary=_summary(answers, causes)
    )


def _cause(name: str, share: float, findings: Iterable[Finding]) -> Cause:
    speaking = tuple(one for one in findings if name in one.causes)
    known = CAUSES.get(name)
    return Cause(
        name=name,
        code="" if known is None else known.code,
        site=next((one.site for one in speaking if one.site is not None), None),
        step=min(one.step for one in speaking),
        confidence=share,
        findings=speaking,
        explanation="" if known is None else known.meaning,
    )


def _summary(answers: Sequence[Answer], causes: Sequence[Cause]) -> str:
    failed = [answer for answer in answers if answer.verdict == "failed"]
    passed = sum(answer.verdict == "passed" for answer in answers)
    counts = f"{passed} of {len(answers)} checks passed, {len(failed)} failed"
    if not failed:
        return f"Nothing to change was found: {counts}."
    best = f" The best explanation is {causes[0].name}." if causes else ""
    return f"{counts}: {', '.join(answer.check for answer in failed)}.{best}"


def _ask(checks: Sequence[Check], scene: Scene, report: Report) -> Iterator[Answer]:
    for index, one in enumerate(checks):
        name = info_of(one).name
        report(index, len(checks), name)
        yield answer_of(one, scene)
    report(len(checks), len(checks), "done")


def answer_of(asked: Check, scene: Scene) -> Answer:
    """What the check says; one that raises is muted here, says so, and the others go on."""
    start = time.perf_counter()
    info = info_of(asked)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if scene.quick and info.slow:
                answer = not_applicable(asked, "left out by quick: it trains a copy")
            else:
                answer = asked.judge(scene)
    except Unseen as reason:
        answer = not_applicable(asked, str(reason))
    except ProgramError:  # the data or the copy cannot be had: no check could say more
        raise
    except Exception as error:  # the one boundary: a check must not end the preflight
        answer = _broken(asked, error)
    return at_step(answer, scene.program.step, time.perf_counter() - start)


def _broken(asked: Check, error: Exception) -> Answer:
    info = info_of(asked)
    said = f"{type(error).__name__}: {error}"
    note = finding(
        asked,
        f"The check {info.name!r} raised {said}. It is left out; the other checks go on.",
        severity=Severity.NOTE,
        causes=("unknown",),
        evidence={"muted_check": info.name},
    )
    answer = not_applicable(asked, f"the check itself raised {said}")
    return Answer(
        check=answer.check,
        code=answer.code,
        stage=answer.stage,
        verdict=answer.verdict,
        seen=answer.seen,
        findings=(note,),
    )


def _check_request(program: object, seed: object) -> None:
    if not isinstance(program, Program):
        msg = f"preflight(program): got {type(program).__name__}, expected steadytrain.Program"
        raise UsageError(f"{msg}: put model, optimizer, batches and loss_fn into one.")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError(f"preflight(seed): got {seed!r}, expected a whole number from 0 on.")
    for name, parameter in program.model.named_parameters():
        if isinstance(parameter, torch.Tensor) and parameter.is_meta:
            raise ProgramError(
                f"Program.model: its parameter {name!r} is on the meta device and has no values, "
                "expected a model that can be run: call model.to_empty(device=...) and initialise it."
            )


@contextmanager
def _shown(progress: bool | Report) -> Iterator[Report]:
    """Inside the block, the function given shows how far the checks are."""
    if callable(progress):
        yield progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not progress or not console.is_terminal:
        yield lambda *_: None
        return
    texts = (TextColumn("preflight"), TextColumn("{task.fields[what]}", markup=False))
    columns: Any = (texts[0], BarColumn(), MofNCompleteColumn(), texts[1])
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("preflight", total=None, what="")
        yield lambda done, total, what: bar.update(task, completed=done, total=total, what=what)
