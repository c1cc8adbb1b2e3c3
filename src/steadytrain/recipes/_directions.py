"""Weights as directions in a model that exists, as far as it has weights that can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import nn
from torch.nn.utils import parametrize

from steadytrain.blocks._changes import Change
from steadytrain.blocks.scale_free_weights import scale_free


def turn_to_directions(model: nn.Module, stored_rms: float | None) -> list[Change]:
    """Every matrix and embedding is stored at `stored_rms`, and only its direction is used.

    Left alone are weights that are shared, zero, frozen, or parametrised already.

    Args:
        model: changed in place; the parameters stay the same objects.
        stored_rms: None changes nothing.
    """
    if stored_rms is None:
        return []
    changes: list[Change] = []
    for path, module, name in list(_candidates(model)):
        is_embedding = isinstance(module, nn.Embedding)
        scale_free(module, name, rms=1.0 if is_embedding else None, stored_rms=stored_rms)
        what, why = f"scale-free, stored at {stored_rms:g}", "a wrong rate corrects itself"
        changes.append(Change(path=f"{path}.{name}" if path else name, what=what, why=why))
    return changes


def _candidates(model: nn.Module) -> Iterator[tuple[str, nn.Module, str]]:
    """The weights that may become directions: module path, module, name in it."""
    uses = Counter(id(one) for _, one in model.named_parameters(remove_duplicate=False))
    for path, module in model.named_modules():
        name = _name_of_weight(module)
        if name is None or parametrize.is_parametrized(module):
            continue
        weight = getattr(module, name)
        # a weight without a direction would divide by zero
        if weight is not None and weight.requires_grad and uses[id(weight)] == 1 and weight.any():
            yield path, module, name


def _name_of_weight(module: nn.Module) -> str | None:
    if isinstance(module, nn.Linear | nn.Embedding):
        return "weight"
    return "in_proj_weight" if isinstance(module, nn.MultiheadAttention) else None
