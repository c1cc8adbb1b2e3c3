"""An optimizer's memory: forgotten after a rollback, and checked against epsilon and old spikes.

After a rollback the moments are those of steps that no longer happened. And one finite gradient
of 1e30 makes Adam's second moment infinite: from then on that tensor never moves, with no NaN
anywhere and a loss that looks healthy.

## Formula

With v^ the bias-corrected second moment and m^ the first: rms = sqrt(mean v^), update =
sqrt(mean (m^ / (sqrt v^ + eps))^2). *nonfinite*: a moment is not finite. *unused*: v^ is zero
everywhere. *eps*: rms <= 10 eps, so steps shrink by a tenth or more. *stale*: update < 0.01,
where noise alone gives sqrt((1 - beta1) / (1 + beta1)) = 0.23.

## Shape

Any; complex, sparse and frozen parameters too, as far as they have moments.

## Dtype

Computed in float32 at least.

## Cost

The check: a few passes over the moments and one synchronisation. The reset: one write, in place
where the state is known, so that captured graphs stay valid.

## Source

Epsilon against the gradient: Wortsman et al. 2024 (Small-scale proxies). Resetting
moments at a spike: Huang et al. 2025 (SPAM). The margins of 10 and 0.01 follow from the formula.

## Helps against

`adam-eps`, `adam-beta2-too-high`, `missing-grad-clip`
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim import Optimizer

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._moment_audit import Moment, MomentAudit, check_moments

_ZERO_AT_FIRST: Final = frozenset(
    {
        "acc_delta", "col_var", "exp_avg", "exp_avg_diff", "exp_avg_sq", "exp_inf", "grad_avg",
        "kahan_comp", "max_exp_avg_sq", "momentum_buffer", "row_var", "square_avg", "step", "variance",
    }
)  # fmt: skip
"""State of torch's optimizers (and of optimi's) that is zero before the first step."""


def reset_moments(optimizer: Optimizer, parameters: Iterable[Tensor] | None = None) -> int:
    """The optimizer has forgotten its steps: its next one is like its first.

    The step count goes with the moments: fresh moments under an old count would make the first
    step of Adam three times too long. Rates, groups and weights stay. State that is not known to
    begin at zero is dropped, and made anew by the optimizer's next step.

    Args:
        optimizer: any torch optimizer.
        parameters: which of its parameters; all if None.

    Returns:
        How many parameters had something to forget.

    Raises:
        UsageError: a parameter is not the optimizer's, or there is none.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.AdamW([weight])
        >>> weight.grad = torch.ones(2)
        >>> optimizer.step()
        >>> reset_moments(optimizer)
        1
        >>> optimizer.state[weight]["exp_avg_sq"]
        tensor([0., 0.])
    """
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    held = [p for group in optimizer.param_groups for p in group["params"]]
    chosen = held if parameters is None else list(parameters)
    foreign = [place for place, one in enumerate(chosen) if id(one) not in groups]
    if foreign or not chosen:
        what = f"place {foreign[0]} holds none of its parameters" if foreign else "it is empty"
        msg = f"reset_moments(parameters): {what}, expected parameters of the optimizer"
        raise UsageError(f"{msg}; a generator that was read before is empty. None means all.")
    known = [one for one in chosen if optimizer.state.get(one)]
    with torch.no_grad():
        for one in known:
            _forget(optimizer, one, groups[id(one)])
        if {id(one) for one in chosen} == groups.keys():
            _restart_counts(optimizer)
    return len(known)


def _forget(optimizer: Optimizer, parameter: Tensor, group: dict[str, Any]) -> None:
    state = optimizer.state[parameter]
    first = {"sum": group.get("initial_accumulator_value", 0.0)}  # Adagrad makes it once only
    if state.keys() <= _ZERO_AT_FIRST | first.keys() and all(map(_is_plain, state.values())):
        for name, value in state.items():
            if isinstance(value, Tensor):
                value.fill_(first.get(name, 0))
            elif value is not None:
                state[name] = type(value)(0)
    else:
        del optimizer.state[parameter]


def _is_plain(value: object) -> bool:
    """Whether it can be overwritten; a quantised tensor of some library may not be."""
    plain = type(value) in (Tensor, torch.nn.Parameter) or hasattr(value, "full_tensor")
    return plain or value is None or isinstance(value, int | float)


def _restart_counts(optimizer: Optimizer) -> None:
    """Some optimizers (optimi's) count steps by group."""
    for group in optimizer.param_groups:
        if isinstance(group.get("step"), Tensor):
            group["step"].zero_()


TECHNIQUE = technique(__name__, __doc__, exports=("MomentAudit", "check_moments", "reset_moments"))

__all__ = ["TECHNIQUE", "Moment", "MomentAudit", "check_moments", "reset_moments"]
