"""The user's own program: `FILE:FACTORY` is loaded, called, and its errors shown as theirs.

This is the only place where steadytrain executes a file, and it says so when it does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from traceback import format_exception
from types import ModuleType
from typing import Any

import click

from steadytrain.cli._output import say
from steadytrain.core.errors import ProgramError, SteadytrainError, UnknownNameError
from steadytrain.core.program import Program


class UserCodeError(click.ClickException):
    """The user's own code raised; its traceback has been shown."""

    exit_code = 2


def load_program(place: str, seed: int, *, traceback: bool = True) -> Program:
    """The program that `FILE:FACTORY` builds under `seed`.

    The function is called as FACTORY(seed), or as FACTORY() where it takes nothing; the
    generators of torch, numpy and Python are seeded before.

    Args:
        place: FILE:FACTORY.
        seed: given to the function.
        traceback: whether what the user's code raises is shown with its lines.

    Raises:
        click.UsageError: `place` is not of that form, or there is no such file.
        UnknownNameError: the file has no such function.
        ProgramError: what it returned is not a Program.
        UserCodeError: the file or the function raised.
    """
    path, name = _split(place)
    say(f"steadytrain executes {path}: it is your own code, with all the rights you have.")
    with users_errors(path, traceback=traceback):
        module = _execute(path)
    factory = _factory(module, path, name)
    _seed_everything(seed)
    with users_errors(path, traceback=traceback):
        return Program.from_factory(factory, seed)


@contextlib.contextmanager
def users_errors(path: Path, *, traceback: bool = True) -> Iterator[None]:
    """What the user's code raises inside is shown from its own file on, and ends the command.

    Args:
        path: the user's file.
        traceback: whether the lines are shown; the message says the last of them otherwise.
    """
    try:
        yield
    except (SteadytrainError, click.ClickException):
        raise
    except SystemExit as error:
        msg = f"{path} ended the process (sys.exit({error.code!r})) while it was used"
        remedy = "put what runs a script below: if __name__ == '__main__':"
        raise UserCodeError(f"{msg}, expected a file that can be imported: {remedy}") from None
    except Exception as error:
        if not traceback:
            raise UserCodeError(_in_short(error, path)) from error
        say("".join(format_exception(error.with_traceback(_from_file(error, path)))))
        raise UserCodeError(f"{path} raised {type(error).__name__}, see above.") from error


def _in_short(error: Exception, path: Path) -> str:
    """What was raised and in which line of the user's file."""
    frame, line = _from_file(error, path), getattr(error, "lineno", None)
    if frame is not None and _is_own(frame, path):
        line = frame.tb_lineno
    where = f", line {line}" if line else ""
    said = f"{path}{where}, raised {type(error).__name__}: {error}"
    return f"{said}. Expected a file whose factory returns a Program; --traceback shows the lines."


def _split(place: str) -> tuple[Path, str]:
    file, _, name = place.rpartition(":")
    if not file or not name.isidentifier():
        msg = f"got {place!r}, expected FILE:FACTORY, as in train.py:make_program"
        raise click.UsageError(f"{msg}, where make_program(seed) returns a steadytrain.Program.")
    path = Path(file)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        msg = f"{file}: found {found} there, expected a Python file"
        raise click.UsageError(f"{msg}. Check the path; it is read from {Path.cwd()}.")
    return path, name


def _execute(path: Path) -> ModuleType:
    """The file as a module, imported as `python FILE` would: with its own folder on the path."""
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_{path.parent.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise click.UsageError(f"{path}: found a {path.suffix or 'nameless'} file, expected .py.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _factory(module: ModuleType, path: Path, name: str) -> Callable[[int], Program]:
    found = vars(module).get(name)
    if found is None:
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise UnknownNameError.build(f"function in {path}", name, own)
    if not callable(found):
        msg = f"{path}:{name}: found {type(found).__name__} there, expected a function"
        raise ProgramError(f"{msg}: write def {name}(seed): return steadytrain.Program(...).")
    return _takes_seed(found)


def _takes_seed(factory: Callable[..., Any]) -> Callable[[int], Program]:
    try:
        signature = inspect.signature(factory)
    except ValueError:  # some callables of C have none
        return factory
    try:
        signature.bind(0)
    except TypeError:
        return _Seedless(factory)
    return factory


class _Seedless:
    """A factory of no arguments where one of a seed is asked for."""

    def __init__(self, factory: Callable[[], Program]) -> None:
        self._factory = factory
        self.__qualname__ = getattr(factory, "__qualname__", repr(factory))

    def __call__(self, seed: int) -> Program:
        _seed_everything(seed)
        return self._factory()


def _seed_everything(seed: int) -> None:
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _from_file(error: Exception, path: Path) -> Any:
    """The part of the traceback from the user's file on, all of it where that is not in it."""
    frame = error.__traceback__
    while frame is not None and not _is_own(frame, path):
        frame = frame.tb_next
    return frame or error.__traceback__


def _is_own(frame: Any, path: Path) -> bool:
    return str(Path(frame.tb_frame.f_code.co_filename).resolve()) == str(path.resolve())
