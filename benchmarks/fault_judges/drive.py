"""One program of the fault lab under one tool, and what the tool said of it."""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

import steadytrain as st
from benchmarks.fault_judges.judge import Judge
from steadytrain.core.program import Program
from steadytrain.lab.zoo.running import program_of
from steadytrain.lab.zoo.scoring import Job, Outcome, Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a tool said of one run."""

    outcome: Outcome
    ranked: tuple[str, ...]
    broke: str
    """What the tool itself raised, apart from its verdict; empty if nothing."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        own = data["outcome"]
        said = tuple(Said(**{**one, "causes": tuple(one["causes"])}) for one in own["said"])
        outcome = Outcome(**{**own, "job": Job(**own["job"]), "said": said})
        return cls(outcome=outcome, ranked=tuple(data["ranked"]), broke=data["broke"])


def run(job: Job, judge: type[Judge]) -> Verdict:
    """The run of `job` under the tool; a run that the tool ends is as long as it lasted."""
    program, steps = program_of(job)
    torch.manual_seed(job.seed)
    began = time.perf_counter()
    broke, said, ranked, tool = "", [], [], None
    with silence():
        try:
            tool = judge(program)
            broke, ended = _train(program, steps, tool)
            said = [*ended, *tool.said()]
            ranked = tool.ranked(said)
        except Exception as error:  # a tool that breaks is a result of the comparison
            broke = broke or f"{type(error).__name__}: {error}"
        finally:
            if tool is not None:
                with contextlib.suppress(Exception):  # what it leaves behind dies with the program
                    tool.close()
            torch.autograd.set_detect_anomaly(False)
    outcome = Outcome(
        job=job,
        steps=steps,
        seconds=time.perf_counter() - began,
        watch_seconds=0.0,
        said=tuple(said),
    )
    return Verdict(outcome=outcome, ranked=tuple(ranked), broke=broke[:200])


def _train(program: Program, steps: int, tool: Judge) -> tuple[str, list[Said]]:
    """What broke, and what the tool said by ending the run."""
    _tell(program, tool)
    try:
        st.train(program, steps=steps, watch=False, progress=False)
    except Exception as error:  # most tools speak by an exception, some break
        said = tool.raised(error)
        return ("", [said]) if said else (f"{type(error).__name__}: {error}", [])
    return "", []


def _tell(program: Program, tool: Judge) -> None:
    """The tool is told of every update by the optimizer's own hooks, with the newest loss."""
    newest = [float("nan")]

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            loss = call(*args)
            newest[0] = float(loss.detach())
            return loss

        return noted

    def before(*_: object) -> None:
        tool.before_update(newest[0])

    def after(*_: object) -> None:
        tool.after_update(newest[0])
        tool.step += 1

    if program.loss_fn is not None:
        program.loss_fn = noting(program.loss_fn)
    if program.step_fn is not None:
        program.step_fn = noting(program.step_fn)
    program.optimizer.register_step_pre_hook(before)
    program.optimizer.register_step_post_hook(after)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What the tools print is not the comparison's."""
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
