"""One norm over all gradients that neither overflows nor hides what is not finite.

torch's numbers where torch is right: gradients of float32 or wider with a norm that fits. Half
precision is accumulated in float32. A norm that overflows though every element is finite (the
squares of 1e20 do, in float32) is taken again in float64, scaled by the largest element. On CUDA
the accumulation is in float64 from the start: one pass, and nobody waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from steadytrain.optim._shards import is_distributed, largest_magnitude, local, whole

HALF: Final = (torch.float16, torch.bfloat16)

_DTYPE = attrgetter("dtype")
_LAYOUT = attrgetter("layout")

# private, but torch's own clip is made of these multi-tensor operations
_foreach: Any = torch


def total_norm(grads: Sequence[Tensor], norm_type: float = 2.0) -> Tensor:
    """The norm of all gradients as one vector: [], not finite only where an element is not.

    Args:
        grads: dense, sparse, complex or distributed; every one has elements.
        norm_type: the p of the norm, above zero; `math.inf` for the largest magnitude.

    Dtype: float64 for float64 gradients, on CUDA, and where float32 overflowed; else float32.
    Cost: one pass over the gradients, and further ones only where the norm overflowed. On a CPU
    the check reads one number; on CUDA nothing is read. On other devices an overflow stays inf.
    """
    home = grads[0].device
    values, alike = list(grads), [list(grads)]
    if not _is_plain(grads):
        values = [one for one in map(elements, grads) if one.numel()]
        alike = _alike(values)
    if not values:
        return torch.zeros((), device=home)
    parts = [_norm(part, norm_type).to(home) for part in alike]
    total = parts[0] if len(parts) == 1 else _combined(parts, norm_type)
    if total.device.type == "cpu" and not bool(torch.isfinite(total)):
        return _wide_norm(values, norm_type)
    return total


def each_norm(grads: Sequence[Tensor]) -> list[Tensor]:
    """The L2 norm of every gradient by itself, with the same care as `total_norm`."""
    return [total_norm([grad]) for grad in grads]


def result_dtype(grads: Sequence[Tensor]) -> torch.dtype:
    """The dtype that norms are handed out in: the widest real one, at least float32."""
    wide = {torch.float64, torch.complex128} & set(map(_DTYPE, grads))
    return torch.float64 if wide else torch.float32


def rounded(total: Tensor, dtype: torch.dtype) -> Tensor:
    """`total` in `dtype`, unless it fits only where it is."""
    narrow = total.to(dtype)
    if total.device.type == "cpu" and bool(torch.isinf(narrow)):
        return total
    return narrow


def scale_(grads: Sequence[Tensor], coefficient: Tensor, foreach: bool | None = None) -> None:
    """Every gradient is multiplied by `coefficient`, in place.

    Shards of a distributed gradient are scaled where they are, so gradients of several meshes
    can stand side by side. A coefficient that float32 cannot hold is applied in two halves.
    """
    for group in _by_device_and_dtype(local(grad) for grad in grads):
        factor = coefficient.to(group[0].device)
        tiny = factor.device.type == "cpu" and bool(factor < torch.finfo(torch.float32).tiny)
        for _ in range(2 if tiny else 1):
            _multiply(group, factor.sqrt() if tiny else factor, foreach)


def elements(grad: Tensor) -> Tensor:
    """The numbers of a gradient: a sparse one's values, without its indices."""
    if grad.layout is torch.strided:
        return grad
    return grad.coalesce().values() if grad.layout is torch.sparse_coo else grad.values()


def _multiply(group: list[Tensor], factor: Tensor, foreach: bool | None) -> None:
    if foreach is not False and all(grad.layout is torch.strided for grad in group):
        _foreach._foreach_mul_(group, factor.to(_real(group[0].dtype)))
        return
    for grad in group:
        grad.mul_(factor)


def _real(dtype: torch.dtype) -> torch.dtype:
    """The dtype of a factor for `dtype`: a half-precision one would round the factor itself."""
    return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32


def _is_plain(values: Sequence[Tensor]) -> bool:
    """Whether torch's own norm takes all of them as they are: nearly always, so asked at once."""
    return (
        set(map(type, values)) == {Tensor}
        and set(map(_LAYOUT, values)) == {torch.strided}
        and not set(map(_DTYPE, values)) & set(HALF)
    )


def _alike(values: Sequence[Tensor]) -> list[list[Tensor]]:
    """The gradients in parts that one norm can take: by mesh, and half precision apart."""
    parts: dict[Any, list[Tensor]] = {}
    for one in values:
        mesh = getattr(one, "device_mesh", None)
        parts.setdefault((mesh, one.dtype in HALF), []).append(one)
    return list(parts.values())


def _norm(part: list[Tensor], norm_type: float) -> Tensor:
    """The norm of a part as a plain tensor, complete over the ranks that share it."""
    dtype = _accumulator(part[0])
    if is_distributed(part[0]):
        return _sharded_norm(part, norm_type, dtype)
    if dtype is None:
        return get_total_norm(part, norm_type)
    norms: list[Tensor] = []
    for group in _by_device_and_dtype(part):
        norms += _foreach._foreach_norm(group, norm_type, dtype=_like(group[0], dtype))
    return _combined([norm.to(part[0].device) for norm in norms], norm_type)


def _sharded_norm(part: list[Tensor], norm_type: float, dtype: torch.dtype | None) -> Tensor:
    if math.isinf(norm_type):
        return torch.stack([largest_magnitude(grad) for grad in part]).max()
    norms = [
        torch.linalg.vector_norm(grad, norm_type, dtype=dtype and _like(grad, dtype))
        for grad in part
    ]
    return whole(torch.linalg.vector_norm(torch.stack(norms), norm_type))


def _accumulator(grad: Tensor) -> torch.dtype | None:
    """The dtype to accumulate in; None where torch's own norm does it right."""
    if grad.device.type == "cuda":
        return torch.float64
    return torch.float32 if grad.dtype in HALF else None


def _like(grad: Tensor, dtype: torch.dtype) -> torch.dtype:
    """`dtype`, or the complex one of the same width for a complex gradient."""
    return torch.promote_types(dtype, torch.complex64) if grad.is_complex() else dtype


def _combined(norms: Sequence[Tensor], norm_type: float) -> Tensor:
    wide = max((norm.dtype for norm in norms), key=lambda dtype: dtype.itemsize)
    return torch.linalg.vector_norm(torch.stack([norm.to(wide) for norm in norms]), norm_type)


def _wide_norm(values: Sequence[Tensor], norm_type: float) -> Tensor:
    """The norm in float64, each part of it divided by its largest: no power overflows."""
    norms = [_wide(one, norm_type) for one in values]
    norms = torch.stack([norm.to(norms[0].device) for norm in norms])
    largest = norms.max()
    if not bool(torch.isfinite(largest)):
        return largest
    return largest * torch.linalg.vector_norm(norms / largest, norm_type)


def _wide(values: Tensor, norm_type: float) -> Tensor:
    values = values.to(torch.complex128 if values.is_complex() else torch.float64)
    if is_distributed(values):
        return _sharded_norm([values], norm_type, None)
    largest = values.abs().max()
    if math.isinf(norm_type) or not bool(torch.isfinite(largest) & (largest > 0)):
        return largest
    return largest * torch.linalg.vector_norm(values / largest, norm_type)


def _by_device_and_dtype(grads: Iterable[Tensor]) -> list[list[Tensor]]:
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for grad in grads:
        groups.setdefault((grad.device, grad.dtype), []).append(grad)
    return list(groups.values())
