"""The sum at the heart of every residual block, which refuses to broadcast."""

from __future__ import annotations

from torch import Tensor

from steadytrain.core.errors import UsageError


def residual_sum(stream: Tensor, branch: Tensor) -> Tensor:
    """`stream + branch` of equal shapes.

    A branch of another shape would often be broadcast silently: [n, 1] onto [n, d] adds one
    number to every feature.

    Raises:
        UsageError: the shapes differ.
    """
    if stream.shape != branch.shape:
        msg = f"a residual branch must keep the shape {tuple(stream.shape)}, it gave"
        msg = f"{msg} {tuple(branch.shape)}: their sum would be broadcast."
        raise UsageError(f"{msg} Project the branch or the shortcut to the same shape.")
    return stream + branch
