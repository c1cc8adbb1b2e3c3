"""Which operations stand next to the loss: what makes a NaN of numbers, and what is out of place.

The autograd graph of a loss names them with their shapes, before its backward and after it. The nodes
nearest to the loss are those of the loss's own formula; what comes after them belongs to the model.

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

_SHAPING: Final = {
    "Alias", "Clone", "Flatten", "Permute", "Reshape", "ReshapeAlias", "Select", "Slice", "Squeeze",
    "T", "ToCopy", "Transpose", "UnsafeView", "Unsqueeze", "View",
}  # fmt: skip
"""Operations that leave the numbers as they are."""

_SQUASHED: Final = {
    "LogSoftmax": {"Softmax", "Sigmoid"},
    "BinaryCrossEntropyWithLogits": {"Sigmoid", "Softmax"},
}
"""What takes raw outputs, and what makes chances of them."""

_NO_LOGARITHM: Final = {
    "Softmax",
    "Sigmoid",
    "Addmm",
    "Mm",
    "Bmm",
    "Relu",
    "Gelu",
    "Tanh",
    "Convolution",
}
"""Operations whose output is no logarithm of chances."""

_DIFFERENCES: Final = {"Sub", "Rsub", "MseLoss", "L1Loss", "SmoothL1Loss", "HuberLoss"}

_MISTAKES: Final = (
    "loss_num_squashed",
    "loss_num_unlogged",
    "loss_num_across_batch",
    "loss_num_broadcast",
)

STATISTICS: Final = (*_KINDS, *_MISTAKES)


def operations(loss: object) -> dict[str, float] | None:
    """How often what `STATISTICS` names stands next to `loss`; None without a graph.

    A quotient counts where its divisor depends on a weight.

    Example:
        >>> import torch
        >>> weight = torch.ones(3, requires_grad=True)
        >>> counts = operations((weight / weight.norm()).exp().sum())
        >>> counts["loss_num_exps"], counts["loss_num_quotients"], counts["loss_num_logs"]
        (1.0, 1.0, 0.0)
    """
    if not isinstance(loss, Tensor) or loss.grad_fn is None:
        return None
    counts = dict.fromkeys(STATISTICS, 0.0)
    for node in _nearest(loss.grad_fn):
        name = _name(node)
        for stat, names in _KINDS.items():
            counts[stat] += name in names and (name != "Div" or _divides_by_weights(node))
        counts["loss_num_squashed"] += _name(_operand(node)) in _SQUASHED.get(name, ())
        if name.startswith("NllLoss"):
            counts["loss_num_unlogged"] += _name(_operand(node)) in _NO_LOGARITHM
            counts["loss_num_across_batch"] += _is_across_batch(node)
        counts["loss_num_broadcast"] += name in _DIFFERENCES and _is_broadcast(node)
    return counts


def _name(node: Any) -> str:
    return type(node).__name__.partition("Backward")[0]


def _operand(node: Any) -> Any:
    """What the node reads, past operations that leave numbers as they are; None where nothing."""
    for _ in range(MAX_NODES):
        inputs = node.next_functions
        node = inputs[0][0] if inputs else None
        if node is None or _name(node) not in _SHAPING:
            return node
    return None


def _is_across_batch(node: Any) -> bool:
    """Whether log chances are taken over the first of two dimensions or more."""
    source = node.next_functions[0][0]
    first = getattr(source, "_saved_dim", None) == 0
    return _name(source) == "LogSoftmax" and first and len(_shape(source)) >= 2


def _is_broadcast(node: Any) -> bool:
    """Whether each of n predictions is compared with each of n numbers without a gradient."""
    inputs = [child for child, _ in node.next_functions]
    if sum(child is not None for child in inputs) != 1:
        return False
    source = next(child for child in inputs if child is not None)
    whole = _shape(node) if _name(source) != "Expand" else _shape(source)
    if _name(source) == "Expand":
        source = source.next_functions[0][0]
    count = whole[0] if whole else 0
    square = len(whole) == 2 and whole[0] == whole[1] > 1
    return square and source is not None and _shape(source) in ((count,), (count, 1), (1, count))


def _shape(node: Any) -> tuple[int, ...]:
    """The shape of what the node's operation gave."""
    metadata = getattr(node, "_input_metadata", ())
    return tuple(metadata[0].shape) if metadata else ()


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
