"""Parameter groups by module type and role: weight decay reaches weights and nothing else.

Decay pulls a norm's scale, a bias or a temperature towards zero, which changes what the network
computes and regularises nothing. Names are not asked: `abnormal_head` is no norm.

## Formula

A parameter is decayed if and only if its role is *weight*: `weight` of a linear, bilinear or
convolutional module whatever its shape, `weight_*` of a recurrent one, the projections of
`MultiheadAttention`, and any tensor with two or more sizes above 1 of a module of your own.
Not decayed: norms by type, biases, scalars and vectors of any form ([C], [1, C, 1, 1]), tensors
[1, ...] of your own that are broadcast over the batch (position embeddings), what a module
names in `no_weight_decay()`, and embeddings, unless `decay_embeddings`. A tied tensor is decided
once: an embedding that is also the head is an embedding. A parametrised tensor has the role of
what is computed from it.

## Shape

Any; frozen, complex, tied, sparse and empty parameters too. An embedding with sparse gradients is
never decayed: optimizers refuse to. Call it before FSDP1 flattens the parameters.

## Dtype

Any.

## Cost

One walk over the modules, when training is set up.

## Source

The roles: Loshchilov & Hutter 2019 leave the question open; exempting biases and norms: Jia
et al. 2018; He et al. 2019 (Bag of Tricks), section 3.1. Asserting that every parameter
is in exactly one group: OLMo (Groeneveld et al. 2024).

## Helps against

`weight-decay-misapplied`, `params-not-in-optimizer`, `weight-decay-too-high`
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique
from steadytrain.optim._group_audit import GroupAudit, audit
from steadytrain.optim._roles import Held, held_by

Selector = nn.Module | type[nn.Module] | Tensor
"""A module with all below it, all modules of a type, or one parameter."""


def parameter_groups(
    model: nn.Module,
    *,
    weight_decay: float,
    lr: float | None = None,
    decay_embeddings: bool = False,
    always_decay: Iterable[Selector] = (),
    never_decay: Iterable[Selector] = (),
) -> list[dict[str, Any]]:
    """The trainable parameters of `model`, each exactly once, in one or two groups.

    The groups are named `"decay"` and `"no_decay"`; one that would be empty is left out.

    Args:
        model: the model; not its parameters, whose modules' types are read.
        weight_decay: of the group that is decayed.
        lr: the rate of both groups; the optimizer's own if None.
        decay_embeddings: also decay embeddings and tensors broadcast over the batch.
        always_decay: modules, types or parameters to decay whatever their role.
        never_decay: the reverse.

    Returns:
        Groups for any torch optimizer.

    Raises:
        UsageError: nothing is trainable, a number is out of range, or a selector matches
            nothing or stands on both sides.

    Example:
        >>> model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4))
        >>> groups = parameter_groups(model, weight_decay=0.1, lr=1e-3)
        >>> print(audit(groups, model))
        group         decay     lr  role       tensors  elements  first
        0 (decay)       0.1  0.001  weight           1        16  1.weight
        1 (no_decay)      0  0.001  embedding        1        36  0.weight
        1 (no_decay)      0  0.001  bias             1         4  1.bias
        1 (no_decay)      0  0.001  norm             2         8  2.weight
    """
    _check_model(model)
    _check_number("weight_decay", weight_decay, zero_allowed=True)
    if lr is not None:
        _check_number("lr", lr, zero_allowed=False)
    held = held_by(model)
    always, never = (_selected(model, side) for side in (always_decay, never_decay))
    if always & never:
        names = ", ".join(held[one].names[0] for one in held if one in always & never)
        msg = f"always_decay and never_decay both select {names}"
        raise UsageError(f"{msg}: leave each on one side only.")
    sides: dict[str, list[Tensor]] = {"decay": [], "no_decay": []}
    for key, one in held.items():
        if one.parameter.requires_grad:
            decays = key in always or (key not in never and _decays(one, decay_embeddings))
            sides["decay" if decays else "no_decay"].append(one.parameter)
    return _checked(model, sides, weight_decay, {} if lr is None else {"lr": lr})


def _decays(one: Held, decay_embeddings: bool) -> bool:
    if one.role in ("embedding", "broadcast"):
        return decay_embeddings and not one.is_sparse
    return one.role == "weight"


def _checked(
    model: nn.Module, sides: dict[str, list[Tensor]], decay: float, options: dict[str, float]
) -> list[dict[str, Any]]:
    """The groups, after making sure that they hold every trainable parameter once."""
    groups = [
        {"params": params, "weight_decay": decay if name == "decay" else 0.0, "name": name}
        for name, params in sides.items()
        if params
    ]
    groups = [group | options for group in groups]
    if not groups:
        msg = f"{type(model).__name__} has no trainable parameter: nothing to put into groups"
        raise UsageError(f"{msg}. Check requires_grad, and that its layers are attributes.")
    problems = audit(groups, model).problems
    if problems:
        msg = f"the groups do not hold every trainable parameter once: {'; '.join(problems)}"
        raise UsageError(f"{msg}. Does a module override named_parameters?")
    return groups


def _selected(model: nn.Module, selectors: Iterable[Selector]) -> set[int]:
    """The ids of the parameters that are meant."""
    ids: set[int] = set()
    own = {id(parameter) for parameter in model.parameters()}
    for selector in selectors:
        meant = {id(parameter) for parameter in _meant(model, selector)}
        if not meant & own:
            shown = selector.__name__ if isinstance(selector, type) else type(selector).__name__
            msg = f"a selector of type {shown} matches no parameter of {type(model).__name__}"
            raise UsageError(f"{msg}: pass a module, a module type or a parameter of this model.")
        ids |= meant
    return ids


def _meant(model: nn.Module, selector: object) -> Iterable[Tensor]:
    if isinstance(selector, Tensor):
        return [selector]
    if isinstance(selector, nn.Module):
        return selector.parameters()
    if not isinstance(selector, type):
        return []
    kin = [module for module in model.modules() if isinstance(module, selector)]
    return [parameter for module in kin for parameter in module.parameters()]


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        msg = f"parameter_groups(model): got {type(model).__name__}, expected a torch.nn.Module"
        raise UsageError(f"{msg}: pass the model, not model.parameters(); it reads module types.")


def _check_number(name: str, value: float, *, zero_allowed: bool) -> None:
    fits = 0.0 <= value < math.inf if zero_allowed else 0.0 < value < math.inf
    if not fits:
        limit = "from 0 on" if zero_allowed else "above 0"
        msg = f"{name} must be a finite number {limit}, got {value}"
        raise UsageError(f"{msg}: 0.1 and 3e-4 are usual for weight_decay and lr with AdamW.")


TECHNIQUE = technique(__name__, __doc__, exports=("audit", "parameter_groups"))

__all__ = ["TECHNIQUE", "GroupAudit", "audit", "parameter_groups"]
