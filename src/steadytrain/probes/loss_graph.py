"""Which operations stand next to the loss: those that make a NaN or an infinity of finite numbers.

The autograd graph of a loss names them, before its backward and after it. The nodes nearest to the
loss are those of the loss's own formula; what comes after them belongs to the model.

Cost: one walk over at most 64 nodes, once per run; no tensor is read.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from torch import Tensor

MAX_NODES: Final = 64

_KINDS: Final = {
    "loss_num_logs": {"Log", "Log2", "Log10", "Log1P", "Xlogy", "SpecialXlog1Py"},
    "loss_num_exps": {"Exp", "Exp2", "Expm1", "Sinh", "Cosh"},
    "loss_num_roots": {"Sqrt", "Rsqrt", "LinalgVectorNorm", "Norm"},
    "loss_num_quotients": {"Div", "Reciprocal"},
}

STATISTICS: Final = tuple(_KINDS)


def operations(loss: object) -> dict[str, float] | None:
    """How many logarithms, exponentials, roots and quotients stand next to `loss`; None without a graph.

    A quotient counts where its divisor depends on a weight.

    Example:
        >>> import torch
        >>> weight = torch.ones(3, requires_grad=True)
        >>> operations((weight / weight.norm()).exp().sum())
        {'loss_num_logs': 0.0, 'loss_num_exps': 1.0, 'loss_num_roots': 1.0, 'loss_num_quotients': 1.0}
    """
    if not isinstance(loss, Tensor) or loss.grad_fn is None:
        return None
    counts = dict.fromkeys(STATISTICS, 0.0)
    for node in _nearest(loss.grad_fn):
        name = type(node).__name__.partition("Backward")[0]
        for stat, names in _KINDS.items():
            counts[stat] += name in names and (name != "Div" or _divides_by_weights(node))
    return counts


def _nearest(root: Any) -> list[Any]:
    """The first `MAX_NODES` nodes from the loss on, breadth first."""
    found, seen, waiting = [], {root}, deque([root])
    while waiting and len(found) < MAX_NODES:
        node = waiting.popleft()
        found.append(node)
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
    return found


def _divides_by_weights(node: Any) -> bool:
    inputs = node.next_functions
    return len(inputs) == 2 and inputs[1][0] is not None
