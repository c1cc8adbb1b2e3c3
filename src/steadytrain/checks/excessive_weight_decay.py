"""Weight decay takes percents off the weights at every step.

## What it does
Computes for every parameter group the share that one step takes off its weights: rate times decay
for decoupled decay (AdamW), that over one minus momentum for SGD. Weights that a norm follows
immediately and whose gradient shows that their length does not matter are left out.

## Why it matters
One over the share is how many steps the weights remember. Below a hundred they forget faster than
they learn; norms, biases and embeddings, which the decay regularises nowhere, go first.

## Passes when
The share is below a hundredth. Usual recipes lie between 1e-6 and 1e-3.

## Fails when
It is a hundredth or more for weights whose length matters.

## What to do
Choose decay so that rate times decay is about one over the length of the run: 0.1 for AdamW at
1e-3, 5e-4 or less for SGD. Exempt norms, biases and embeddings: `parameter_groups(model)`.

## Source
Loshchilov & Hutter 2019 on decoupled decay; Wang & Aitchison 2024 on its time scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from steadytrain.checks._naming import listed, number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.optim._roles import held_by

_SPARED = ("norm", "bias", "scalar", "scale", "embedding")
_DECOUPLED = ("adamw", "lion", "adan", "lamb", "sophia", "muon", "prodigy", "schedulefree")


@check(
    code="OPT255",
    causes=("weight-decay-too-high", "weight-decay-misapplied"),
    stage="optimizer",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ExcessiveWeightDecay:
    """Options of the check."""

    max_share: float = 0.01
    """What a step may take off a weight: a memory of a hundred steps."""

    def judge(self, scene: Scene, /) -> Answer:
        shares = dict(_shares(scene))
        if not shares:
            return not_applicable(self, "no group with a decay whose effect is known beforehand")
        most = max(shares.values())
        seen = f"a step takes {number(100 * most)}% off the weights"
        large = [name for name, share in shares.items() if not share < self.max_share]
        if large and (large := _whose_length_matters(scene, large)):
            return self._failed(scene, seen, most, large)
        return passed(self, seen, most)

    def _failed(self, scene: Scene, seen: str, most: float, large: list[str]) -> Answer:
        roles = {name: one.role for one in held_by(scene.model).values() for name in one.names}
        spared = [name for name in large if roles.get(name) in _SPARED]
        only_spared = len(spared) == len(large)
        causes = ("weight-decay-too-high", "weight-decay-misapplied")
        return failed(
            self,
            seen,
            most,
            findings=[
                finding(
                    self,
                    f"Decay takes {number(100 * most)}% off {listed(large)} at every step: they "
                    f"remember {number(1 / most)} steps. Lower the decay to about one over rate "
                    "times the number of steps, and exempt norms, biases and embeddings.",
                    site=spared[0] if only_spared else None,
                    causes=causes[::-1] if only_spared else causes,
                    evidence={"share": most, "parameters": large[:8], "spared_roles": spared[:8]},
                )
            ],
        )


def _shares(scene: Scene) -> Iterator[tuple[str, float]]:
    """What one step takes off each decayed parameter, by name."""
    names = {id(parameter): name for name, parameter in scene.parameters.items()}
    for optimizer in scene.optimizers.values():
        for group in optimizer.param_groups:
            share = _share(optimizer, group)
            for parameter in group["params"] if share else ():
                if id(parameter) in names and parameter.requires_grad:
                    yield names[id(parameter)], share


def _share(optimizer: Any, group: dict[str, Any]) -> float:
    decay = float(group.get("weight_decay", 0.0) or 0.0)
    rate = float(group.get("initial_lr", group.get("lr", 0.0)))
    kind = type(optimizer).__name__.lower()
    if group.get("decoupled_weight_decay") is True or any(word in kind for word in _DECOUPLED):
        return rate * decay
    if kind in ("sgd", "asgd"):
        return rate * decay / max(1e-6, 1.0 - float(group.get("momentum", 0.0)))
    return 0.0


def _whose_length_matters(scene: Scene, names: list[str]) -> list[str]:
    """Without the weights that a norm follows, whose gradient is at right angles to them."""
    followed = _before_a_norm(scene)
    suspects = [name for name in names if name.rpartition(".")[0] in followed]
    if not suspects:
        return names
    free = _at_right_angles(scene, suspects)
    return [name for name in names if name not in free]


def _before_a_norm(scene: Scene) -> set[str]:
    try:
        leaves = [module for module in scene.first.modules if module.is_leaf]
    except Unseen:
        return set()
    return {one.path for one, after in pairwise(leaves) if "Norm" in after.kind}


def _at_right_angles(scene: Scene, names: list[str]) -> set[str]:
    """Scaling a weight leaves the loss as it is exactly where gradient and weight are orthogonal."""
    with scene.trial() as trial:
        loss = trial.loss(scene.batch())
        own = {name: one for name, one in trial.model.named_parameters() if name in set(names)}
        gradients = torch.autograd.grad(loss, list(own.values()), allow_unused=True)
        pairs = zip(own.items(), gradients, strict=True)
        return {name for (name, weight), gradient in pairs if _cosine(weight, gradient) < 1e-2}


def _cosine(weight: Tensor, gradient: Tensor | None) -> float:
    if gradient is None:
        return 1.0
    one, other = weight.detach().flatten().float(), gradient.flatten().float()
    return float((one @ other).abs() / (one.norm() * other.norm()).clamp_min(1e-30))
