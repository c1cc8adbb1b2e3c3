"""How far an Adam-like optimizer's steps are set by its gradients, and not by epsilon or the past."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Verdict = Literal["ok", "nonfinite", "unused", "eps", "stale"]

_EPS_MARGIN: Final = 10.0
_MIN_UPDATE: Final = 0.01

_MEANINGS: Final[dict[Verdict, str]] = {
    "nonfinite": "never moves again: reset_moments, and clip",
    "unused": "has had no gradient",
    "eps": "epsilon shortens the steps: lower it",
    "stale": "an old spike shortens the steps: reset_moments, or lower beta2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One parameter's moments, as three numbers and a verdict."""

    name: str
    rms: float
    """Root mean square of the bias-corrected second moment's root: the gradient's scale."""
    eps: float
    update: float
    """Root mean square of the step in units of the learning rate."""
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentAudit:
    """Every parameter with moments; prints those that are not well.

    Example:
        >>> print(MomentAudit(rows=()))
        0 parameters with moments, all of them ok
    """

    rows: tuple[Moment, ...]

    @property
    def problems(self) -> tuple[Moment, ...]:
        """The rows whose verdict is not "ok"."""
        return tuple(row for row in self.rows if row.verdict != "ok")

    def __str__(self) -> str:
        """A count, and a line for every parameter whose steps are not set by its gradients."""
        bad = self.problems
        rest = "all of them ok" if not bad else f"{len(bad)} of them not:"
        lines = [
            f"{row.name}: {row.verdict}, {_MEANINGS[row.verdict]} "
            f"(rms {row.rms:.2g}, eps {row.eps:.2g}, update {row.update:.2g})"
            for row in bad
        ]
        return "\n".join([f"{len(self.rows)} parameters with moments, {rest}", *lines])


def check_moments(optimizer: Optimizer, model: nn.Module | None = None) -> MomentAudit:
    """Says which parameters move as their gradients want, and what stops the others.

    Args:
        optimizer: one with first and second moments (`exp_avg`, `exp_avg_sq`); parameters without
            them have no row.
        model: whose names the parameters get; their places in the groups if None.

    Example:
        >>> weight = nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.AdamW([weight])
        >>> weight.grad = torch.full((2,), 1e30)
        >>> optimizer.step()
        >>> check_moments(optimizer).rows[0].verdict
        'nonfinite'
    """
    names = {} if model is None else {id(p): name for name, p in model.named_parameters()}
    found = list(_held(optimizer, names))
    if not found:
        return MomentAudit(rows=())
    measured = torch.stack([_measured(*rest) for _, *rest in found]).tolist()
    return MomentAudit(
        rows=tuple(
            _judged(name, float(group["eps"]), *numbers)
            for (name, _, group), numbers in zip(found, measured, strict=True)
        )
    )


def _held(
    optimizer: Optimizer, names: dict[int, str]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for index, group in enumerate(optimizer.param_groups):
        for place, parameter in enumerate(group["params"]):
            state = optimizer.state.get(parameter, {})
            if "exp_avg" in state and "exp_avg_sq" in state and "eps" in group:
                name = names.get(id(parameter), f"group {index}, parameter {place}")
                yield name, state, group


def _measured(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """Mean of v^, mean square of the update, and whether all is finite; on the host's side last."""
    step = float(state.get("step", group.get("step", 1.0)))
    beta1, beta2 = (float(beta) for beta in group["betas"])
    first = _wide(state["exp_avg"]) / max(1.0 - beta1**step, 1e-30)
    second = state.get("max_exp_avg_sq", state["exp_avg_sq"])
    second = _wide(second).abs() / max(1.0 - beta2**step, 1e-30)
    update = first / (second.sqrt() + float(group["eps"]))
    finite = torch.isfinite(first).all() & torch.isfinite(second).all()
    means = (_whole(second.mean()), _whole(update.abs().square().mean()), _whole(finite))
    return torch.stack([mean.detach().to("cpu", torch.float64) for mean in means])


def _judged(name: str, eps: float, mean: float, square: float, finite: float) -> Moment:
    rms, update = math.sqrt(mean), math.sqrt(square)
    verdict: Verdict = "ok"
    if not finite:
        verdict = "nonfinite"
    elif rms == 0:
        verdict = "unused"
    elif not rms > _EPS_MARGIN * eps:
        verdict = "eps"
    elif not update >= _MIN_UPDATE:
        verdict = "stale"
    return Moment(name=name, rms=rms, eps=eps, update=update, verdict=verdict)


def _wide(value: Tensor) -> Tensor:
    small = value.is_floating_point() and value.dtype.itemsize < 4
    return value.detach().float() if small else value.detach()


def _whole(value: Any) -> Tensor:
    """A DTensor's value over all shards."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value
