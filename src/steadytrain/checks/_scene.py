"""What a check looks at: a program's copies, its first batches, and a recorded first step.

Everything is computed when it is first asked for and shared by all checks. What cannot be shown
raises `Unseen`, which the runner turns into the answer "not applicable".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.checks._batches import FirstBatches
from steadytrain.checks._copying import copied, seed_everything
from steadytrain.checks._recording import Change
from steadytrain.checks._seen import Call, FirstStep
from steadytrain.checks._trial import FirstStepError, Trial
from steadytrain.core.check import Unseen
from steadytrain.core.program import Program

Probed = TypeVar("Probed")

NUM_BATCHES = 8
"""Batches that are read for looking at the data."""


class Scene:
    """A program as the checks see it.

    Args:
        program: the user's own: read, never run and never changed.
        quick: whether slow checks are left out.
        seed: what every trial's random generators begin at.
    """

    def __init__(self, program: Program, *, quick: bool = False, seed: int = 0) -> None:
        self.program = program
        """The user's own program, to look at only: weights, options, module types."""
        self.quick = quick
        self.seed = seed
        self._batches = FirstBatches(program.batches)
        self._once: dict[Callable[[Scene], Any], Any] = {}

    @property
    def model(self) -> nn.Module:
        """The user's own model, to look at only."""
        return self.program.model

    @cached_property
    def device(self) -> torch.device:
        """Where the model's first parameter is."""
        return next(iter(self.model.parameters())).device

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The model's parameters by name, each once; lazy ones without values are left out."""
        return {name: p for name, p in self.model.named_parameters() if not is_lazy(p)}

    @property
    def optimizers(self) -> dict[str, Any]:
        """The program's optimizer and those in `extra`, by where they are."""
        found = {"optimizer": self.program.optimizer}
        for name, part in self.program.extra.items():
            if hasattr(part, "param_groups") and callable(getattr(part, "step", None)):
                found[f"extra[{name!r}]"] = part
        return found

    @property
    def has_own_step(self) -> bool:
        """Whether a step is the user's own `step_fn`, not the canonical one."""
        return self.program.step_fn is not None

    def batches(self, count: int = NUM_BATCHES) -> list[Any]:
        """Copies of the first batches, at most `count`; at least one."""
        return self._batches.get(count)

    def batch(self) -> Any:
        """A copy of the first batch."""
        return self.batches(1)[0]

    @contextmanager
    def trial(self) -> Iterator[Trial]:
        """A copy of the program, to do anything with; generators begin at the scene's seed.

        The copy is gone after the block: keep numbers, not parts of it. One at a time: two would
        need twice the memory.
        """
        seed_everything(self.seed)
        trial = Trial(copied(self.program), self._batches)
        try:
            yield trial
        finally:
            trial.let_go(own=self.program)

    @cached_property
    def _first(self) -> FirstStep | FirstStepError:
        try:
            with self.trial() as trial:
                return trial.record(self.batch())
        except FirstStepError as error:
            return error.with_traceback(None)

    @property
    def first(self) -> FirstStep:
        """A recorded forward and backward pass on the first batch, in the model's own mode.

        Raises:
            Unseen: it raised; `first-step` says why.
        """
        if isinstance(self._first, FirstStep):
            return self._first
        raise Unseen(str(self._first))

    @property
    def calls(self) -> tuple[Call, ...]:
        """The functions recorded on the first step, as far as it came."""
        return self._first.calls

    @property
    def failure(self) -> FirstStepError | None:
        """What the program's own code raised on the first step, None where it went well."""
        return None if isinstance(self._first, FirstStep) else self._first

    def look(
        self, *, batch: Any = None, evaluating: bool = False, change: Change | None = None
    ) -> FirstStep:
        """A recorded forward pass of a fresh copy, with prints (of a `step_fn`, a whole step).

        Args:
            batch: the first batch if None.
            evaluating: whether the copy is put into evaluation mode before.
            change: what happens to the arguments of the first module that is entered.

        Raises:
            Unseen: it raised.
        """
        with self.trial() as trial:
            if evaluating:
                trial.program.model.eval()
            own = self.batch() if batch is None else batch
            return trial.record(own, backward=False, with_prints=True, change=change)

    @property
    def evaluated(self) -> FirstStep:
        """A recorded forward pass on the first batch in evaluation mode, with prints.

        Raises:
            Unseen: it raised.
        """
        return self.once(_evaluated)

    def once(self, probe: Callable[[Scene], Probed]) -> Probed:
        """What `probe(scene)` returns; computed for the first check that asks, shared by all.

        Raises:
            Unseen: the probe raised it, for this check and every later one.
        """
        if probe not in self._once:
            try:
                self._once[probe] = probe(self)
            except Unseen as reason:
                self._once[probe] = reason
        kept = self._once[probe]
        if isinstance(kept, Unseen):
            raise Unseen(str(kept))
        return kept

    def close(self) -> None:
        """The data is let go."""
        self._batches.close()


def _evaluated(scene: Scene) -> FirstStep:
    return scene.look(evaluating=True)
