"""Hooks that stay behind when what they hang on is copied or pickled.

A model under watch may be deep-copied (an EMA, a doctor's trial) or saved at any moment. The
copy must not carry the watch along, so every hook is one of these: copied or pickled, it
becomes a hook that does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Callback:
    """Calls `function`; its copies call nothing."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Callback:
        return Callback(do_nothing)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Callback, (do_nothing,))


def do_nothing(*args: Any, **kwargs: Any) -> None:
    """Return None, which every hook of torch takes as 'no change'."""


class Nothing:
    """Every method of it does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return do_nothing
