"""The terms that a loss is the sum of, and the gradient that each one brings by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from steadytrain.checks._functions import LOSSES
from steadytrain.checks._scene import Scene
from steadytrain.core.check import Unseen

MOST: Final = 6
"""Terms up to which each is looked at; more are a sum over something else."""

_SUMS: Final = ("AddBackward", "SubBackward")
_SCALES: Final = ("MulBackward", "DivBackward", "NegBackward", "ToCopyBackward", "ViewBackward")
_DEEP: Final = 8
"""Nodes within a term among which its loss function is looked for."""

_LOSS_FUNCTIONS: Final = {
    getattr(functional, name): name for name in LOSSES if hasattr(functional, name)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One of the terms."""

    name: str
    """The loss function, or the operation that it ends with."""
    is_of_targets: bool
    """Whether it is one of torch's losses, which compare outputs with targets."""
    norm: float
    """L2 norm over all parameters of its own part of the gradient."""


def terms_of(scene: Scene) -> list[Term]:
    """The terms of the program's loss on its first batch, each with its gradient.

    Raises:
        Unseen: the loss is no sum of a few terms, or cannot be computed.
    """
    scene.first  # noqa: B018 - a step that raises is said by first-step
    with scene.trial() as trial:
        with _LossNodes() as named:
            loss = trial.loss(scene.batch())
        nodes = list(dict.fromkeys(_addends(loss.grad_fn)))
        if not 2 <= len(nodes) <= MOST:
            raise Unseen(f"the loss is no sum of a few terms ({len(nodes)})")
        wanted = [p for p in trial.model.parameters() if p.requires_grad]
        return [
            Term(
                name=_name(node, named.found),
                is_of_targets=_named(node, named.found) is not None,
                norm=_norm(loss, nodes, node, wanted),
            )
            for node in nodes
        ]


class _LossNodes(TorchFunctionMode):
    """Remembers the graph nodes that torch's loss functions end with."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[Any, str] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = _LOSS_FUNCTIONS.get(func) if callable(func) else None
        if name is not None and isinstance(result, Tensor) and result.grad_fn is not None:
            self.found.setdefault(result.grad_fn, name)
        return result


def _addends(node: Any) -> Iterator[Any]:
    """The nodes at which the sums end, through factors and signs."""
    above = [one for one, _ in node.next_functions if one is not None]
    name = node.name()
    if name.startswith(_SUMS) or (name.startswith(_SCALES) and len(above) == 1):
        for one in above:
            yield from _addends(one)
    else:
        yield node


def _norm(loss: Tensor, nodes: Sequence[Any], own: Any, wanted: Sequence[Tensor]) -> float:
    """The norm of the gradient that comes through `own` alone."""
    with ExitStack() as stack:
        for node in nodes:
            if node is not own:
                stack.callback(node.register_prehook(_nothing).remove)
        gradients = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    squares = [
        float(one.to_dense().double().square().sum()) for one in gradients if one is not None
    ]
    return sum(squares) ** 0.5


def _nothing(gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if one is None else torch.zeros_like(one) for one in gradients)


def _named(node: Any, found: Mapping[Any, str]) -> str | None:
    """The loss function among the first nodes of a term, if there is one."""
    waiting, seen = [node], 0
    while waiting and seen < _DEEP:
        one = waiting.pop(0)
        seen += 1
        if one in found:
            return found[one]
        waiting += [above for above, _ in one.next_functions if above is not None]
    return None


def _name(node: Any, found: Mapping[Any, str]) -> str:
    return _named(node, found) or node.name().partition("Backward")[0].lower()
