"""Hashes of tensors that see every flipped bit and every exchange, computed where they are.

On the host it is the CRC-32 of the bytes: it sees every change of up to 32 bits in a row, and
any other but one in four thousand million. On a GPU a row of words is folded upon itself, its
first half plus an odd multiple of its second, until one word is left: every word has then been
multiplied by an odd weight of its own modulo 2^64. An odd weight loses no bit, so that one changed
word always changes the hash; weights that differ tell an exchange of words from none, which the
XOR of `torch.hash_tensor` cannot.

Cost: one pass over memory on the host (0.3 ms per MB), two on a GPU and no synchronisation.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor

from steadytrain.snapshots.layout import bytes_of
from steadytrain.snapshots.tensors import elements

_ROW: Final = 4096
_WORD: Final = 8

# Odd multiples of the golden ratio's bits, as SplitMix64 spreads them; signed, as torch counts.
_WEIGHTS: Final = tuple(
    (((0x9E3779B97F4A7C15 * (2 * fold + 1)) & (2**64 - 1)) ^ 2**63) - 2**63 for fold in range(12)
)

Hash = int | Tensor
"""A number, or a GPU's numbers that nobody has waited for yet."""


def hash_all(tensors: Sequence[Tensor]) -> list[Hash]:
    """A hash of each tensor's bytes."""
    return [_hash(tensor) for tensor in tensors]


def unequal(a: Sequence[Hash], b: Sequence[Hash]) -> list[int]:
    """The places where two lists of hashes differ. Cost: one synchronisation for each GPU."""
    found: list[int] = []
    waiting: dict[torch.device, list[tuple[int, Tensor]]] = defaultdict(list)
    for place, (x, y) in enumerate(zip(a, b, strict=True)):
        if isinstance(x, int) or isinstance(y, int):
            same = isinstance(x, int) and isinstance(y, int) and x == y
        else:
            same = x.shape == y.shape and x.device == y.device
            if same:
                waiting[x.device].append((place, (x != y).any()))
        if not same:
            found.append(place)
    for flags in waiting.values():
        differ = torch.stack([flag for _, flag in flags]).tolist()
        found += [place for (place, _), flag in zip(flags, differ, strict=True) if flag]
    return sorted(found)


def _hash(tensor: Tensor) -> Hash:
    if (found := _hash_of_array(tensor)) is not None:
        return found
    part = elements(tensor.detach())
    if part.layout is not torch.strided:
        return _hash(part.coalesce()._values()) if part.layout is torch.sparse_coo else 0
    part = part.resolve_conj().resolve_neg()
    if part.device.type == "cpu":
        return zlib.crc32(bytes_of(part))
    return folded_hash(part)


def _hash_of_array(tensor: Tensor) -> int | None:
    """The quick way for what NumPy can look at without a copy: thousands of small tensors."""
    if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.device.type != "cpu":
        return None
    try:
        array = cast("Any", tensor.detach().numpy())
    except (TypeError, RuntimeError):  # bfloat16, sparse, conjugated: NumPy has no such thing
        return None
    return zlib.crc32(array) if array.flags.c_contiguous else None


def folded_hash(tensor: Tensor) -> Tensor:
    """The hashes of the tensor's rows of 32 KiB, [rows] int64, on its device."""
    octets = tensor.contiguous().reshape(-1).view(torch.uint8)
    whole = octets.numel() // (_ROW * _WORD) * (_ROW * _WORD)
    rest = octets.new_zeros(_ROW * _WORD)
    rest[: octets.numel() - whole] = octets[whole:]
    body = octets[:whole]
    if body.storage_offset() % _WORD:
        body = body.clone()
    parts = [part.view(torch.int64).view(-1, _ROW) for part in (body, rest) if part.numel()]
    return torch.cat([_folded(rows) for rows in parts])


def _folded(rows: Tensor) -> Tensor:
    fold = 0
    while (width := rows.shape[1]) > 1:
        half = width // 2
        rows = torch.add(rows[:, :half], rows[:, half:], alpha=_WEIGHTS[fold])
        fold += 1
    return rows[:, 0]
