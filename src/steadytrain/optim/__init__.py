"""Prevention inside the optimizer step: schedules, precision, accumulation."""

from steadytrain.optim.schedules import (
    Schedule,
    warmup_cosine,
    warmup_linear,
    warmup_stable_decay,
)

__all__ = ["Schedule", "warmup_cosine", "warmup_linear", "warmup_stable_decay"]
