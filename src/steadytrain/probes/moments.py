"""What an optimizer remembers and was told: Adam's second moment, eps, decay, momentum.

Stage: after the update, on sampled steps. Cost: one pass over the second moments. No
synchronisation on a device where the step counters live there too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

Measured = tuple[str, Tensor, list[int]]


def second_moments(
    optimizer: Any, params: Sequence[Tensor], sites: Sequence[int]
) -> Iterator[Measured]:
    """Adam's `second_moment_rms`, bias-corrected, and its eps over that, for every parameter.

    Args:
        optimizer: any; one without `exp_avg_sq` tells nothing.
        params: parameters on one device.
        sites: where each stands in the history.
    """
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    held = [
        (state, groups[id(param)], site)
        for param, site in zip(params, sites, strict=True)
        if (state := _state(optimizer, param)) is not None and id(param) in groups
    ]
    if not held:
        return
    moments = [state["exp_avg_sq"] for state, _, _ in held]
    foreach_norm: Any = getattr(torch, "_foreach_norm")  # noqa: B009 - private, as in torch's clip
    sums = torch.stack([norm.float() for norm in foreach_norm(moments, 1)])
    sizes = torch.tensor([float(moment.numel()) for moment in moments], device=sums.device)
    known = _known([(state, group) for state, group, _ in held], sums.device)
    rms = (sums / sizes / known).sqrt()
    eps = torch.tensor([_number(group.get("eps")) for _, group, _ in held], device=sums.device)
    places = [site for _, _, site in held]
    yield "second_moment_rms", rms, places
    yield "eps_ratio", torch.where(rms > 0, eps / rms, float("nan")), places


def _state(optimizer: Any, param: Tensor) -> dict[str, Any] | None:
    """The parameter's state, if it is Adam's and as a plain tensor."""
    state = optimizer.state.get(param)
    moment = state.get("exp_avg_sq") if isinstance(state, dict) else None
    usable = isinstance(moment, Tensor) and moment.numel() and moment.layout is torch.strided
    return state if usable and not hasattr(moment, "to_local") else None


def _known(held: Sequence[tuple[dict[str, Any], dict[str, Any]]], device: torch.device) -> Tensor:
    """The share of each second moment that is there after its steps: 1 - beta2^steps."""
    betas = [_beta2(group) for _, group in held]
    counts = [state.get("step", float("inf")) for state, _ in held]
    counters = [count.detach() for count in counts if isinstance(count, Tensor)]
    if len(counters) == len(counts):
        steps = torch.stack(counters).float().to(device, non_blocking=True)
    else:
        steps = torch.tensor([float(count) for count in counts], device=device)
    decay = torch.tensor(betas, device=device)
    return torch.where(decay < 1, 1.0 - decay**steps, 1.0).clamp(min=1e-12)


def _beta2(group: dict[str, Any]) -> float:
    """The decay of the second moment; 0, so that all of it is known, where there is none."""
    betas: Any = group.get("betas")
    usable = isinstance(betas, tuple | list) and len(cast("Sequence[Any]", betas)) >= 2
    return _number(betas[1]) if usable else 0.0


def momentum_of(group: dict[str, Any]) -> float:
    """The share of the last direction a step keeps: SGD's momentum or Adam's beta1; 0 without."""
    betas = group.get("betas")
    return _number(betas[0] if betas else group.get("momentum", 0.0))


def decay_of(optimizer: Any, group: dict[str, Any]) -> tuple[float, float]:
    """The factor of the weights added to the gradient, and that by which the rate shrinks them.

    Decoupled decay (AdamW) shrinks the weights themselves by rate times factor.
    """
    factor = _number(group.get("weight_decay", 0.0))
    decoupled = group.get("decoupled_weight_decay", type(optimizer).__name__ in _DECOUPLED)
    return (0.0, factor) if decoupled else (factor, 0.0)


_DECOUPLED = ("AdamW", "StableAdamW", "Lion", "Muon", "NAdamW", "SGDW", "AdamWScheduleFree")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


def equal_rows(params: Sequence[Tensor], sites: Sequence[int]) -> Measured | None:
    """The share of each matrix's rows that are the same as the row before them, to the bit."""
    chosen = [
        (param.detach(), site)
        for param, site in zip(params, sites, strict=True)
        if param.ndim >= 2 and param.shape[0] >= 4 and not param.is_complex()
    ]
    if not chosen:
        return None
    shares = [
        (flat[1:] == flat[:-1]).all(dim=1).float().mean()
        for flat in (param.flatten(1) for param, _ in chosen)
    ]
    return "equal_rows_fraction", torch.stack(shares), [site for _, site in chosen]
