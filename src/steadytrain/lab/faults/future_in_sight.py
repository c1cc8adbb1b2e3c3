"""Every position may look at the character it is to predict.

## What is wrong
The causal mask is missing, so that the answer is read off the next position. The loss falls to
nothing, and the model can write no text.

## Remedy
Mask the future: `is_causal=True`.

## Source
The classical mistake of one's first transformer.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.layers import SelfAttention
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """No block masks."""
    for module in parts.model.modules():
        if isinstance(module, SelfAttention):
            module.causal = False


FAULT = fault(
    __name__,
    __doc__,
    cause="target-leak",
    on=("gpt",),
    plant=plant,
    seen=("preflight",),
)
