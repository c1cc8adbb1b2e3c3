"""An architecture's blocks and optimizer settings put together."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Recipe": "plan",
    "auto": "automatic",
    "cnn": "convolutional",
    "finetune": "finetuning",
    "gan": "adversarial",
    "mlp": "feed_forward",
    "rl": "reinforcement",
    "rnn": "recurrent",
    "stabilise": "stabilising",
    "transformer": "transformers",
    "vit": "vision_transformers",
}
"""Public name -> the file it is in."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)
