"""Update clipping: Adam's step is shortened where the gradient outgrows its second moment.

When a gradient suddenly grows, Adam's second moment still remembers the small ones, and the step
is many times as long as the learning rate says. `UpdateClip` hangs on a torch optimizer by a hook
(it stays a torch optimizer, foreach or fused, with its own `state_dict`) and gives a tensor back
the part of its step that is too long.

## Formula
Per tensor: RMS = sqrt(mean(g² / max(v, eps²))), v Adam's second moment after this step and after
bias correction; the learning rate of the step is divided by max(1, RMS / max_rms). Weight decay
is left at its full rate.

## Shape
Parameters of any shape; RMS is one number per tensor.

## Dtype
As the optimizer; complex parameters count both parts.

## Cost
One pass over gradients and second moments, on a CPU a second one only for tensors that are
shortened; no copy of the parameters, no synchronisation on a device.

## Source
Shazeer & Stern 2018 (Adafactor), section 6; Wortsman et al. 2023 (StableAdamW), algorithm 2. The
latter also divides the decay by RMS. That v is this step's own is what both papers say; at the
first step RMS is then 1.

## Helps against
`adam-beta2-too-high`, `missing-grad-clip`, `bad-batch`, `missing-warmup`
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._shards import whole


class UpdateClip:
    """Shortens the steps of an Adam or AdamW by a hook that runs after each of them.

    Hooks run in the order in which they were hung on: attach this one before anything that
    measures updates. A step that a loss scaler skips is left alone.

    Args:
        optimizer: a `torch.optim.AdamW`, or an `Adam` without coupled weight decay.
        max_rms: above zero; 1 is what an unsurprising gradient has.

    Raises:
        UsageError: `max_rms` is out of its range, or the optimizer has no second moment of the
            gradient itself.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> optimizer = torch.optim.AdamW([weight], lr=0.1, betas=(0.0, 0.999))
        >>> clip = UpdateClip(optimizer)
        >>> for size in (1.0, 100.0):
        ...     before = weight.item()
        ...     weight.grad = torch.tensor([size])
        ...     optimizer.step()
        ...     print(round(weight.item() - before, 3))
        -0.1
        -0.1
        >>> round(clip.rms[weight].item(), 2)
        1.41
        >>> clip.remove()
    """

    def __init__(self, optimizer: Optimizer, max_rms: float = 1.0) -> None:
        if not float(max_rms) > 0.0:
            msg = f"max_rms must be above zero, got {max_rms}: no step would be short enough"
            raise UsageError(f"{msg}. 1 is the size of a step that nothing surprises.")
        _check_optimizer(optimizer)
        self.max_rms = float(max_rms)
        self.rms: dict[Tensor, Tensor] = {}
        """RMS of the newest step by parameter, [] on the parameter's device."""
        self._handle = optimizer.register_step_post_hook(self._shorten)

    def remove(self) -> None:
        """The optimizer steps as it did before."""
        self._handle.remove()

    @torch.no_grad()
    def _shorten(self, optimizer: Optimizer, *_: Any) -> None:
        skipped: Tensor | None = getattr(optimizer, "found_inf", None)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = optimizer.state.get(parameter, {})
                if parameter.grad is None or "exp_avg_sq" not in state:
                    continue
                root = _second_moment_root(state, group)
                rms = _surprise(parameter.grad, root, group["eps"])
                self.rms[parameter] = rms
                _give_back(parameter, self._excess(rms, skipped), state, group, root)

    def _excess(self, rms: Tensor, skipped: Tensor | None) -> Tensor:
        """The share of the step to give back: 0 where it is short enough, or was not taken."""
        excess = torch.where(rms > self.max_rms, 1.0 - self.max_rms / rms, 0.0)
        if skipped is None:
            return excess
        return torch.where(skipped.to(rms.device).reshape(()) > 0, 0.0, excess)


def _second_moment_root(state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    """Square root of the second moment that the step divided by, bias-corrected."""
    moment = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    return _real(moment).sqrt() / _correction(group["betas"][1], state).sqrt()


def _surprise(grad: Tensor, root: Tensor, eps: float) -> Tensor:
    """RMS of the gradient over what the second moment expects, [], complete over ranks."""
    ratio = _real(grad) / root.clamp(min=eps)
    rms = ratio.square().mean().sqrt()
    return whole(rms)


def _give_back(
    parameter: Tensor, excess: Tensor, state: dict[str, Tensor], group: dict[str, Any], root: Tensor
) -> None:
    """The parameter takes back the share `excess` of the step it has just taken."""
    if excess.device.type == "cpu" and not bool(excess > 0):
        return
    step = _real(state["exp_avg"]) / (root + group["eps"])
    size = excess * group["lr"] / _correction(group["betas"][0], state)
    target = torch.view_as_real(parameter) if parameter.is_complex() else parameter
    target.add_((step * size).to(target.dtype))


def _correction(beta: Any, state: dict[str, Tensor]) -> Tensor:
    """Adam's bias correction, [], where the optimizer keeps its count of steps."""
    return 1.0 - beta ** state["step"].double()


def _real(values: Tensor) -> Tensor:
    values = torch.view_as_real(values) if values.is_complex() else values
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _check_optimizer(optimizer: Optimizer) -> None:
    is_adamw = isinstance(optimizer, AdamW)
    if not is_adamw and not isinstance(optimizer, Adam):
        msg = f"UpdateClip needs torch's Adam or AdamW, got {type(optimizer).__name__}"
        raise UsageError(f"{msg}: it compares gradients with Adam's second moment.")
    for group in optimizer.param_groups:
        if group["weight_decay"] and not is_adamw and not group.get("decoupled_weight_decay"):
            msg = f"UpdateClip with Adam needs weight_decay=0, got {group['weight_decay']}: coupled"
            raise UsageError(f"{msg} decay is in the second moment. Use AdamW.")


TECHNIQUE = technique(__name__, __doc__, exports=("UpdateClip",))
