"""A weight is divided by its largest singular value and scaled by one learned number.

## Formula
    W' = gain * W / sigma(W), with sigma(W) = |W v| and v by power iteration:
    v <- W^T u / |W^T u|, u = W v / |W v|, one iteration per training forward

## Shape
    The weight's own, read as a matrix [outputs, everything else].

## Dtype
    The singular value is computed in at least float32; the weight keeps its dtype.

## Cost
    Three products of the weight with a vector per training forward (one in evaluation), one
    scaled copy of the weight, one stored vector. No synchronisation.

## Source
    Zhai et al. 2023, "Stabilizing Transformer Training by Preventing Attention Entropy
    Collapse": gain 1 at first, on all linear layers. Unlike spectral norm, the gain is learned.

## Helps against
    `attention-logits-too-large`, `missing-warmup` and `init-too-large`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from steadytrain.blocks._bounds import finite, whole
from steadytrain.blocks._float32 import at_least_float32, outside_autocast
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

_SMALLEST_SIGMA = 1e-12
"""Divided by in place of less, as in torch's spectral norm."""


def sigma_reparam(
    module: ModuleT,
    name: str = "weight",
    *,
    gain: float | None = 1.0,
    num_iterations: int = 1,
) -> ModuleT:
    """Reparametrise the module's weight in place, or that of every linear layer below it.

    Afterwards the largest singular value is the learned gain. Build the optimizer afterwards:
    the gain is a new parameter, `parametrizations.weight.0.gain`, and wants no weight decay.
    `torch.nn.utils.parametrize.remove_parametrizations` turns it back into a plain weight.

    Args:
        module: a layer with a parameter `name`; otherwise every Linear and convolution in it.
        name: of the parameter.
        gain: the largest singular value at first; None for the one it has, so that the model
            computes what it did.
        num_iterations: of the power method per training forward.

    Raises:
        UsageError: nothing to reparametrise, done already, or a weight that is zero, has no two
            dimensions or is not built yet.

    Shape:
        Any weight of two dimensions or more; the first is the output, of transposed convolutions
        the second.

    Example:
        >>> layer = sigma_reparam(torch.nn.Linear(8, 4))
        >>> print(f"{torch.linalg.matrix_norm(layer.weight, 2).item():.3f}")
        1.000
    """
    whole("num_iterations", num_iterations)
    if gain is not None:
        finite("gain", gain)
    layers = list(_layers(module, name))
    if not layers:
        msg = f"{type(module).__name__} has no parameter {name!r} and no linear layer below it"
        raise UsageError(f"{msg}. Give a layer, or the name of its weight.")
    made = [_reparametrization(path, layer, name, gain, num_iterations) for path, layer in layers]
    for (_, layer), one in zip(layers, made, strict=True):
        parametrize.register_parametrization(layer, name, one)
    return module


class _SigmaReparam(nn.Module):
    """The parametrisation of one weight."""

    v: Tensor

    def __init__(
        self, weight: Tensor, gain: float | None, num_iterations: int, output_dim: int
    ) -> None:
        super().__init__()
        self.output_dim = output_dim
        self.num_iterations = num_iterations
        matrix = self._matrix(weight.detach())
        rank = min(8, *matrix.shape)
        _, values, right = torch.svd_lowrank(matrix, q=rank, niter=16)
        self.register_buffer("v", right[:, 0].to(weight.dtype))
        first = values[0] if gain is None else torch.full_like(values[0], gain)
        self.gain = nn.Parameter(first.to(weight.dtype))

    def forward(self, weight: Tensor) -> Tensor:
        with outside_autocast(weight.device):
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix.detach())
            # a new tensor: the next forward changes v before the backward of this one
            direction = functional.normalize(self.v.to(matrix.dtype), dim=0)
            sigma = torch.linalg.vector_norm(matrix @ direction)
            factor = self.gain / sigma.clamp_min(_SMALLEST_SIGMA)
            return (weight * factor).to(weight.dtype)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        v = self.v.to(matrix.dtype)
        for _ in range(self.num_iterations):
            v = functional.normalize(matrix.mT @ functional.normalize(matrix @ v, dim=0), dim=0)
        # a weight of zero has no direction, and from a v of zero there is no way back
        self.v.copy_(torch.where(v.any(), v, self.v))

    def _matrix(self, weight: Tensor) -> Tensor:
        rows = weight.movedim(self.output_dim, 0).flatten(1)
        return rows.to(at_least_float32(weight.dtype))


def _layers(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The module itself where it has the parameter, otherwise the linear layers below it."""
    if parametrize.is_parametrized(module, name) or isinstance(
        getattr(module, name, None), nn.Parameter
    ):
        yield "", module
        return
    for path, layer in module.named_modules():
        if isinstance(layer, (nn.Linear, *_CONVS, *_TRANSPOSED)) and hasattr(layer, name):
            yield path, layer


def _reparametrization(
    path: str, layer: nn.Module, name: str, gain: float | None, num_iterations: int
) -> _SigmaReparam:
    site = f"{path}.{name}" if path else name
    if parametrize.is_parametrized(layer, name):
        raise UsageError(f"{site} is reparametrised already: call sigma_reparam once.")
    weight = getattr(layer, name)
    if nn.parameter.is_lazy(weight):
        raise UsageError(f"{site} is not built yet: run one batch through the model first.")
    if weight.dim() < 2:
        msg = f"{site} must have two dimensions or more, got {list(weight.shape)}"
        raise UsageError(f"{msg}: a vector has no largest singular value to learn.")
    if not weight.any():
        msg = f"{site} is zero, so it has no direction to scale"
        raise UsageError(f"{msg}: initialise it first, or leave it out.")
    return _SigmaReparam(weight, gain, num_iterations, int(isinstance(layer, _TRANSPOSED)))


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("sigma_reparam",),
    samples=(
        Sample(
            build=lambda: sigma_reparam(nn.Linear(6, 4)),
            inputs=lambda: (torch.randn(3, 6),),
            double_backward=True,
        ),
        Sample(
            build=lambda: sigma_reparam(nn.Conv2d(3, 4, 3, padding=1)),
            inputs=lambda: (torch.randn(2, 3, 5, 5),),
        ),
    ),
)
