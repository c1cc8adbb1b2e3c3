"""What is trained: model, optimizer, data and loss as one object, without behaviour."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Final, Literal, NoReturn, cast, get_args

from steadytrain.core.errors import ProgramError
from steadytrain.core.recorded import RecordedBatches

Precision = Literal["fp32", "bf16", "fp16"]

_EMPTY: Final = object()

_SHOWN: Final = ("model", "optimizer", "scheduler", "batches", "loss_fn", "step_fn", "metric_fn")
"""Parts that are shown by what they are, not by what is in them."""


@dataclass(kw_only=True)
class Program:
    """A training program; `st.train`, the preflight and the doctor take it as it is.

    Args:
        model: a `torch.nn.Module` with at least one parameter.
        optimizer: a `torch.optim.Optimizer`.
        batches: re-iterable; one item is one microbatch. A one-shot iterator is recorded as it
            is used (up to 1 GiB), so that it can be read again.
        loss_fn: `loss_fn(model, batch)` -> scalar Tensor. Not needed with a `step_fn`.
        scheduler: stepped once per optimizer step.
        precision: `"fp32"`, `"bf16"` or `"fp16"` (autocast; fp16 with a loss scaler).
        scaler: a `torch.amp.GradScaler`; one is made for fp16 if None.
        accumulate: microbatches per optimizer step.
        clip: threshold of the gradient norm, or None.
        validation: whatever `metric_fn` reads.
        metric_fn: `metric_fn(model, validation)` -> float, higher is better.
        step_fn: `step_fn(program, batch)` -> loss: the user's own whole step (zero_grad,
            backward, clip, step, schedule).
        extra: whatever else `step_fn` needs: further optimizers, replicas, target networks.

    Raises:
        ProgramError: a field cannot mean what was given.
    """

    model: Any
    optimizer: Any
    batches: Iterable[Any]
    loss_fn: Callable[[Any, Any], Any] | None = None
    scheduler: Any = None
    precision: Precision = "fp32"
    scaler: Any = None
    accumulate: int = 1
    clip: float | None = 1.0
    validation: Any = None
    metric_fn: Callable[[Any, Any], float] | None = None
    step_fn: Callable[[Program, Any], Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    step: int = 0
    """Finished optimizer steps."""
    factory: Callable[[int], Program] | None = field(default=None, repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        self.extra = {} if cast("object", self.extra) is None else self.extra
        _check(self)
        self.accumulate, self.step = int(self.accumulate), int(self.step)
        self.clip = None if self.clip is None else float(self.clip)
        if isinstance(self.batches, Iterator):
            self.batches = RecordedBatches(self.batches)

    def __repr__(self) -> str:
        parts = {name: _name(part) for name in _SHOWN if (part := getattr(self, name)) is not None}
        parts |= {"precision": repr(self.precision), "accumulate": str(self.accumulate)}
        parts |= {"clip": str(self.clip), "step": str(self.step)}
        return f"Program({', '.join(f'{name}={text}' for name, text in parts.items())})"

    @classmethod
    def from_factory(cls, fn: Callable[[int], Program], seed: int = 0) -> Program:
        """The program that `fn(seed)` builds, able to build itself anew under another seed.

        Raises:
            ProgramError: `fn` is no function, or did not return a Program.
        """
        if not callable(cast("object", fn)):
            msg = f"Program.from_factory: got {_shown(fn)}, expected a function of a seed"
            raise ProgramError(f"{msg}: write def make(seed): return Program(...).")
        program = cast("object", fn(seed))
        if not isinstance(program, Program):
            msg = f"a program factory must return steadytrain.Program, {_name(fn)} returned"
            raise ProgramError(
                f"{msg} {type(program).__name__}: end it with 'return Program(...)'."
            )
        program.factory = fn
        program.seed = seed
        return program

    def copy(self) -> Program:
        """A copy of the whole program as one piece: references between its parts stay right.

        The data, the functions and the factory are shared; everything that training changes
        is copied.
        """
        shared = ("batches", "loss_fn", "validation", "metric_fn", "step_fn", "factory")
        memo = {id(value): value for name in shared if (value := getattr(self, name)) is not None}
        twin = object.__new__(Program)
        for option in fields(self):
            setattr(twin, option.name, copy.deepcopy(getattr(self, option.name), memo))
        complete_optimizers(self, twin, memo)
        return twin


def complete_optimizers(program: Program, twin: Program, memo: dict[int, Any]) -> None:
    """The optimizers of a copy have what torch leaves out of one: LBFGS lists its parameters."""
    pairs: list[tuple[Any, Any]] = [(program.optimizer, twin.optimizer)]
    pairs += [(part, twin.extra[name]) for name, part in program.extra.items()]
    for own, other in pairs:
        if other is own or not (hasattr(own, "param_groups") and hasattr(own, "__dict__")):
            continue
        for name, value in cast("dict[str, Any]", vars(own)).items():
            # a function would still belong to the optimizer that was copied
            if not hasattr(other, name) and not callable(value):
                setattr(other, name, copy.deepcopy(value, memo))


def _check(program: Program) -> None:
    """Raise for the first field that cannot mean what was given."""
    for check in (_check_model, _check_batches, _check_functions, _check_options):
        check(program)


def _check_model(program: Program) -> None:
    model, optimizer = program.model, program.optimizer
    if isinstance(model, type) or not callable(getattr(model, "parameters", None)):
        _fail("model", model, "a torch.nn.Module", "pass the module itself")
    if next(iter(model.parameters()), _EMPTY) is _EMPTY:
        _fail("model", model, "at least one parameter", "check that its layers are attributes")
    if not hasattr(optimizer, "param_groups") or not _has(optimizer, "step"):
        _fail("optimizer", optimizer, "a torch.optim.Optimizer", "build it on model.parameters()")
    if program.step_fn is not None:  # which alone knows what its scheduler and scaler are
        return
    if program.scheduler is not None and not _has(program.scheduler, "step"):
        _fail("scheduler", program.scheduler, "an object with step(), or None", "build it first")
    if program.scaler is not None and not _has(program.scaler, "scale", "step", "update"):
        _fail("scaler", program.scaler, "a torch.amp.GradScaler, or None", "build it first")


def _check_batches(program: Program) -> None:
    batches = cast("object", program.batches)
    if not isinstance(batches, Iterable) or isinstance(batches, str | bytes | dict):
        _fail("batches", program.batches, "an iterable of batches", "pass the DataLoader or a list")
    if isinstance(batches, Sized) and not len(batches):
        _fail("batches", program.batches, "at least one batch", "check the data set and drop_last")


def _check_functions(program: Program) -> None:
    if program.loss_fn is None and program.step_fn is None:
        _fail("loss_fn", None, "loss_fn(model, batch) -> scalar", "or give a whole step as step_fn")
    for name in ("loss_fn", "metric_fn", "step_fn"):
        value = getattr(program, name)
        if value is not None and not callable(value):
            _fail(name, value, "a function", "pass the function, not its result")


def _check_options(program: Program) -> None:
    if program.precision not in get_args(Precision):
        _fail("precision", program.precision, "'fp32', 'bf16' or 'fp16'", "choose one of them")
    if not _is_whole(program.accumulate, least=1):
        expected = "a whole number from 1 on"
        _fail("accumulate", program.accumulate, expected, "1 means no accumulation")
    if not _is_whole(program.step, least=0):
        _fail("step", program.step, "a whole number from 0 on", "it counts finished steps")
    clip = cast("object", program.clip)
    is_norm = clip is not True and isinstance(clip, Real) and 0 < float(clip) < math.inf
    if clip is not None and not is_norm:
        _fail("clip", clip, "a norm above 0, or None", "None switches clipping off")
    if not isinstance(cast("object", program.extra), dict):
        _fail("extra", program.extra, "a dict", "name what step_fn needs: {'ema': ema}")


def _is_whole(value: object, *, least: int) -> bool:
    return type(value) is not bool and isinstance(value, Integral) and int(value) >= least


def _has(part: object, *methods: str) -> bool:
    return all(callable(getattr(part, name, None)) for name in methods)


def _fail(name: str, found: object, expected: str, remedy: str) -> NoReturn:
    raise ProgramError(f"Program.{name}: got {_shown(found)}, expected {expected}: {remedy}.")


def _shown(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return repr(found) if isinstance(found, str | int | float | None) else type(found).__name__


def _name(part: object) -> str:
    """What a person calls it: a function by its name, an object by its class."""
    return getattr(part, "__qualname__", None) or type(part).__name__
