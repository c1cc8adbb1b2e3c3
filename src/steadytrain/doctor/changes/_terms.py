"""The terms that a loss is the weighted sum of, read from the arithmetic that made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from steadytrain.doctor.changes._calls import Handlers

Operands = tuple[tuple[Any, float], ...]
"""What a scalar is made of: tensors or numbers, each with its factor."""

Term = tuple[Tensor, float]


class Arithmetic:
    """Remembers how each scalar of a step was made of others."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Tensor, Operands]] = {}

    def handlers(self) -> Handlers:
        """What sees the arithmetic."""
        return {
            "add": self._seen(lambda a, b, alpha=1: ((a, 1.0), (b, float(alpha)))),
            "add_": self._seen(lambda a, b, alpha=1: ((a, 1.0), (b, float(alpha)))),
            "sub": self._seen(lambda a, b, alpha=1: ((a, 1.0), (b, -float(alpha)))),
            "__rsub__": self._seen(lambda a, b: ((b, 1.0), (a, -1.0))),
            "rsub": self._seen(lambda a, b: ((b, 1.0), (a, -1.0))),
            "neg": self._seen(lambda a: ((a, -1.0),)),
            "mul": self._seen(_product),
            "div": self._seen(lambda a, b: ((a, 1.0 / float(b)),) if _is_number(b) else ()),
        }

    def terms(self, loss: Tensor) -> list[Term]:
        """The terms that need a gradient, each with its weight, in the order they were written."""
        found: list[Term] = []
        self._collect(loss, 1.0, found)
        return [(term, weight) for term, weight in found if term.requires_grad]

    def _collect(self, value: Any, weight: float, found: list[Term]) -> None:
        if not isinstance(value, Tensor):
            return
        known = self._made.get(id(value))
        if known is None or not known[1]:
            found.append((value, weight))
            return
        for operand, factor in known[1]:
            self._collect(operand, weight * factor, found)

    def _seen(self, operands_of: Callable[..., Operands]) -> Any:
        def handle(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # an in-place sum is a new scalar of the same object: what it was made of goes on
            before = self._made.get(id(args[0])) if args else None
            value = function(*args, **kwargs)
            if isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad:
                operands = operands_of(*args, **kwargs)
                if args and value is args[0]:
                    return self._in_place(value, before, operands)
                self._made[id(value)] = (value, operands)
            return value

        return handle

    def _in_place(self, value: Tensor, before: Any, operands: Operands) -> Tensor:
        old = before[1] if before is not None else ()
        self._made[id(value)] = (value, (*old, *operands[1:]) if old else ())
        return value


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.requires_grad
    return isinstance(value, int | float)


def _product(a: Any, b: Any) -> Operands:
    if _is_number(b):
        return ((a, float(b)),)
    return ((b, float(a)),) if _is_number(a) else ()
