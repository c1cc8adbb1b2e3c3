"""Five batches in a row hold an outlier of a million."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, with_one


def strike(tensor: Tensor, generator: Generator) -> Tensor:
    """The poisoned input."""
    return with_one(tensor, 1e6, generator)


INJECTION = injection(__name__, __doc__, at="input", strike=strike, batches=tuple(range(5)))
