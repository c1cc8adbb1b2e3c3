"""A seal on everything at rest: a bit that flips between two steps is found, and named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor, nn

from steadytrain.core.errors import UsageError
from steadytrain.snapshots.capturing import Capture, has_state
from steadytrain.snapshots.hashing import Hash, hash_all, unequal
from steadytrain.snapshots.layout import bytes_of
from steadytrain.snapshots.tensors import elements, has_data

_FEW_BITS: Final = 4
_STRIKES: Final = 2

Origin = Literal["memory", "edit"]


@dataclass(frozen=True, slots=True)
class Broken:
    """A tensor that is not what it was when the seal was closed."""

    name: str
    """Its path, as `optimizer.param_groups[0][3]['exp_avg']`."""
    tensor: Tensor
    """The live one."""


class Seal:
    """Hashes of weights, buffers and moments, closed after a step and looked at before the next.

    Nothing may change in between, so that what did change was the memory, or code that wrote
    past torch: `.data`, NumPy. Ordinary operations in place (a clip of weights, an average put in)
    raise torch's version counter; they are never reported, and neither are the other buffers of a
    module that counts its calls so (batch norm in an evaluation that was left in train mode). Whoever restores the state and does
    the step again tells the two apart by `judge`: a fault of the memory changes few bits, or part
    of a tensor; code changes the whole of it. A tensor that was changed by code twice is sealed
    no longer.

    Cost: `close` and `broken` each take one pass over the memory of the parts, 0.3 ms per MB
    on one core; on a GPU `close` does not wait, and `broken` does once.

    Args:
        parts: name -> object, as `capture` takes them; what keeps its state to itself (a
            schedule, a scaler) is not sealed.
        every: seal one step in so many; a fault at rest behind another step is not seen.

    Raises:
        UsageError: `every` is no number of steps.

    Example:
        ```python
        import torch
        from steadytrain.snapshots import Seal

        model = torch.nn.Linear(2, 1)
        seal = Seal({"model": model})
        seal.close(step=0)
        model.weight.data.view(torch.int32)[0, 1] ^= 1 << 30
        assert [broken.name for broken in seal.broken()] == ["model.weight"]
        ```
    """

    def __init__(self, parts: Mapping[str, Any], *, every: int = 1) -> None:
        if not every >= 1:
            raise UsageError(f"Seal(every={every!r}): expected a number of steps from 1 on.")
        self._parts = parts
        self._every = every
        self._names: list[str] = []
        self._tensors: list[Tensor] = []
        self._owners: list[int] = []
        self._versions: list[int] = []
        self._hashes: list[Hash] = []
        self._strikes: Counter[str] = Counter()

    @property
    def excluded(self) -> tuple[str, ...]:
        """What is sealed no longer, because code keeps changing it past torch."""
        return tuple(name for name, count in self._strikes.items() if count >= _STRIKES)

    @property
    def is_closed(self) -> bool:
        """Whether there is a seal to look at."""
        return bool(self._tensors)

    def close(self, step: int = 0) -> bool:
        """What the parts hold now is what `broken` compares with; returns whether it was due."""
        self.open()
        if step % self._every:
            return False
        excluded = set(self.excluded)
        found = {id(one.tensor): one for one in reversed(list(self._at_rest()))}
        kept = [one for one in reversed(found.values()) if one.name not in excluded]
        self._names = [one.name for one in kept]
        self._tensors = [one.tensor for one in kept]
        self._owners = [one.owner for one in kept]
        self._versions = [_version(tensor) for tensor in self._tensors]
        self._hashes = hash_all(self._tensors)
        return True

    def _at_rest(self) -> Iterator[_Resting]:
        """Every tensor with its path; one that is met twice may come twice."""
        for name, part in self._parts.items():
            if isinstance(part, nn.Module):
                yield from _of_module(name, part)
            elif isinstance(part, torch.optim.Optimizer):
                yield from _of_optimizer(name, part)
            elif part is not None and not has_state(part):
                walk = Capture()
                walk.live(part, name)
                for path, tensor in zip(walk.names, walk.tensors, strict=True):
                    yield _Resting(path, tensor)

    def open(self) -> None:
        """Nothing is sealed until the next `close`: somebody is about to change things."""
        self._names, self._tensors, self._owners = [], [], []
        self._versions, self._hashes = [], []

    def broken(self) -> list[Broken]:
        """The tensors that changed since `close` although nothing may have changed them."""
        written = [
            _version(tensor) != version
            for tensor, version in zip(self._tensors, self._versions, strict=True)
        ]
        # batch norm counts by torch's means and writes its statistics past them: they go together
        busy = {owner for owner, own in zip(self._owners, written, strict=True) if own} - {0}
        same = [at for at, own in enumerate(written) if not own and self._owners[at] not in busy]
        tensors = [self._tensors[at] for at in same]
        places = unequal([self._hashes[at] for at in same], hash_all(tensors))
        return [Broken(self._names[same[at]], tensors[at]) for at in places]

    def judge(self, name: str, found: Tensor, right: Tensor) -> Origin:
        """Whether the memory or code changed the tensor; code counts against sealing it.

        Args:
            name: of the broken tensor.
            found: a copy of what it held.
            right: what it holds after the step was done again.
        """
        origin = origin_of(found, right)
        self._strikes[name] += origin == "edit"
        return origin


@dataclass(frozen=True, slots=True)
class _Resting:
    """A tensor that is sealed."""

    name: str
    tensor: Tensor
    owner: int = 0
    """The same number for the buffers of one module, which are written to together; else 0."""


def _of_module(name: str, module: nn.Module) -> Iterator[_Resting]:
    for prefix, part in module.named_modules():
        dot = f"{name}.{prefix}." if prefix else f"{name}."
        for table in (part._parameters, part._buffers):
            for own, tensor in table.items():
                if tensor is not None and has_data(tensor):
                    owner = id(part) if table is part._buffers else 0
                    yield _Resting(dot + own, tensor, owner)


def _of_optimizer(name: str, optimizer: torch.optim.Optimizer) -> Iterator[_Resting]:
    for place, group in enumerate(optimizer.param_groups):
        for index, parameter in enumerate(group["params"]):
            where = f"{name}.param_groups[{place}][{index}]"
            if has_data(parameter):
                yield _Resting(where, parameter)
            for key, value in optimizer.state.get(parameter, {}).items():
                yield from _of_state(f"{where}[{key!r}]", value)


def _of_state(path: str, value: object) -> Iterator[_Resting]:
    if isinstance(value, Tensor):
        yield _Resting(path, value)
    elif isinstance(value, list | tuple):  # the history of LBFGS
        for place, item in enumerate(cast("Sequence[object]", value)):
            yield from _of_state(f"{path}[{place}]", item)


def origin_of(found: Tensor, right: Tensor) -> Origin:
    """`"memory"` for few bits or a part of the tensor, `"edit"` for more than half of it."""
    if found.shape != right.shape or found.dtype != right.dtype:
        return "edit"
    a, b = (_bytes(tensor) for tensor in (found, right))
    flipped = a ^ b
    num_bits = sum(((flipped >> bit) & 1).sum().item() for bit in range(8))
    if num_bits <= _FEW_BITS:
        return "memory"
    changed = flipped.view(-1, found.element_size()).any(dim=1).double().mean().item()
    return "memory" if changed <= 0.5 else "edit"


def _bytes(tensor: Tensor) -> Tensor:
    part = elements(tensor.detach()).resolve_conj().cpu()
    return torch.frombuffer(bytearray(bytes_of(part)) or bytearray(1), dtype=torch.uint8)


def _version(tensor: Tensor) -> int:
    """How often it was written to in place; a tensor made in inference mode does not count."""
    return -1 if tensor.is_inference() else tensor._version
