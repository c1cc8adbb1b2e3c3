"""The weights of linear maps in a network, whatever class holds them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from steadytrain.blocks._code import normalizes
from steadytrain.core.errors import UsageError

NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.modules.batchnorm._NormBase,
)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """One weight of a linear map: of a linear layer, a convolution or a packed attention."""

    path: str
    """The parameter's path: "blocks.0.mlp.2.weight"."""
    module: nn.Module
    """The module that holds it."""
    name: str
    """Its attribute there."""
    inputs: int
    """Features or channels it reads."""
    outputs: int
    """Features or channels it writes."""
    fan_in: int
    """Numbers that are summed into one output."""
    fan_out: int
    transposed: bool = False
    """Whether its first dimension is what it reads."""

    @property
    def tensor(self) -> torch.Tensor:
        return getattr(self.module, self.name)

    @property
    def place(self) -> str:
        """The path of the module that holds it."""
        return self.path.rpartition(".")[0]


def weights_of(module: nn.Module, prefix: str = "") -> Iterator[Weight]:
    """Every weight of a linear map under `module`, in the order of registration.

    A weight that several modules share comes once per module.
    """
    for path, part in module.named_modules(prefix=prefix, remove_duplicate=False):
        if isinstance(part, nn.MultiheadAttention):
            yield from _packed(path, part)
        elif not isinstance(part, EMBEDDINGS) and _is_leaf(part):
            weight = _shaped_like_weight(part)
            if weight is not None and weight.ndim >= 2:
                yield _of_leaf(path, part, weight)


def check_materialized(model: nn.Module) -> None:
    """Raise where a parameter has no numbers yet that could be set.

    Raises:
        UsageError: a lazy parameter, or one on the meta device.
    """
    for path, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            msg = f"{path} has no shape yet: expected parameters that exist, found a lazy one."
            raise UsageError(f"{msg} Run one batch through the model first.")
        if parameter.is_meta:
            msg = f"{path} is on the meta device: expected parameters that hold numbers."
            raise UsageError(f"{msg} Call model.to_empty(device=...) first.")


def is_norm(module: nn.Module) -> bool:
    """Whether the module normalises: torch's own, or vectors only and code that does."""
    if isinstance(module, NORMS):
        return True
    own = list(module.parameters())
    return bool(own) and all(one.ndim <= 1 for one in own) and normalizes(module)


def _is_leaf(module: nn.Module) -> bool:
    names = {name for name, _ in module.named_children()}
    return not names - {"parametrizations"} and not is_norm(module)


def _packed(path: str, module: nn.MultiheadAttention) -> Iterator[Weight]:
    for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
        tensor = getattr(module, name)
        if tensor is not None:
            rows, columns = tensor.shape
            yield _weight(path, module, name, columns, rows, columns, rows)


def _shaped_like_weight(module: nn.Module) -> torch.Tensor | None:
    """A tensor of the weight's shape; a computed weight is not computed for it.

    Computing one may change state: spectral norm iterates.
    """
    if parametrize.is_parametrized(module, "weight"):
        computed_from = module.get_submodule("parametrizations.weight")
        return max(computed_from.parameters(), key=lambda one: (one.ndim, one.numel()))
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, torch.Tensor) else None


def _of_leaf(path: str, module: nn.Module, weight: torch.Tensor) -> Weight:
    if isinstance(module, _ConvNd):
        taps = math.prod(module.kernel_size)
        reads, writes = module.in_channels, module.out_channels
        fans = reads // module.groups * taps, writes // module.groups * taps
        return _weight(path, module, "weight", reads, writes, *fans, module.transposed)
    writes, reads = weight.shape[0], math.prod(weight.shape[1:])
    bias = getattr(module, "bias", None)
    flipped = isinstance(bias, torch.Tensor) and bias.shape == (reads,) != (writes,)
    if flipped:
        writes, reads = reads, writes
    return _weight(path, module, "weight", reads, writes, reads, writes, flipped)


def _weight(
    path: str,
    module: nn.Module,
    name: str,
    inputs: int,
    outputs: int,
    fan_in: int,
    fan_out: int,
    transposed: bool = False,
) -> Weight:
    return Weight(
        path=f"{path}.{name}" if path else name,
        module=module,
        name=name,
        inputs=inputs,
        outputs=outputs,
        fan_in=fan_in,
        fan_out=fan_out,
        transposed=transposed,
    )


def is_reparametrized(weight: Weight) -> bool:
    """Whether the weight is computed from other tensors, so that writing to it does nothing."""
    return weight.name not in weight.module._parameters
