"""A recipe's optimizer: built anew, or laid over one that is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from steadytrain.blocks._changes import Change
from steadytrain.core.errors import UsageError
from steadytrain.optim.groups import audit, parameter_groups
from steadytrain.recipes._settings import OptimizerSettings
from steadytrain.recipes._starting import sgd_rate
from steadytrain.recipes.plan import Recipe

MAX_RATIO: Final = 10.0
"""A rate this many times the published one, or more, is taken for a mistake. A decade above its
best rate no transformer of Wortsman et al. 2024, figure 1, trained without further measures."""

_CLASSES: Final = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
_ADAMS: Final = (torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam)

Group = dict[str, Any]


def build_optimizer(recipe: Recipe, model: nn.Module) -> Optimizer:
    """The recipe's optimizer over every trainable parameter of `model`, grouped by role.

    Raises:
        UsageError: nothing in `model` is trainable.
    """
    settings = recipe.optimizer
    groups = parameter_groups(model, weight_decay=settings.weight_decay, lr=settings.lr)
    for _ in _divided(model, groups, recipe.vector_ratio):
        pass
    return _CLASSES[settings.name](groups, lr=settings.lr, **settings.options)


def check_optimizer(optimizer: object) -> None:
    """Raise unless the groups of `optimizer` may be rebuilt.

    Raises:
        UsageError: it is no optimizer, or a scheduler counts on its groups as they are.
    """
    if not isinstance(optimizer, Optimizer):
        msg = f"optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}"
        raise UsageError(f"{msg}: pass the optimizer itself, or None to have one built.")
    if any("initial_lr" in group for group in optimizer.param_groups):
        raise UsageError(
            "a scheduler is already attached to the optimizer: found initial_lr in its groups. It "
            "keeps one rate per group, and the groups change: build it after stabilise, or take "
            "the one that stabilise(total_steps=...) returns."
        )


def laid_over(
    optimizer: Optimizer, model: nn.Module, recipe: Recipe
) -> tuple[list[Group], list[Change]]:
    """The groups of `optimizer` with the recipe's settings; what a person set is kept.

    A setting counts as set by a person unless it is the default of the optimizer's class. Each
    parameter keeps the options of the group it was in. Every trainable parameter of `model` is
    in one of them. Nothing is changed yet: `regroup` does that.

    Raises:
        UsageError: the optimizer cannot take what is missing.
    """
    groups = [dict(group) for group in optimizer.param_groups]
    changes = [
        *_added(optimizer, model, groups),
        *_adopted(optimizer, groups, recipe.optimizer),
        *_slowed(optimizer, groups, recipe),
        *_divided(model, groups, recipe.vector_ratio),
    ]
    return groups, changes


def regroup(optimizer: Optimizer, groups: list[Group]) -> None:
    """The same optimizer, with its state, has these groups."""
    before = list(optimizer.param_groups)
    optimizer.param_groups.clear()
    try:
        for group in groups:
            optimizer.add_param_group(group)
    except Exception:
        optimizer.param_groups[:] = before
        raise


def strangers(optimizer: Optimizer, model: nn.Module) -> Iterator[str]:
    """Advice about tensors in the optimizer that are not the model's."""
    foreign = audit(optimizer, model).foreign
    if foreign:
        yield (
            f"the optimizer holds {len(foreign)} tensors that are not the model's: kept; if they "
            "were its parameters before it was changed, build the optimizer anew"
        )


def _added(optimizer: Optimizer, model: nn.Module, groups: list[Group]) -> Iterator[Change]:
    """Puts the trainable parameters that are in no group into one like the first."""
    missing = audit(groups, model).missing
    if not missing:
        return
    if isinstance(optimizer, torch.optim.LBFGS):
        msg = f"LBFGS has one group only, and {', '.join(missing)} is not in it"
        raise UsageError(f"{msg}: build it on model.parameters().")
    own = dict(model.named_parameters(remove_duplicate=False))
    options = {key: value for key, value in groups[0].items() if key != "params"}
    names = {"param_names": list(missing)} if "param_names" in options else {}
    groups.append({**options, **names, "params": [own[name] for name in missing]})
    for name in missing:
        yield Change(path=name, what="added to the optimizer", why="it was in no group")


def _adopted(
    optimizer: Optimizer, groups: list[Group], settings: OptimizerSettings
) -> Iterator[Change]:
    """Sets what stands at its class's default to the recipe's value."""
    wanted: dict[str, Any] = {}
    if isinstance(optimizer, _ADAMS) and settings.name != "sgd":
        wanted = {"betas": settings.betas, "eps": settings.eps}
    if isinstance(optimizer, torch.optim.AdamW) and settings.name == "adamw":
        wanted["weight_decay"] = settings.weight_decay
    defaults = inspect.signature(type(optimizer).__init__).parameters
    for name, value in wanted.items():
        default = defaults[name].default if name in defaults else inspect.Parameter.empty
        followers = [group for group in groups if group.get(name) == default != value]
        for group in followers:
            group[name] = value
        if followers:
            yield Change(path="optimizer", what=f"{name} {value}", why=f"was torch's {default}")


def _slowed(optimizer: Optimizer, groups: list[Group], recipe: Recipe) -> Iterator[Change]:
    """Divides every rate alike where the largest is far beyond what was ever published."""
    published = _published_rate(optimizer, recipe)
    largest = max(float(group["lr"]) for group in groups)
    if published is None or largest < MAX_RATIO * published:
        return
    for group in groups:
        group["lr"] = group["lr"] * (published / largest)
    why = f"{largest:g} is {largest / published:.0f} times the recipe's rate"
    yield Change(path="optimizer", what=f"lr {published:.3g}", why=why)


def _published_rate(optimizer: Optimizer, recipe: Recipe) -> float | None:
    """The recipe's rate for an optimizer of this kind; None where none is known."""
    if isinstance(optimizer, torch.optim.SGD):
        same = recipe.optimizer.name == "sgd"
        return recipe.optimizer.lr if same else sgd_rate(0.1, 256, recipe.batch_size)
    if isinstance(optimizer, _ADAMS) and recipe.optimizer.name != "sgd":
        return recipe.optimizer.lr
    return None


def _divided(model: nn.Module, groups: list[Group], vector_ratio: float) -> Iterator[Change]:
    """Takes what must not be decayed, and what needs a rate of its own, out of each group."""
    sides = parameter_groups(model, weight_decay=1.0)
    spared = {id(one) for side in sides if not side["weight_decay"] for one in side["params"]}
    decaying = [group for group in groups if group.get("weight_decay")]
    for group, count in _separated(groups, decaying, lambda one: id(one) in spared):
        decay, group["weight_decay"] = group["weight_decay"], 0.0
        what = f"no weight decay for {count} tensors"
        why = f"biases, norms, scales and embeddings; {decay:g} for the others"
        yield Change(path="optimizer", what=what, why=why)
    if vector_ratio != 1.0:
        for group, count in _separated(groups, list(groups), lambda one: one.ndim < 2):
            group["lr"] = group["lr"] * vector_ratio
            what = f"{vector_ratio:g} of the rate for {count} tensors"
            yield Change(path="optimizer", what=what, why="gains and biases have no direction")


def _separated(
    groups: list[Group], sources: list[Group], chosen: Callable[[Tensor], bool]
) -> Iterator[tuple[Group, int]]:
    """The chosen tensors of each source as a group of their own, and how many they are."""
    for group in sources:
        inside = [chosen(one) for one in group["params"]]
        if all(inside):
            yield group, len(inside)
        elif any(inside):
            apart = _part(group, inside, wanted=True)
            groups.insert(next(n for n, one in enumerate(groups) if one is group) + 1, apart)
            group |= _part(group, inside, wanted=False)
            yield apart, sum(inside)


def _part(group: Group, inside: list[bool], *, wanted: bool) -> Group:
    """The group with those of its tensors that are inside, or with the others."""
    part = dict(group)
    for key in {"params", "param_names"} & set(group):
        part[key] = [one for one, is_in in zip(group[key], inside, strict=True) if is_in == wanted]
    return part
