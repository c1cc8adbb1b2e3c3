"""Dropout for the zoo's networks, which have none of their own."""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts


def with_dropout(parts: Parts) -> None:
    """Every activation is followed by a little dropout."""
    share = parts.case.pick("dropout", (0.1, 0.2))
    for path, module in list(parts.model.named_modules()):
        if isinstance(module, nn.ReLU | nn.GELU | nn.LeakyReLU):
            parts.model.set_submodule(path, nn.Sequential(module, nn.Dropout(share)))
