"""How long a guard tries what, and when it gives up: the numbers of `decide`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from steadytrain.core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long the guard tries what, and when it gives up.

    Raises:
        UsageError: a number is out of its range.

    Example:
        >>> Policy(max_rollbacks=2).max_rollbacks
        2
    """

    patience: int = 3
    """Bad steps in a row before anything but the batch is suspected."""
    blind_patience: int = 24
    """The same where no good batch can be shown again (`guard.batches` is not used)."""
    max_bad_in_a_row: int = 200
    """Bad batches in a row, with weights that are good, after which the run stops."""
    reanchor_after: int = 64
    """Spikes in a row that are a new level."""
    settle_steps: int = 32
    """First steps at a new level whose gradients are clipped to what was typical."""
    max_rollbacks: int = 8
    """Rollbacks in the whole run."""
    max_flips: int = 1000
    """Times that memory which changed by itself is healed, beside these."""
    calm_steps: int = 200
    """Good steps after which a fault is a new one."""
    rate_factor: float = 0.5
    """What every learning rate is multiplied with when it is cut."""
    rewarm_steps: int = 50
    """Steps over which a cut rate is ramped up from near zero."""

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name == "rate_factor":
                _check(0.0 < value <= 1.0, option.name, value, "a factor above 0, up to 1")
            elif isinstance(value, bool) or not isinstance(value, int):
                _check(False, option.name, value, "a whole number")
            else:
                low = 0 if option.name in ("max_rollbacks", "settle_steps") else 1
                _check(value >= low, option.name, value, f"a whole number from {low} on")


def rate_scale(policy: Policy, num_cuts: int, steps_since: int) -> float:
    """What learning rates are multiplied with, `steps_since` the last of `num_cuts` cuts."""
    if not num_cuts:
        return 1.0
    ramp = min(1.0, (steps_since + 1) / (policy.rewarm_steps + 1))
    return math.pow(policy.rate_factor, num_cuts) * ramp


def _check(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise UsageError(f"Policy.{name}: got {value!r}, expected {expected}. See the default.")
