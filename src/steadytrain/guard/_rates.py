"""Learning rates that were cut: the smaller rate holds during the optimizer's step only.

A schedule goes on as if nothing had been cut: some compute the next rate from the present one, and
would carry a cut on in ways of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from steadytrain.guard.policy import Policy, rate_scale


class Rates:
    """The cuts of a run, and what they make of the rates at the moment.

    Args:
        policy: says how much a cut is, and over how many steps the rate comes up again.
    """

    def __init__(self, policy: Policy) -> None:
        self.num_cuts = 0
        self.steps_since = 0
        """Steps taken since the last cut."""
        self._policy = policy
        self._handles: list[Any] = []
        self._kept: dict[int, list[Any]] = {}
        self._hookless: list[Any] = []

    @property
    def scale(self) -> float:
        """What the next step's learning rates are multiplied with."""
        return rate_scale(self._policy, self.num_cuts, self.steps_since)

    def attach(self, optimizers: Sequence[Any]) -> None:
        """Every step of the optimizers is taken at the cut rate from now on."""
        for optimizer in optimizers:
            before = getattr(optimizer, "register_step_pre_hook", None)
            after = getattr(optimizer, "register_step_post_hook", None)
            if callable(before) and callable(after):
                self._handles += [before(self._lower), after(self._raise)]
            else:
                self._hookless.append(optimizer)

    def detach(self) -> None:
        """No hook is left; the rates are the schedule's."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._hookless = [], []

    def cut(self) -> None:
        """The rates are cut once more, and ramped up again from near zero."""
        self.num_cuts += 1
        self.steps_since = 0
        for optimizer in self._hookless:  # without hooks the schedule's own rate is lowered
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * self._policy.rate_factor

    def advance(self) -> None:
        """A step was taken."""
        self.steps_since += 1

    def state_dict(self) -> dict[str, int]:
        """The cuts, as numbers."""
        return {"num_cuts": self.num_cuts, "steps_since": self.steps_since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The cuts are those that were saved."""
        self.num_cuts, self.steps_since = int(state["num_cuts"]), int(state["steps_since"])

    def _lower(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if self.num_cuts == 0:
            return
        self._put_back(optimizer)  # an earlier step that raised left its rates lowered
        scale = self.scale
        kept: list[Any] = []
        for group in optimizer.param_groups:
            rate = group.get("lr")
            kept.append(rate.clone() if isinstance(rate, Tensor) else rate)
            if isinstance(rate, Tensor):
                rate.mul_(scale)
            elif rate is not None:
                group["lr"] = rate * scale
        self._kept[id(optimizer)] = kept

    def _raise(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        self._put_back(optimizer)

    def _put_back(self, optimizer: Any) -> None:
        for group, rate in zip(
            optimizer.param_groups, self._kept.pop(id(optimizer), ()), strict=False
        ):
            if isinstance(rate, Tensor):
                group["lr"].copy_(rate)
            elif rate is not None:
                group["lr"] = rate
