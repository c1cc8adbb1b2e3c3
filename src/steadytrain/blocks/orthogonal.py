"""Orthogonal weights keep the length of every signal and gradient, also in convolutions.

## Formula
    W = gain * Q,  Q^T Q = I (or Q Q^T = I where W is wide), uniform over such matrices

    convolution (delta-orthogonal): the centre tap is gain * Q, all other taps are zero

scaled so that outputs have the variance that the gain promises: where W is taller than wide, by
another sqrt(out / in). The gain is chosen as for `kaiming`. Biases are zero.

A matrix of independent normal numbers keeps the length of a signal on average only: its singular
values lie between 0 and 2, and a product of 50 has most of them near zero. A product of orthogonal
matrices has them all at one. Recurrent matrices become orthogonal gate by gate with gain 1, the
others of a recurrent cell too.

Delta-orthogonal kernels do not look at the neighbours at first. A convolution that has fewer
outputs than inputs cannot keep all of them. Grouped ones are orthogonal within their group, and
where the stride or an even kernel leaves no centre tap that all outputs see, the tap nearest to
the centre is taken.

## Shape
Any: linear layers, convolutions (grouped, transposed), attention, recurrent cells.

## Dtype
Computed in float32 (float64 for float64 weights), written in the weight's own. Initialise before
weights are distributed over devices: a DTensor has no rows of its own to be orthogonal to.

## Cost
One QR decomposition per matrix: 0.03 s for 1024 x 1024 on one core.

## Source
Saxe et al. 2014, section 3; Xiao et al. 2018, algorithm 1 (10,000 convolutional layers); Le et al.
2015 for recurrent matrices near the identity.

## Helps against
`vanishing-gradient`, `exploding-gradient`, `recurrent-spectral-radius`, `init-too-small`
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._layers import Layer
from steadytrain.blocks._matrices import Matrix
from steadytrain.blocks._rewriting import rewrite
from steadytrain.blocks.variance_scaling import gain_at
from steadytrain.core.technique import Sample, technique


def orthogonal_matrix(rows: int, columns: int, like: Tensor) -> Tensor:
    """A random matrix [rows, columns] with orthonormal columns, or rows where it is wide."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return nn.init.orthogonal_(torch.empty(rows, columns, dtype=dtype, device=like.device))


def write_tap(matrix: Matrix, tap: Tensor) -> None:
    """The matrix is `tap` [out, in]; of a kernel, its centre is and the other taps are zero."""
    if matrix.view.ndim == 2:
        matrix.view.copy_(tap)
        return
    matrix.view.zero_()
    centre = tuple((size - 1) // 2 for size in matrix.view.shape[2:])
    matrix.view[(slice(None), slice(None), *centre)] = tap.to(matrix.view.dtype)


def fill_orthogonal(layer: Layer) -> tuple[str, str]:
    """The matrices of a layer are orthogonal; returns what they are and why."""
    gain, why = gain_at(layer)
    for matrix in layer.matrices:
        own = 1.0 if isinstance(layer.module, nn.RNNBase | nn.RNNCellBase) else gain
        write_orthogonal(matrix, own)
    kind = "delta-orthogonal" if layer.matrices[0].view.ndim > 2 else "orthogonal"
    return kind, f"{why}, gain {gain:.4g}"


def write_orthogonal(matrix: Matrix, gain: float) -> None:
    """The matrix is orthogonal and gives outputs of gain^2 times the variance of its inputs."""
    rows, columns = matrix.view.shape[:2]
    # orthonormal columns leave each of more rows with a smaller share of the length
    stretch = max(1.0, rows / columns) ** 0.5
    write_tap(matrix, orthogonal_matrix(rows, columns, matrix.view) * (gain * stretch))


def _orthogonal(model: nn.Module) -> list[Change]:
    return rewrite(model, fill_orthogonal)


SCHEMES: Final[dict[str, Scheme]] = {"orthogonal": _orthogonal}


def _build_sample() -> nn.Module:
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh(), nn.Conv1d(4, 2, 3))
    _orthogonal(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=(),
    samples=(Sample(build=_build_sample, inputs=lambda: (torch.randn(3, 2, 8),)),),
)
