"""An architecture's blocks and optimizer settings put together."""

from __future__ import annotations

from steadytrain.core.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOMES)
