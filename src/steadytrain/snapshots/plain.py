"""Plain values as JSON and back, equal in type and bits; nothing is run to read them.

JSON's own null, booleans, whole numbers, finite numbers and strings stand for themselves. All
else is an object `{"!": kind, ...}`: JSON has no NaN, no bytes and no complex numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, cast

import torch

from steadytrain.core.errors import ProgramError

_MAX_DIGITS: Final = 4000


def encoded(value: Any, path: str) -> Any:
    """The value in JSON's own types.

    Raises:
        ProgramError: it could only be restored by running code (pickle).
    """
    kind: Any = type(value)
    if value is None or kind in (bool, str) or (kind is float and math.isfinite(value)):
        return value
    if kind is int and value.bit_length() < 3 * _MAX_DIGITS:
        return value
    if kind in _WRITERS:
        name, write = _WRITERS[kind]
        return {"!": name, "of": write(value)}
    raise ProgramError(
        f"{path} is a {kind.__module__}.{kind.__qualname__}, expected tensors, NumPy arrays, "
        "numbers, strings and containers of them: a checkpoint is loaded without running code. "
        "Let its state_dict() return plain values, or leave it out of the program."
    )


def decoded(data: Any) -> Any:
    """What `encoded` was given.

    Raises:
        ValueError: it is nothing that `encoded` writes.
    """
    if not isinstance(data, dict):
        if isinstance(data, list):
            raise ValueError("a list stands where a plain value is expected")
        return data
    found = cast("dict[str, Any]", data)
    name, of = found.get("!"), found.get("of")
    if name not in _READERS or len(found) != 2:
        raise ValueError(f"a value of the unknown kind {name!r}")
    try:
        return _READERS[name](of)
    except (TypeError, AttributeError, LookupError, RuntimeError, OverflowError) as error:
        raise ValueError(f"a {name} that cannot be read ({error})") from error


def _tuple(items: Any) -> list[Any]:
    return [encoded(item, "a key") for item in items]


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name, None) if isinstance(name, str) else None
    if not isinstance(found, torch.dtype):
        raise ValueError(f"{name!r} is no dtype")
    return found


_WRITERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    float: ("float", repr),
    int: ("int", hex),
    complex: ("complex", lambda v: [v.real.hex(), v.imag.hex()]),
    bytes: ("bytes", bytes.hex),
    torch.dtype: ("dtype", lambda v: str(v).removeprefix("torch.")),
    torch.device: ("device", str),
    torch.Size: ("size", list),
    tuple: ("tuple", _tuple),
}
_READERS: Final[dict[object, Callable[[Any], Any]]] = {
    "float": float,
    "int": lambda of: int(of, 16),
    "complex": lambda of: complex(float.fromhex(of[0]), float.fromhex(of[1])),
    "bytes": bytes.fromhex,
    "dtype": _dtype,
    "device": torch.device,
    "size": torch.Size,
    "tuple": lambda of: tuple(decoded(item) for item in of),
}
