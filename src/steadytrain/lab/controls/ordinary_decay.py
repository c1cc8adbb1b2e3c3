"""AdamW with a weight decay of 0.1.

## What it looks like
Weight norms shrink over the run.

## Why it is healthy
It is the usual value for language models, and the loss falls as without it.

## Source
Brown et al. 2020 (GPT-3), appendix B.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Decay on all parameters."""
    parts.make_optimizer = lambda own: torch.optim.AdamW(
        own.model.parameters(), lr=own.rate, weight_decay=0.1
    )


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "vit", "vae"), make=make)
