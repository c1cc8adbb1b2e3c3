"""One element of one gradient is 1e30: its second moment would be infinite for ever."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, one_of, set_one


def strike(gradients: list[Tensor], generator: Generator) -> None:
    """The gradients are disturbed in place."""
    set_one(one_of(gradients, generator), 1e30, generator)


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
