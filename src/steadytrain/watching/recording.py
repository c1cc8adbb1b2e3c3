"""What happens around a step, in the order of the loop, and the row it is recorded in.

clip         before_clip: the gradients as they are; after_clip: the clip's factor
step         before_step: gradients (unless the clip measured them), learning rate
             after_step: parameters, updates; sampling of the next step
log          the loss and whatever else the loop tells
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from steadytrain.probes import loss_graph
from steadytrain.watching.alarm import Alarm
from steadytrain.watching.clock import Clock
from steadytrain.watching.forward import WatchedForward
from steadytrain.watching.logged import Logged
from steadytrain.watching.measuring import Measuring
from steadytrain.watching.optimizers import WatchedOptimizer
from steadytrain.watching.outlet import Outlet
from steadytrain.watching.scaling import Scaling
from steadytrain.watching.sites import ParameterSites
from steadytrain.watching.stepping import EVERYONE, Stepping

Boundary = Callable[[str], AbstractContextManager[None]]


class Recording:
    """Measures at every point of the loop and knows which row that belongs to.

    Args:
        models: by prefix of their names.
        sites: every parameter.
        outlet: where the measurements go.
        scaling: what a loss scaler did to the gradients.
        boundary: wraps what could raise apart from the step it is part of.
        every: steps between two samples.
        first_step: the first row.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        optimizers: Sequence[Any],
        sites: ParameterSites,
        outlet: Outlet,
        *,
        scaling: Scaling,
        boundary: Boundary,
        every: int,
        first_step: int,
    ) -> None:
        self._sites = sites
        self._outlet = outlet
        self._scaling = scaling
        self._boundary = boundary
        self._every = every
        self._sampling_row = -1
        self._measured: set[int] = set()
        """Parameters by id whose gradients were measured in the open row."""
        self.clock = Clock()
        self._logged = Logged()
        self._knows_loss = False
        self.stepping = Stepping(len(optimizers), skips=scaling.known, first=first_step)
        self.optimizers = [WatchedOptimizer(optimizer, sites) for optimizer in optimizers]
        self.forward = WatchedForward(models, boundary)
        self.measuring = Measuring(sites, self.optimizers, scaling, self._record)
        self._alarm = Alarm(self.forward, sites, self._record, boundary)
        self.sample_next_row()

    @property
    def row(self) -> int:
        """The row that is open, or the first one."""
        return max(self.stepping.row, 0)

    def inside(self) -> AbstractContextManager[None]:
        """Time spent in the block counts as the watch's."""
        return self.clock.inside()

    # points of the loop

    def before_step(self, owner: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """An optimizer is about to step."""
        if self.stepping.needs_row_for_step(owner):
            self._open_row()
        watched = self.optimizers[owner]
        watched.remember()
        self.measuring.rates(owner, deep=self._is_sampled(self.stepping.row))
        if any(callable(arg) for arg in (*args, *kwargs.values())):
            self.stepping.inside_step.add(owner)  # gradients come in the closure
        else:
            self._collect_of(owner)
        found_inf = self._scaling.found_inf(watched.optimizer)
        if found_inf is not None:
            self._record("step_skipped", found_inf)

    def after_step(self, owner: int) -> None:
        """An optimizer has stepped."""
        has_closure = owner in self.stepping.inside_step
        if has_closure:
            self.stepping.inside_step.discard(owner)
            self._collect_of(owner)
        self.measuring.arrivals(owner, has_closure=has_closure)
        self.measuring.updates(owner, deep=self._is_sampled(self.stepping.row))
        if self._is_sampled(self.stepping.row):
            self.measuring.waiting(owner)
        if not self.stepping.stepped:
            self._end_step()
        self.stepping.step(owner)
        if self.stepping.is_complete:
            self._take_activations()
            self.sample_next_row()
            self.forward.forget()

    def before_clip(
        self, params: list[Tensor], grads: list[Tensor], norms: Tensor | None, max_norm: float
    ) -> None:
        """Gradients are about to be clipped, whose norms the clip may have computed."""
        owner = self._owner_of(params)
        if self.stepping.needs_row_for_clip(owner, self._scaling.attempt):
            self._open_row()
        self.stepping.collected[owner] = self._scaling.attempt
        self._collect(params, grads, norms, max(owner, 0))
        self._record("max_grad_norm", float(max_norm))

    def after_clip(self, params: list[Tensor], coefficient: Tensor) -> None:
        """Gradients were multiplied with a factor."""
        places = self._sites.places(params)
        known = places if -1 not in places else [place for place in places if place >= 0]
        self._record("clip_coefficient", coefficient, known)

    def look_at_loss(self, loss: object) -> None:
        """What the loss is made of is in a row, once per run."""
        if self._knows_loss or getattr(loss, "grad_fn", None) is None:
            return
        self._knows_loss = True  # a graph that cannot be read is not tried again
        say = self._record if self.stepping.is_open else self._logged.wait
        for name, count in (loss_graph.operations(loss) or {}).items():
            say(name, count)

    def log(self, values: Mapping[str, object]) -> None:
        """The loop tells a number, or what should be one."""
        if not self.optimizers and self._begins_a_row(values):
            self._open_row()
        for name, value in values.items():
            number = self._logged.one_number(name, value)
            if number is not None:
                self._log(name, number)
        self.look_at_loss(values.get("loss"))

    def end(self) -> None:
        """Nothing more will come; what was logged for a step that was not made has a row."""
        if self._logged.is_waiting:
            self._open_row()
        else:
            self._close_row()

    def sample_next_row(self) -> None:
        """Activations of the forward to come are measured, if its row is a sampled one."""
        if self._is_sampled(self.stepping.row + 1):
            self._sampling_row = self.stepping.row + 1
            self.forward.attach()

    # rows

    def _open_row(self) -> None:
        self._close_row()
        bad_steps: set[int] = set()
        with self._boundary("flush"):
            bad_steps = self._outlet.rows_complete(self.stepping.row + 1)
        self.stepping.open()
        self._measured.clear()
        if bad_steps:
            self._alarm.look_late()
        for name, value in self._logged.take():
            self._record(name, value)
        if not self.optimizers:
            self._take_activations()
            self.sample_next_row()
        self._record("blind_training_calls", float(self.forward.take_blind_calls()))
        scale = self._scaling.scale()
        if scale is not None:
            self._record("loss_scale", scale)
        if self._is_sampled(self.stepping.row):
            self._record("training_mode", self.forward.training_share())
            self.measuring.held()

    def _close_row(self) -> None:
        """What can be said of the row only now that it is over."""
        self._take_activations()
        if self.stepping.was_skipped:
            self._record("step_skipped", 1.0)

    def _begins_a_row(self, names: Iterable[str]) -> bool:
        return not self.stepping.is_open or any(map(self._logged.has, names))

    def _log(self, name: str, number: Tensor | float) -> None:
        if self.optimizers and self._logged.is_for_next(
            name,
            has_row=self.stepping.is_open,
            is_under_way=self.stepping.is_under_way(self._scaling.attempt),
            has_backward=self.measuring.has_backward,
            is_complete=self.stepping.is_complete,
            is_blind=self.measuring.is_blind,
        ):
            self._logged.wait(name, number)
        else:
            self._logged.note(name)
            self._record(name, number)

    def _record(
        self,
        stat: str | tuple[str, ...],
        value: Tensor | float,
        sites: Sequence[Any] | None = None,
    ) -> None:
        self._outlet.record(self.row, stat, value, sites)

    def _is_sampled(self, row: int) -> bool:
        return row % self._every == 0

    def _collect_of(self, owner: int) -> None:
        """Those of the optimizer's gradients are measured that no clip has measured."""
        measured, params = self._measured, self.optimizers[owner].params
        if not measured.issuperset(map(id, params)):
            rest = [param for param in params if id(param) not in measured]
            held = [(param, grad) for param in rest if (grad := param.grad) is not None]
            self._collect([param for param, _ in held], [grad for _, grad in held], None, owner)
        self.stepping.collected[owner] = self._scaling.attempt

    def _owner_of(self, params: Sequence[Tensor]) -> int:
        """The one optimizer that holds all the parameters, or `EVERYONE`."""
        if len(self.optimizers) == 1:
            return 0
        owners = {self._sites.owners.get(id(param), EVERYONE) for param in params}
        return owners.pop() if len(owners) == 1 else EVERYONE

    def _collect(
        self, params: list[Tensor], grads: list[Tensor], norms: Tensor | None, owner: int
    ) -> None:
        self._measured.update(map(id, params))
        deep = self._is_sampled(self.stepping.row)
        self.measuring.gradients(params, grads, norms, owner, self._alarm, deep=deep)

    def _end_step(self) -> None:
        seconds, inside = self.clock.step_ended()
        self._record("step_seconds", seconds)
        self._record("watch_seconds", inside)

    def _take_activations(self) -> None:
        if self._sampling_row > self.stepping.row:
            return
        for stats, values, names in self.forward.detach():
            self._record(stats, values, names)
