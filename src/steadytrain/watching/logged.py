"""What the loop tells: numbers under declared names; what is neither is left out and said once."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from torch import Tensor

from steadytrain.core.stats import STATS

LOG: Final = logging.getLogger("steadytrain")


class Logged:
    """Takes values from `watch.log` without ever raising into the loop."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def one_number(self, name: str, value: object) -> Tensor | float | None:
        """`value` as what can be recorded under `name`, or None with one warning if it cannot."""
        if name not in STATS or STATS[name].kind != "run":
            known = ", ".join(stat for stat in STATS if STATS[stat].kind == "run")
            self._say(name, f"no such statistic of the run, expected one of: {known}")
            return None
        if isinstance(value, Tensor):
            if value.numel() != 1 or value.is_complex():
                self._say(name, f"got a tensor of shape {tuple(value.shape)}, expected one number")
                return None
            return value.detach().reshape(()).clone()
        try:
            return float(cast("Any", value))
        except (TypeError, ValueError):
            self._say(name, f"got {type(value).__name__}, expected a number or a tensor of one")
            return None

    def _say(self, name: str, what: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            LOG.warning("watch.log(%s=...): %s. It is left out; training goes on.", name, what)
