"""Copies of a program to try things on: the user's own is only read."""

from __future__ import annotations

import copy
import random
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program, complete_optimizers


def copied(program: Program) -> Program:
    """A copy of the program; built anew by its factory and filled where it cannot be copied.

    Raises:
        ProgramError: neither is possible.
    """
    try:
        return _copied_whole(program)
    except Exception as error:  # anything may stand in a model or in `extra`
        if program.factory is None:
            msg = f"the program cannot be copied ({type(error).__name__}: {error}), expected one"
            raise ProgramError(
                f"{msg} that copy.deepcopy takes: remove what holds files, threads, hooks or "
                "results with a graph, or give a factory: Program.from_factory(make_program)."
            ) from error
    return _rebuilt(program)


def _copied_whole(program: Program) -> Program:
    """A copy in which `loss_fn` and `step_fn` have their own state too, where they are objects."""
    shared = ("batches", "validation", "metric_fn", "factory")
    memo = {id(value): value for name in shared if (value := getattr(program, name)) is not None}
    twin = object.__new__(Program)
    for option in fields(Program):
        setattr(twin, option.name, copy.deepcopy(getattr(program, option.name), memo))
    complete_optimizers(program, twin, memo)
    return twin


def _rebuilt(program: Program) -> Program:
    """What the factory builds, in the state of `program`, on its data."""
    assert program.factory is not None
    try:
        twin = program.factory(program.seed)
        twin.batches, twin.step = program.batches, program.step
        for own, other in zip(_stateful(program), _stateful(twin), strict=True):
            other.load_state_dict(own.state_dict())
    except Exception as error:  # the user's factory may raise anything
        raise ProgramError(
            f"the program cannot be copied, and its factory gave another one "
            f"({type(error).__name__}: {error}), expected the same program again: let the factory "
            "build everything anew and depend on nothing but its seed."
        ) from error
    return twin


def _stateful(program: Program) -> list[Any]:
    parts = [program.model, program.optimizer, program.scheduler, *program.extra.values()]
    return [part for part in parts if callable(getattr(part, "load_state_dict", None))]


def seed_everything(seed: int) -> None:
    """The global generators of Python, NumPy and torch begin at `seed`."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
