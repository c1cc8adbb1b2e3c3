"""What can be replaced in a model without changing what it can learn, and what can only be said."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from steadytrain.blocks._changes import Change
from steadytrain.blocks.norm_choice import MIN_BATCH

RMS_EPS: Final = 1e-5
"""As in Llama; torch's None is the machine epsilon of float32, which amplifies near-zero rows."""

GROUPS: Final = 32
"""Of group norm: Wu & He 2018, section 4.1."""


def repair(model: nn.Module, microbatch_size: int | None) -> list[Change]:
    """The model without what cannot work: statistics of one sample, an epsilon that is none.

    Args:
        model: changed in place; the parameters stay the same objects.
        microbatch_size: items of one forward pass; None leaves batch norms alone.
    """
    changes = list(_explicit_epsilons(model))
    if microbatch_size == 1:
        changes += _batch_to_group(model)
    return changes


def advise(model: nn.Module, microbatch_size: int | None) -> Iterator[str]:
    """What a person may want to change, because changing it here would change the model."""
    for conv, norm in _dead_biases(model):
        yield f"the bias of {conv} does nothing: {norm} subtracts the mean; build it with bias=False"
    few = microbatch_size is not None and 1 < microbatch_size < MIN_BATCH
    norms = [path for path, one in model.named_modules() if isinstance(one, _BatchNorm)]
    if few and norms:
        kept = f"{norms[0]} and {len(norms) - 1} more batch norms" if norms[1:] else norms[0]
        yield (
            f"{kept} take statistics from {microbatch_size} items, fewer than {MIN_BATCH}: "
            "GroupNorm needs none"
        )


def _explicit_epsilons(model: nn.Module) -> Iterator[Change]:
    for path, module in model.named_modules():
        if isinstance(module, nn.RMSNorm) and module.eps is None:
            module.eps = RMS_EPS
            why = "without one, rows near zero are amplified to unit size"
            yield Change(path=path, what=f"eps {RMS_EPS:g}", why=why)


def _batch_to_group(model: nn.Module) -> Iterator[Change]:
    """Batch norms over one sample become group norms with the same scale and shift."""
    for path, module in list(model.named_modules()):
        if not isinstance(module, _BatchNorm) or isinstance(module, nn.SyncBatchNorm) or not path:
            continue
        parent, _, name = path.rpartition(".")
        # over vectors a group would be a handful of numbers
        groups = 1 if isinstance(module, nn.BatchNorm1d) else _num_groups(module.num_features)
        norm = nn.GroupNorm(groups, module.num_features, eps=module.eps, affine=module.affine)
        norm.weight, norm.bias = module.weight, module.bias
        setattr(model.get_submodule(parent), name, norm.train(module.training))
        yield Change(path=path, what=f"GroupNorm({groups})", why="one sample has no statistics")


def _num_groups(channels: int) -> int:
    """The most groups up to `GROUPS` that divide the channels into parts of two or more."""
    fits = (n for n in range(min(GROUPS, channels // 2), 0, -1) if channels % n == 0)
    return next(fits, 1)


def _dead_biases(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Convolutions and linear maps with a bias, directly before a batch norm of their size.

    Directly: next to each other in a Sequential, where that is what runs.
    """
    for path, parent in model.named_modules():
        if not isinstance(parent, nn.Sequential):
            continue
        prefix = f"{path}." if path else ""
        for (first, one), (second, other) in pairwise(parent.named_children()):
            biased = isinstance(one, nn.Linear | _ConvNd) and one.bias is not None
            if biased and isinstance(other, _BatchNorm):
                yield f"{prefix}{first}", f"{prefix}{second}"
