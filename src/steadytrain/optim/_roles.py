"""What each parameter of a model is for: read from the type of the module that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # the parent of batch and instance norms
from torch.nn.modules.conv import _ConvNd  # the parent of all convolutions
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from steadytrain.core.errors import UsageError

Role = Literal["norm", "bias", "scalar", "scale", "declared", "embedding", "broadcast", "weight"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""In order of precedence: a tied tensor has the first of its holders' roles."""

_NORMS: Final = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDINGS: Final = (nn.Embedding, nn.EmbeddingBag)
_PRODUCTS: Final = (nn.Linear, nn.Bilinear, _ConvNd)
_RECURRENT: Final = (nn.RNNBase, nn.RNNCellBase)
_PROJECTIONS: Final = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_ATTENTION_BIASES: Final = ("in_proj_bias", "bias_k", "bias_v")


@dataclass(slots=True, kw_only=True)
class Held:
    """A parameter, every path it has in the model, and its role."""

    parameter: Tensor
    names: list[str]
    role: Role
    is_sparse: bool = False
    """Whether its gradient is sparse, which no optimizer can decay."""


def held_by(model: nn.Module) -> dict[int, Held]:
    """Every parameter of `model` once, by its id, in the model's order; frozen ones too."""
    found: dict[int, Held] = {}
    declared = _declared(model)
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            role = _role(model, path, module, name, parameter)
            if id(parameter) in declared and role == "weight":
                role = "declared"
            full = f"{path}.{name}" if path else name
            one = found.setdefault(id(parameter), Held(parameter=parameter, names=[], role=role))
            one.names.append(full)
            if ROLES.index(role) < ROLES.index(one.role):
                one.role = role
            one.is_sparse |= bool(getattr(module, "sparse", False)) and role == "embedding"
    return found


def _declared(model: nn.Module) -> set[int]:
    """What modules say of themselves through `no_weight_decay()`, a convention of timm."""
    ids: set[int] = set()
    for module in model.modules():
        speak = getattr(module, "no_weight_decay", None)
        names = speak() if callable(speak) else ()
        own = dict(module.named_parameters())
        ids |= {id(own[name]) for name in names if name in own}  # pyright: ignore[reportGeneralTypeIssues]
    return ids


def _role(model: nn.Module, path: str, module: nn.Module, name: str, parameter: Tensor) -> Role:
    if isinstance(module, ParametrizationList):
        return _parametrized_role(model, path, module, parameter)
    if isinstance(module, _NORMS):
        return "norm"
    if isinstance(module, _EMBEDDINGS) and name == "weight":
        return "embedding"
    if name in set(_weight_names(module)):
        return "weight"
    if name == "bias" or (isinstance(module, nn.MultiheadAttention) and name in _ATTENTION_BIASES):
        return "bias"
    return _role_by_shape(path, name, parameter)


def _parametrized_role(
    model: nn.Module, path: str, originals: ParametrizationList, parameter: Tensor
) -> Role:
    """The role of the tensor that is computed from it; a magnitude beside the direction scales."""
    *above, _, name = path.split(".")
    owner = model.get_submodule(".".join(above))
    largest = max(one.numel() for one in originals.parameters(recurse=False))
    if parameter.numel() < largest:
        return "scale"
    return _role(model, ".".join(above), owner, name, parameter)


def _weight_names(module: nn.Module) -> Iterator[str]:
    """The names of what a module of torch multiplies its input with."""
    if isinstance(module, _PRODUCTS):
        yield "weight"
    if isinstance(module, nn.MultiheadAttention):
        yield from _PROJECTIONS
    if isinstance(module, _RECURRENT):
        own = [name for name, _ in module.named_parameters(recurse=False)]
        yield from (name for name in own if name.startswith("weight_"))


def _role_by_shape(path: str, name: str, parameter: Tensor) -> Role:
    """For a module of the user's own: a matrix is a weight, a vector of any form is a scale."""
    if is_lazy(parameter):
        msg = f"the parameter {path}.{name} has no shape yet, so its role cannot be told"
        raise UsageError(f"{msg}. Run one batch through the model first.")
    if parameter.numel() == 1:
        return "scalar"
    if sum(size != 1 for size in parameter.shape) <= 1:
        return "scale"
    return "broadcast" if parameter.ndim >= 3 and parameter.shape[0] == 1 else "weight"
