"""The guard: every step commits or leaves no trace; the only thing that changes a run by itself."""

from steadytrain.guard.detect_spike import SpikeOptions
from steadytrain.guard.policy import Policy
from steadytrain.guard.session import Guard
from steadytrain.guard.transaction import Step

__all__ = ["Guard", "Policy", "SpikeOptions", "Step"]
