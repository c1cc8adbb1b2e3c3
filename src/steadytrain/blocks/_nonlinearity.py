"""An activation as a module, whatever it was given as."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from steadytrain.blocks._activation import NAMED, Activation, elementwise, name_of


class Nonlinearity(nn.Module):
    """factor * activation(x).

    A module is copied, so that blocks built from one do not share its parameters; of a class a
    new one is made.

    Raises:
        UsageError: it is no elementwise function.
        UnknownNameError: a name that no activation has.
    """

    def __init__(self, activation: Activation | type[nn.Module], factor: float = 1.0) -> None:
        super().__init__()
        made = activation() if isinstance(activation, type) else activation
        elementwise(made)
        self.label, self.factor = name_of(made), factor
        if isinstance(made, str):
            made = NAMED[made]
        elif isinstance(made, nn.Module):
            made = copy.deepcopy(made)
        self.function = cast("Callable[[Tensor], Tensor]", made)

    def forward(self, x: Tensor) -> Tensor:
        """The activation of `x`, times the factor."""
        out = self.function(x)
        return out if self.factor == 1.0 else out * self.factor

    def extra_repr(self) -> str:
        return self.label if self.factor == 1.0 else f"{self.factor:.4g} * {self.label}"
