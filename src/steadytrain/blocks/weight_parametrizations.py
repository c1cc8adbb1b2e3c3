"""Weight norm and spectral norm through torch, refused where they would divide by zero.

Both divide a weight by its norm, so that a zero-initialised weight, or one zero row under weight
norm, turns into NaN in the first forward pass. And spectral norm improves its estimate of the
largest singular value in train mode only: weights that change while the module is in eval mode
(a critic that is trained in eval mode, a loaded or averaged checkpoint) are divided by a number
that is no longer theirs. `refresh_spectral_norm` brings the estimate up to date in any mode.

## Formula
    weight norm: W = g * v / ||v||, the norm per index of `dim`; g starts at ||v||.
    spectral norm: W = V / sigma(V), sigma = u'Vv by power iteration.

## Shape
    The weight keeps its shape; all dimensions but `dim` are one vector (weight norm), or columns
    of one matrix (spectral norm).

## Dtype
    float32 and bfloat16 weights. In float16 the power iteration loses its direction.

## Cost
    One pass over the weights per forward pass; spectral norm two matrix-vector products more per
    power iteration in train mode.

## Source
    Salimans & Kingma 2016, section 2; Miyato et al. 2018, section 2 and algorithm 1, with torch's
    `parametrizations.weight_norm` and `.spectral_norm` as the code.

## Helps against
    `gan-discriminator-dominates`, `exploding-gradient`, `recurrent-spectral-radius`, `div-by-zero`.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from steadytrain.blocks._bounds import positive, whole
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def weight_norm(module: AnyModule, name: str = "weight", dim: int = 0) -> AnyModule:
    """The module's weight is a learnable length times a direction, in place.

    Args:
        module: the module that has the weight.
        name: the weight's name in it.
        dim: the dimension along which each index has a length of its own; -1 for one in all.

    Returns:
        The same module.

    Raises:
        UsageError: there is no such weight, or a vector of it is zero and so has no direction.

    Example:
        >>> layer = weight_norm(nn.Linear(3, 2))
        >>> layer.parametrizations.weight.original0.shape
        torch.Size([2, 1])
    """
    weight = _weight(module, name, "weight norm")
    rows = weight.flatten().unsqueeze(0) if dim == -1 else weight.movedim(dim, 0).flatten(1)
    zero = int((rows.detach().norm(dim=1) == 0).sum())
    if zero:
        msg = f"weight norm of {name!r} needs vectors with a direction, got {zero} of zeros"
        raise UsageError(f"{msg} in {type(module).__name__}: {_REMEDY}")
    parametrizations.weight_norm(module, name, dim)
    return module


def spectral_norm(
    module: AnyModule, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12
) -> AnyModule:
    """The module's weight has a largest singular value of one, in place.

    Args:
        module: the module that has the weight.
        name: the weight's name in it.
        n_power_iterations: iterations per forward pass in train mode; none happen in eval mode.
        eps: floor of the norms inside the power iteration.

    Returns:
        The same module.

    Raises:
        UsageError: there is no such weight, it is zero, or a number is out of range.

    Example:
        >>> layer = spectral_norm(nn.Linear(8, 8))
        >>> bool(abs(torch.linalg.matrix_norm(layer.weight, 2) - 1) < 0.1)
        True
    """
    weight = _weight(module, name, "spectral norm")
    if not weight.detach().any():
        msg = f"spectral norm of {name!r} divides by its largest singular value, which is 0"
        raise UsageError(f"{msg} in {type(module).__name__}: {_REMEDY}")
    iterations = whole("n_power_iterations", n_power_iterations)
    parametrizations.spectral_norm(module, name, iterations, positive("eps", eps))
    return module


@torch.no_grad()
def refresh_spectral_norm(model: nn.Module, iterations: int = 15) -> int:
    """Every spectral norm below `model` has an up-to-date estimate, in train and in eval mode.

    Args:
        model: any module.
        iterations: power iterations; torch takes 15 when it registers one.

    Returns:
        How many spectral norms there are.

    Raises:
        UsageError: `iterations` is no positive whole number.

    Example:
        >>> refresh_spectral_norm(nn.Sequential(spectral_norm(nn.Linear(8, 8)), nn.ReLU()))
        1
    """
    whole("iterations", iterations)
    lists = [part for part in model.modules() if isinstance(part, parametrize.ParametrizationList)]
    found = [(each, one) for each in lists for one in each if hasattr(one, "n_power_iterations")]
    for each, one in found:
        training = one.training
        one.train()
        for _ in range(iterations):
            each()
        one.train(training)
    return len(found)


_REMEDY = "initialise it otherwise (normal, std 0.02), or leave this parametrisation off it."


def _weight(module: nn.Module, name: str, what: str) -> Tensor:
    weight = getattr(module, name, None)
    if isinstance(weight, Tensor) and (name in module._parameters or _parametrized(module, name)):
        if weight.is_meta or nn.parameter.is_lazy(weight):
            msg = f"{what} needs the values of {name!r}, got a tensor that has none yet"
            raise UsageError(f"{msg}: materialise it first (to_empty, or one forward pass).")
        return weight
    known = ", ".join(dict(module.named_parameters(recurse=False))) or "none"
    msg = f"{what}: {type(module).__name__} has no parameter {name!r}, its own are: {known}"
    raise UsageError(f"{msg}. Give the name of one, or the layer that holds it.")


def _parametrized(module: nn.Module, name: str) -> bool:
    return parametrize.is_parametrized(module, name)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("refresh_spectral_norm", "spectral_norm", "weight_norm"),
    samples=(
        Sample(
            build=lambda: weight_norm(nn.Linear(6, 4)),
            inputs=lambda: (torch.randn(3, 6),),
            dtypes=("float32", "bfloat16"),
            double_backward=True,
        ),
        Sample(
            build=lambda: spectral_norm(nn.Conv2d(3, 4, 3)),
            inputs=lambda: (torch.randn(2, 3, 5, 5),),
            dtypes=("float32", "bfloat16"),
            double_backward=True,
        ),
    ),
)
