"""Only a weight's direction is used: its length becomes the unit that learning rates count in.

A step changes such a weight by the learning rate over the stored length, and is at right angles
to it, so every step makes it longer. A rate that is too high lengthens the weight until it is
right; a rate that is too low is right from the start where the stored length is short. That is
why the curve of the loss over the learning rate becomes flat. Nothing decays the stored length
for that reason: give these weights no weight decay, and Adam an `eps` of 1e-12, because their
gradients are as small as the weights are long.

## Formula
    W' = r * W / rms(W), rms over the whole weight; of embeddings over each row by itself.
    The gradient of W is orthogonal to W, so |W|^2 grows by the square of each step, and after t
    steps at any constant rate well above rms(W) the relative step is about 1 / sqrt(t).

## Shape
    The weight's own, of two dimensions or more.

## Dtype
    The mean square is taken in at least float32; the weight keeps its dtype.

## Cost
    One reduction and one scaled copy of the weight per forward pass. No synchronisation.

## Source
    Salimans & Kingma 2016, section 2.1: the norm of v grows and makes training robust to the
    rate; without their learned length. van Laarhoven 2017 and Arora, Li & Lyu 2018 on the rate
    that tunes itself. The figures are those of `steadytrain lab lr-sensitivity`.

## Helps against
    `lr-too-high`, `lr-too-low` and `missing-warmup`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from steadytrain.blocks._bounds import positive
from steadytrain.blocks._float32 import at_least_float32, outside_autocast
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def scale_free(
    module: ModuleT,
    name: str = "weight",
    *,
    rms: float | None = None,
    stored_rms: float | None = None,
) -> ModuleT:
    """The module's weight in place, or that of every linear layer below it, is a direction.

    Build the optimizer afterwards. `torch.nn.utils.parametrize.remove_parametrizations` turns
    it back into a plain weight that computes the same.

    Args:
        module: a layer with a parameter `name`; otherwise every Linear and convolution in it.
            Embeddings are taken one by one: `scale_free(model.embedding)`.
        name: of the parameter.
        rms: root mean square of the weight that the layer computes with; None for the one it
            has, so that the model computes what it did.
        stored_rms: root mean square of the stored weight, the unit of the learning rate; None
            leaves it. It changes no output. 0.005 lets rates from 3e-4 on train well.

    Returns:
        The same module.

    Raises:
        UsageError: nothing to reparametrise, done already, a weight that several layers share, or
            one that is zero, has no two dimensions or is not built yet.

    Shape:
        Any weight of two dimensions or more.

    Example:
        >>> layer = scale_free(torch.nn.Linear(8, 4), rms=0.5, stored_rms=0.01)
        >>> print(f"{layer.weight.square().mean().sqrt().item():.3f}")
        0.500
        >>> print(f"{layer.parametrizations.weight.original.square().mean().sqrt().item():.3f}")
        0.010
    """
    for limit, value in (("rms", rms), ("stored_rms", stored_rms)):
        if value is not None:
            positive(limit, value)
    layers = list(_layers(module, name))
    if not layers:
        msg = f"{type(module).__name__} has no parameter {name!r} and no linear layer below it"
        raise UsageError(f"{msg}. Give a layer, or the name of its weight.")
    _check_not_shared(module, [getattr(layer, name) for _, layer in layers], name)
    for path, layer in layers:
        _check(f"{path}.{name}" if path else name, layer, name)
    for _, layer in layers:
        _reparametrize(layer, name, rms, stored_rms)
    return module


class _Direction(nn.Module):
    """The parametrisation of one weight."""

    rms: Tensor

    def __init__(self, rms: Tensor, *, per_row: bool) -> None:
        super().__init__()
        self.register_buffer("rms", rms)
        self.per_row = per_row

    def forward(self, weight: Tensor) -> Tensor:
        with outside_autocast(weight.device):
            whole = weight.to(at_least_float32(weight.dtype))
            return (whole * (self.rms / _rms(whole, self.per_row))).to(weight.dtype)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The stored weight after an assignment: its length is free."""
        return weight


def _rms(weight: Tensor, per_row: bool) -> Tensor:
    """Never zero: a padding row stays zero."""
    square = weight.square().mean(dim=-1, keepdim=True) if per_row else weight.square().mean()
    return square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()


@torch.no_grad()
def _reparametrize(
    layer: nn.Module, name: str, rms: float | None, stored_rms: float | None
) -> None:
    weight: Tensor = getattr(layer, name)
    per_row = isinstance(layer, nn.Embedding)
    now = _rms(weight.to(at_least_float32(weight.dtype)), per_row=False)
    if stored_rms is not None:
        weight.mul_(stored_rms / now)
    used = now if rms is None else torch.full_like(now, rms)
    direction = _Direction(used.to(weight.dtype), per_row=per_row)
    parametrize.register_parametrization(layer, name, direction)


def _layers(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The module itself where it has the parameter, otherwise the linear layers below it."""
    if isinstance(getattr(module, name, None), Tensor):
        yield "", module
        return
    for path, layer in module.named_modules():
        if isinstance(layer, _LINEAR) and hasattr(layer, name):
            yield path, layer


def _check_not_shared(module: nn.Module, weights: list[Tensor], name: str) -> None:
    """A shared weight would be a direction in one layer and keep its length in the other."""
    taken = {id(weight) for weight in weights}
    paths = [
        path
        for path, weight in module.named_parameters(remove_duplicate=False)
        if id(weight) in taken
    ]
    if len(paths) > len(weights) or len(taken) < len(weights):
        msg = f"scale_free: a {name!r} is shared by several layers, among {', '.join(paths)}"
        raise UsageError(f"{msg}. Untie them first, or take the other layers one by one.")


def _check(site: str, layer: nn.Module, name: str) -> None:
    if parametrize.is_parametrized(layer, name):
        raise UsageError(f"{site} is reparametrised already: call scale_free once.")
    weight: Tensor = getattr(layer, name)
    if nn.parameter.is_lazy(weight) or weight.is_meta:
        raise UsageError(f"{site} is not built yet: run one batch through the model first.")
    if weight.dim() < 2:
        msg = f"{site} must have two dimensions or more, got {list(weight.shape)}"
        raise UsageError(f"{msg}: gains and biases need their length.")
    if not weight.any():
        msg = f"{site} is zero, so it has no direction"
        raise UsageError(f"{msg}: initialise it first (normal, std 0.02), or leave it out.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("scale_free",),
    samples=(
        Sample(
            build=lambda: scale_free(nn.Linear(6, 4)),
            inputs=lambda: (torch.randn(3, 6),),
            double_backward=True,
        ),
        Sample(
            build=lambda: scale_free(nn.Conv2d(3, 4, 3, padding=1), stored_rms=0.01),
            inputs=lambda: (torch.randn(2, 3, 5, 5),),
        ),
    ),
)
