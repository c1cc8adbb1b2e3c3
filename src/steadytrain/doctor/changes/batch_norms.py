"""Batch norms are replaced by group norms, or begin anew with statistics that move."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._surgery import replace_modules
from steadytrain.doctor.scene import Scene


def grouped(program: Program, _scene: Scene) -> Program | None:
    """Group norms with the same scale and shift, which look at one sample."""
    return program if replace_modules(program, _group_norm) else None


def fresh(program: Program, _scene: Scene) -> Program | None:
    """Torch's own batch norms with the same scale and shift, running statistics of nothing yet."""
    return program if replace_modules(program, _batch_norm) else None


def _group_norm(module: nn.Module) -> nn.Module | None:
    if not isinstance(module, _BatchNorm):
        return None
    channels = module.num_features
    fits = (n for n in (8, 4, 2) if channels % n == 0 and channels >= 2 * n)
    groups = 1 if isinstance(module, nn.BatchNorm1d) else next(fits, 1)
    norm = nn.GroupNorm(groups, channels, eps=module.eps, affine=module.affine)
    norm.weight, norm.bias = module.weight, module.bias
    return norm


def _batch_norm(module: nn.Module) -> nn.Module | None:
    if not isinstance(module, _BatchNorm) or isinstance(module, nn.SyncBatchNorm):
        return None
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    kind = next((one for one in kinds if isinstance(module, one)), None)
    if kind is None:
        return None
    norm = kind(module.num_features, eps=max(module.eps, 1e-5), affine=module.affine)
    norm.weight, norm.bias = module.weight, module.bias
    device = None if module.weight is None else module.weight.device
    norm.to(device)
    return norm.train()


CHANGES = (
    change("group-norm", __doc__, text="group norm instead of batch norm", size=4, apply=grouped),
    change(
        "fresh-batchnorm",
        __doc__,
        text="batch norms reset, with statistics of the batches",
        size=4,
        apply=fresh,
    ),
)
