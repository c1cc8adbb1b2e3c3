"""Training a program: the loop with every technique switchable, watched and resumable."""

from steadytrain.training.run import Run
from steadytrain.training.session import train

__all__ = ["Run", "train"]
