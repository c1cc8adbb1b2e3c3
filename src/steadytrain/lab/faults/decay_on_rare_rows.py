"""Weight decay on an embedding forgets the rows that are seldom seen.

## What is wrong
A row gets a gradient only when its token is in the batch, and loses a share of itself at every
step: with the decay that the matrices bear, rare tokens end at zero.

## Remedy
No decay for embeddings, norms and biases.

## Source
The groups of GPT-2's recipes; sparse rows under decoupled decay.
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def _optimizer(parts: Parts) -> torch.optim.Optimizer:
    shares = parts.extra["decay"]
    tables = [m.weight for m in parts.model.modules() if isinstance(m, nn.Embedding)]
    ids = {id(one) for one in tables}
    others = [one for one in parts.model.parameters() if id(one) not in ids]
    groups = [
        {"params": tables, "weight_decay": shares / parts.rate},
        {"params": others, "weight_decay": 0.01},
    ]
    return torch.optim.AdamW(groups, lr=parts.rate)


def prepare(parts: Parts) -> None:
    """No decay for the embeddings."""
    parts.extra["decay"] = 0.0
    parts.make_optimizer = _optimizer


def plant(parts: Parts) -> None:
    """A decay that takes a good part of a row between two of its gradients."""
    parts.extra["decay"] = parts.case.pick("share", (0.1, 0.2, 0.3))


def places(parts: Parts) -> tuple[str, ...]:
    """The embeddings."""
    tables = parts.model.named_modules()
    return tuple(path for path, module in tables if isinstance(module, nn.Embedding))


FAULT = fault(
    __name__,
    __doc__,
    cause="weight-decay-misapplied",
    also=("weight-decay-too-high",),
    on=("gpt", "lstm"),
    plant=plant,
    prepare=prepare,
    sites=places,
    is_sudden=False,
)
