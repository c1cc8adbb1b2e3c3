"""What a checkpoint may hold: tensors and plain values, which load without running code."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Any, Final, cast

import numpy as np
import torch

from steadytrain.core.errors import ProgramError

_ARRAY: Final = "steadytrain.numpy"
_PLAIN: Final = (
    type(None), bool, int, float, complex, str, bytes, bytearray,
    torch.dtype, torch.device, torch.Size, Counter,
)  # fmt: skip


def encode(value: Any, path: str = "checkpoint") -> Any:
    """`value` with its NumPy parts as tensors; containers are copied, tensors are not.

    Raises:
        ProgramError: a part could only be restored by running code (pickle).
    """
    kind: Any = type(value)
    if isinstance(value, torch.Tensor) or kind in _PLAIN:
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        return {_ARRAY: _to_tensor(np.asarray(value)), "scalar": isinstance(value, np.generic)}
    if kind in (dict, OrderedDict):
        items = cast("dict[Any, Any]", value).items()
        return kind((key, encode(item, f"{path}[{key!r}]")) for key, item in items)
    if kind in (list, tuple, set):
        items = enumerate(cast("Iterable[Any]", value))
        return kind(encode(item, f"{path}[{place}]") for place, item in items)
    raise ProgramError(
        f"{path} is a {type(value).__module__}.{type(value).__qualname__}, expected tensors, "
        "NumPy arrays, numbers, strings and containers of them: a checkpoint is loaded without "
        "running code. Let its state_dict() return plain values, or leave it out of the program."
    )


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if isinstance(value, dict) and _ARRAY in value:
        array = value[_ARRAY].numpy()
        return array[()] if value["scalar"] else array
    if type(value) in (dict, OrderedDict):
        return type(value)((key, decode(item)) for key, item in value.items())
    if type(value) in (list, tuple, set):
        return type(value)(decode(item) for item in value)
    return value


def _to_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, order="C"))
