"""What made a value NaN or infinite: one verdict that every rule on such values repeats.

A step goes batch, modules, loss, gradients, parameters; the first of them that is not finite is the
origin and what comes after it only passes it on. What happened steps ago is blamed on that step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.history import History

REACH: Final = 64
"""Steps back that the origin is looked for."""

EXPONENT: Final = 88.0
"""Above this an exponential exceeds float32 (its logarithm is 88.7)."""

HALF: Final = 255.0
"""Above this a square exceeds float16."""

_MADE: Final = ("div-by-zero", "log-of-zero", "exp-overflow", "infeasible-target", "lr-too-high")
"""What makes numbers that are not finite of finite ones, most usual first."""

_GIVEN: Final = ("log-of-zero", "infeasible-target", "div-by-zero", "exp-overflow")
"""What makes a target infinite, or one that no output meets."""

_BAD: Final = (
    "batch_num_nonfinite",
    "act_num_nonfinite",
    "loss_num_nonfinite",
    "grad_num_nonfinite",
    "param_num_nonfinite_at_rest",
    "param_num_nonfinite",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Where values stopped being finite, and what does that."""

    origin: str
    """`batch`, `parameters`, `outside`, `module`, `before`, `loss`, `backward`, `update` or
    `nothing`."""
    step: int
    causes: tuple[str, ...]


def blame(history: History, step: int) -> Blame:
    """The verdict on what is non-finite at `step`, from the first step where anything was."""
    start = max(step - REACH, history.first_step)
    bad = np.zeros(step + 1 - start, dtype=np.bool_)
    for stat in _BAD:
        if stat in history:
            bad |= (history.between(stat, start, step + 1) > 0).any(axis=1)
    skipped = history.between("step_skipped", start, step + 1)[:, 0] == 1
    bad[:-1] &= ~skipped[:-1]  # what a loss scaler threw away left nothing behind
    first = start + int(np.argmax(bad)) if bad.any() else step
    origin, causes = _verdict(history, first)
    return Blame(origin=origin, step=first, causes=causes)


def _verdict(history: History, step: int) -> tuple[str, tuple[str, ...]]:
    if _any(history, "batch_num_nonfinite", step):
        return "batch", ("nonfinite-input", "bad-batch")
    if _any(history, "param_num_nonfinite_at_rest", step):
        return "outside", ("hardware-fault", "lr-too-high", "missing-grad-clip")
    if _any(history, "act_num_nonfinite", step):
        return _of_module(history, step)
    if _any(history, "loss_num_nonfinite", step):
        return "loss", _of_loss(history, step)
    if _any(history, "grad_num_nonfinite", step):
        return "backward", _of_backward(history, step)
    if _any(history, "param_num_nonfinite", step):
        return _of_update(history, step)
    return "nothing", ("lr-too-high", "exp-overflow", "log-of-zero")


def _any(history: History, stat: str, step: int) -> bool:
    return stat in history and bool((history.between(stat, step, step + 1) > 0).any())


def first_module(history: History, step: int) -> int | None:
    """The module in which a non-finite value was born: the innermost of the first, or None."""
    names = history.sites("act_num_nonfinite")
    counts = history.between("act_num_nonfinite", step, step + 1)[0]
    inputs = history.between("input_num_nonfinite", step, step + 1)[0]
    broken = [int(index) for index in np.flatnonzero(counts > 0)]
    if not broken:
        return None
    born = [index for index in broken if not inputs[index] > 0]
    first = born[0] if born and not _any(history, "batch_num_nonfinite", step) else broken[0]
    prefix = f"{names[first]}." if names[first] else ""
    inside = [index for index in broken if index != first and names[index].startswith(prefix)]
    inner = {names[index][:at] for index in inside for at in _dots(names[index])}
    return next((index for index in inside if names[index] not in inner), first)


def _dots(name: str) -> list[int]:
    return [at for at, sign in enumerate(name) if sign == "."]


def _of_module(history: History, step: int) -> tuple[str, tuple[str, ...]]:
    site = first_module(history, step)
    names = history.sites("act_num_nonfinite")
    if site is None:
        return "module", ("exp-overflow", "log-of-zero", "div-by-zero")
    inputs = history.between("input_num_nonfinite", step, step + 1)[0]
    largest = history.between("input_max", step, step + 1)[0]
    if _is_attention(history, names[site], step) and not largest[site] > HALF:
        return "module", ("fully-masked-row", "exp-overflow", "attention-logits-too-large")
    counts = history.between("act_num_nonfinite", step, step + 1)[0]
    nans = history.between("act_num_nan", step, step + 1)[0]
    only_nan = bool(nans[site] >= counts[site])
    outer = [inputs[at] for at, name in enumerate(names) if names[site].startswith(f"{name}.")]
    origin = "before" if inputs[site] > 0 and all(value > 0 for value in outer) else "module"
    return origin, _of_size(float(largest[site]), only_nan, _is_half(history, step))


def _of_size(largest: float, only_nan: bool, is_half: bool) -> tuple[str, ...]:
    """What turns numbers of that size into something that is not finite."""
    if is_half:
        return ("fp16-overflow", "exp-overflow", "div-by-zero")
    if largest > 1e15:
        return ("lr-too-high", "exp-overflow", "exploding-gradient")
    if largest > HALF:
        return ("fp16-overflow", "exp-overflow", "lr-too-high")
    if largest > EXPONENT:
        return ("exp-overflow", "fp16-overflow", "lr-too-high")
    if only_nan:
        return ("div-by-zero", "log-of-zero", "exp-overflow", "fully-masked-row")
    return ("log-of-zero", "div-by-zero", "exp-overflow", "fully-masked-row")


def _of_loss(history: History, step: int) -> tuple[str, ...]:
    """The model's output was finite and its loss is not."""
    largest, is_chance = _last_output(history, step)
    if is_chance:
        return ("log-of-zero", "div-by-zero", "infeasible-target")
    made_of = _of_formula(history, step, largest)
    if made_of:
        return made_of
    if largest > EXPONENT:
        return ("exp-overflow", "log-of-zero", "lr-too-high")
    if _is_half(history, step):
        return ("fp16-overflow", "exp-overflow", "log-of-zero")
    if _any(history, "loss_num_nan", step):
        return ("div-by-zero", "exp-overflow", "log-of-zero")
    return ("log-of-zero", "infeasible-target", "exp-overflow")


def _of_formula(history: History, step: int, largest: float) -> tuple[str, ...]:
    """What the operations next to the loss can do, where they were seen; empty where they were not.

    With an exponential and a logarithm, as in a softmax by hand: a sum that overflows divides infinity
    by itself, which is NaN, and a chance that underflows has an infinite logarithm. A formula with none
    of them gives an infinity only of the targets it was given.
    """
    logs, exps, quotients = (
        _first(history, f"loss_num_{kind}", step) for kind in ("logs", "exps", "quotients")
    )
    is_nan = _any(history, "loss_num_nan", step)
    if not logs >= 0:
        return ()
    if not (logs or exps or quotients):
        return () if is_nan or largest > HALF else _GIVEN
    order = ["exp-overflow"] * (exps > 0) + ["log-of-zero"] * (logs > 0)
    if logs and exps and quotients and not (is_nan or largest > EXPONENT):
        order.reverse()
    order += ["div-by-zero"] * (quotients > 0)
    if _is_half(history, step):
        order.insert(1, "fp16-overflow")
    return (*order, *(name for name in _MADE if name not in order))[:4]


def _first(history: History, stat: str, step: int) -> float:
    """The first value of a statistic of the whole run, NaN where it came later or never."""
    steps, rows = history.head(stat, 1)
    return float(rows[0, 0]) if len(steps) and steps[0] <= step else float("nan")


def _last_output(history: History, step: int) -> tuple[float, bool]:
    """The size of the last module's output when last looked at, and whether it is in 0..1."""
    known, rows = history.measured("act_max")
    rows = rows[(known <= step) & (known > step - REACH)]
    if not len(rows):
        return float("nan"), False
    at = np.flatnonzero(np.isfinite(rows[-1]))
    if not len(at):
        return float("nan"), False
    last = int(at[-1])
    mean = history.between("act_mean", step - REACH, step + 1)[:, last]
    bounded = history.between("saturated_fraction", step - REACH, step + 1)[:, last]
    is_chance = bool(np.isfinite(bounded).any() and np.nanmin(mean) > 0)
    return float(rows[-1, last]), is_chance


def _of_backward(history: History, step: int) -> tuple[str, ...]:
    """The loss was finite and its gradient is not."""
    if _is_half(history, step):
        return ("fp16-overflow", "sqrt-zero-grad", "div-by-zero")
    if (
        _first(history, "loss_num_logs", step) > 0
        and not _first(history, "loss_num_roots", step) > 0
    ):
        return ("log-of-zero", "sqrt-zero-grad", "div-by-zero")
    return ("sqrt-zero-grad", "div-by-zero", "log-of-zero")


def _of_update(history: History, step: int) -> tuple[str, tuple[str, ...]]:
    """Gradients were finite and a parameter is not: the update did it, or something else."""
    hit = history.between("param_num_nonfinite", step, step + 1)[0] > 0
    moved = history.between("update_norm", step, step + 1)[0][hit]
    before = history.between("param_norm", step - 1, step)[0][hit]
    if len(moved) and (np.isfinite(moved) & np.isfinite(before) & (moved < 1e15)).any():
        return "outside", ("hardware-fault", "lr-too-high")
    return "update", ("lr-too-high", "missing-grad-clip", "fp16-overflow")


def _is_half(history: History, step: int) -> bool:
    return bool(np.isfinite(history.between("loss_scale", step - 1, step + 1)).any())


def _is_attention(history: History, name: str, step: int) -> bool:
    """Whether attention was seen in the module or around it."""
    steps, rows = history.head("attention_entropy", 64)
    seen = np.isfinite(rows[steps <= step]).any(axis=0)
    names = history.sites("attention_entropy")
    around = {names[index] for index in np.flatnonzero(seen)}
    return any(name == one or name.startswith(f"{one}.") for one in around)
