"""The host memory that snapshots are copied into, used again when a snapshot is given up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from steadytrain.snapshots.tensors import copy_all, elements

_Key = tuple[torch.dtype, torch.Size]


class HostMemory:
    """Host tensors by dtype and shape; a snapshot that is given up leaves its own to the next.

    Without it every snapshot would ask the system for new pages, which costs about as much as
    the copy itself.
    """

    def __init__(self) -> None:
        self._free: dict[_Key, list[Tensor]] = defaultdict(list)
        self._free_bytes = 0

    def copies(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Host copies of the tensors' elements, equal to the bit.

        Cost: one pass over memory. Copies from a GPU are complete when the device is
        synchronised; the snapshot waits for that before it is read.
        """
        sources = [elements(tensor) for tensor in tensors]
        targets = [self._place(source) for source in sources]
        plain = [index for index, target in enumerate(targets) if target is not None]
        copy_all([t for t in targets if t is not None], [sources[index] for index in plain])
        self._limit(sum(t.nbytes for t in targets if t is not None))
        return [
            sources[index].detach().to("cpu", copy=True) if target is None else target
            for index, target in enumerate(targets)
        ]

    def give_back(self, copies: Sequence[Tensor]) -> None:
        """The copies may be overwritten by the next snapshot."""
        for copy in copies:
            if copy.layout is torch.strided and type(copy) is Tensor:
                self._free[copy.dtype, copy.shape].append(copy)
                self._free_bytes += copy.nbytes

    def _limit(self, num_bytes: int) -> None:
        """What was not used again does not grow beyond one more snapshot: shapes may vary."""
        if self._free_bytes > num_bytes:
            self._free.clear()
            self._free_bytes = 0

    def _place(self, source: Tensor) -> Tensor | None:
        """Memory for a copy; None where only a clone can keep what the tensor is."""
        if type(source) is not Tensor or source.layout is not torch.strided:
            return None
        if source.is_quantized or source.is_nested:
            return None
        free = self._free.get((source.dtype, source.shape))
        if free:
            self._free_bytes -= source.nbytes
            return free.pop()
        pinned = source.device.type == "cuda"
        return torch.empty(source.shape, dtype=source.dtype, device="cpu", pin_memory=pinned)
