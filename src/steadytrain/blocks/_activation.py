"""An activation as a checked elementwise function of float64 numbers, whatever it was given as."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.core.errors import UnknownNameError, UsageError

Activation = str | Callable[[Tensor], Tensor]
"""A name, a module or any function of one tensor."""

NAMED: Final[dict[str, Callable[..., Tensor]]] = {
    "celu": functional.celu,
    "elu": functional.elu,
    "gelu": functional.gelu,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "hardtanh": functional.hardtanh,
    "identity": lambda x: x,
    "leaky_relu": functional.leaky_relu,
    "linear": lambda x: x,
    "logsigmoid": functional.logsigmoid,
    "mish": functional.mish,
    "relu": functional.relu,
    "relu6": functional.relu6,
    "selu": functional.selu,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "swish": functional.silu,
    "tanh": torch.tanh,
    "tanhshrink": functional.tanhshrink,
}
"""Activations that have a name."""

_PROBE: Final = (-3.0, -1.3, -0.7, -0.2, 0.0, 0.1, 0.6, 1.1, 2.9)
"""Points at which a function shows whether it treats each element by itself."""


def name_of(activation: Activation) -> str:
    """What to call it in a message: `gelu`, `LeakyReLU(negative_slope=0.2)`."""
    if isinstance(activation, str):
        return activation
    if isinstance(activation, nn.Module):
        return repr(activation).partition("\n")[0]
    return getattr(activation, "__name__", repr(activation))


def key_of(activation: Activation) -> Hashable:
    """Equal for activations that are known to be the same function, to look at each once."""
    if isinstance(activation, nn.Module):
        is_plain = type(activation).__module__.startswith("torch.nn.") and not any(
            True for _ in activation.parameters()
        )
        return repr(activation) if is_plain else id(activation)
    return activation if isinstance(activation, str) else id(activation)


def elementwise(activation: Activation) -> Callable[[Tensor], Tensor]:
    """The activation as a function of float64 tensors [n], as it is in evaluation mode.

    A module is copied, so neither its mode nor its parameters are touched, and torch's global
    random numbers go on as if nothing had been called.

    Raises:
        UsageError: it fails on a vector, mixes elements, changes the shape, or is random.
        UnknownNameError: a name that no activation has.
    """
    raw = _float64(activation)

    def function(x: Tensor) -> Tensor:
        return raw(x).to(torch.float64)

    points = torch.tensor(_PROBE, dtype=torch.float64, device="cpu")
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            whole, again = raw(points), raw(points)
            parts = [raw(points[:4]), raw(points[4:])]
    except Exception as error:  # whatever a user's function raises is said with its name
        msg = f"{name_of(activation)} cannot be applied to a vector of numbers: {error}"
        raise UsageError(f"{msg} Expected a function of one tensor, element by element.") from error
    _check(name_of(activation), points, whole, again, parts)
    return function


def is_identity(function: Callable[[Tensor], Tensor]) -> bool:
    """Whether a checked function returns its argument."""
    points = torch.tensor(_PROBE, dtype=torch.float64, device="cpu")
    with torch.no_grad():
        return bool(torch.equal(function(points), points))


def is_scale_free(function: Callable[[Tensor], Tensor]) -> bool:
    """Whether twice the input gives twice the output, as for ReLU: then any scale is as good."""
    points = torch.tensor(_PROBE, dtype=torch.float64, device="cpu")
    with torch.no_grad():
        return bool(torch.allclose(function(2 * points), 2 * function(points), rtol=1e-9))


def _float64(activation: Activation) -> Callable[[Tensor], Tensor]:
    if isinstance(activation, str):
        if activation not in NAMED:
            raise UnknownNameError.build("activation", activation, NAMED)
        return NAMED[activation]
    if not callable(activation):
        msg = f"an activation is a name, a module or a function, got {activation!r}."
        raise UsageError(f"{msg} Try 'gelu' or torch.nn.GELU().")
    if not isinstance(activation, nn.Module):
        return activation
    if not isinstance(activation, nn.PReLU):
        return copy.deepcopy(activation).cpu().double().eval()
    # PReLU has a slope per channel: a unit's expectation is taken over its channels' slopes
    slopes = activation.weight.detach().cpu().double()
    if slopes.numel() == 1:
        return lambda x: torch.where(x > 0, x, slopes * x)
    root_mean_square = slopes.square().mean().sqrt()
    return lambda x: torch.where(x > 0, x, root_mean_square * x)


def _check(name: str, points: Tensor, whole: object, again: Tensor, parts: list[Tensor]) -> None:
    if not isinstance(whole, Tensor) or whole.shape != points.shape or whole.is_complex():
        found = type(whole).__name__
        if isinstance(whole, Tensor):
            found = f"{str(whole.dtype).removeprefix('torch.')} of shape {tuple(whole.shape)}"
        msg = f"{name} gives {found} for real numbers of shape {tuple(points.shape)}"
        raise UsageError(f"{msg}: expected one real number for each. It is no activation.")
    if not torch.allclose(whole, again, rtol=0, atol=0, equal_nan=True):
        msg = f"{name} gives different numbers each time"
        raise UsageError(
            f"{msg}: pass what it does in evaluation, such as its module in evaluation mode."
        )
    if not torch.allclose(
        whole.double(), torch.cat(parts).double(), rtol=1e-9, atol=1e-12, equal_nan=True
    ):
        msg = f"{name} mixes the elements of its input"
        raise UsageError(f"{msg}: only a function of each element by itself has a gain.")
