"""The watch: attached to a training loop by hooks, seeing every step and changing none.

    forward      forward pre-hook: the newest call, by reference
                 forward hooks on sampled steps: activations
    backward     tensor hooks on a few parameters: were gradients cleared?
    clip         watch.clip_grad_norm_: torch's numerics, its norms shared
    step         optimizer pre-hook: gradients (unless the clip measured them), learning rate
                 optimizer post-hook: parameters, updates; sampling of the next step
    log          the loss and whatever else the loop tells
    flush        every few rows: one copy to the host, into the history, the rules and the disk

Nothing here raises into the training step: a part that breaks is switched off at one boundary
and reported as a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_ as torch_clip_grad_norm_

from steadytrain.core.action import Event
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.watching import clipping
from steadytrain.watching.alarm import Alarm
from steadytrain.watching.callbacks import Callback
from steadytrain.watching.clock import Clock
from steadytrain.watching.forward import WatchedForward
from steadytrain.watching.logged import Logged
from steadytrain.watching.measuring import Measuring
from steadytrain.watching.optimizers import WatchedOptimizer
from steadytrain.watching.outlet import Outlet
from steadytrain.watching.scaling import Scaling
from steadytrain.watching.sites import ParameterSites
from steadytrain.watching.stepping import EVERYONE, Stepping


class Watch:
    """Watches a training loop; made by `steadytrain.watch`, which documents its arguments."""

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        optimizers: Sequence[Any],
        sites: ParameterSites,
        outlet: Outlet,
        *,
        every: int,
        scaling: Scaling,
        first_step: int,
    ) -> None:
        self.every = every
        self._outlet = outlet
        self._sites = sites
        self._scaling = scaling
        self._stepping = Stepping(len(optimizers), skips=scaling.known, first=first_step)
        self._optimizers = [WatchedOptimizer(optimizer, sites) for optimizer in optimizers]
        self._clock = Clock()
        self._logged = Logged()
        self._sampling_row = -1
        self._forward = WatchedForward(models, self._boundary)
        self._alarm = Alarm(self._forward, sites, self._record)
        self._measuring = Measuring(sites, self._optimizers, scaling, self._record)
        self._handles: list[Any] = []
        self._attach()

    # what the loop calls

    @property
    def history(self) -> History:
        """The measurements up to the last flush."""
        return self._outlet.history

    @property
    def run_dir(self) -> Any:
        """The directory the run is written to, or None."""
        return self._outlet.run_dir

    @property
    def step(self) -> int:
        """Finished optimizer steps."""
        return self._stepping.finished

    @torch.no_grad()
    def clip_grad_norm_(
        self,
        max_norm: float,
        norm_type: float = 2.0,
        error_if_nonfinite: bool = False,
        foreach: bool | None = None,
        *,
        parameters: Tensor | Iterable[Tensor] | None = None,
    ) -> Tensor:
        """The gradients are clipped as by `torch.nn.utils.clip_grad_norm_`, to the bit.

        Args:
            max_norm: threshold of the total norm.
            norm_type: order of the norm; `inf` for the largest magnitude.
            error_if_nonfinite: raise as torch does when the total is not finite.
            foreach: torch's choice of implementation.
            parameters: whose gradients; those of all watched parameters if None.

        Returns:
            The total norm of the gradients before clipping, a 0-dim tensor on their device.

        Raises:
            RuntimeError: the total is not finite and `error_if_nonfinite` asked for it.

        Cost: torch's own clip, whose pass over the gradients is shared; on a CPU less, since a
        factor of 1 is not multiplied. No synchronisation on a device.
        """
        if parameters is None:
            chosen = self._sites.current()
        else:
            chosen = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        params = [param for param in chosen if param.grad is not None]
        grads = [param.grad for param in params if param.grad is not None]
        if clipping.shares_pass(grads, norm_type, foreach):
            norms, total = clipping.norms_and_total(grads)
            self._before_clip(params, clipping.shareable(grads, norms), max_norm)
            clipping.scale_by(params, max_norm, total, error_if_nonfinite, foreach)
        else:
            self._before_clip(params, None, max_norm)
            total = torch_clip_grad_norm_(params, max_norm, norm_type, error_if_nonfinite, foreach)
        self._after_clip(params, clipping.coefficient(max_norm, total))
        return total

    def log(self, **values: Tensor | float) -> None:
        """The step's loss, or another statistic of the whole run, is noted. No synchronisation.

        Call it once per step or per microbatch, before or after the optimizer's step; several
        losses of one step are averaged. A name that is not a declared statistic of the run, or a
        value that is not one number, is left out with one warning.

        Example:
            watch.log(loss=loss)
        """
        with self._boundary("log"), self._clock.inside():
            if not self._optimizers and (
                not self._stepping.is_open or any(map(self._logged.has, values))
            ):
                self._open_row()
            for name, value in values.items():
                number = self._logged.one_number(name, value)
                if number is not None:
                    self._log(name, number)

    def findings(self) -> list[Finding]:
        """Everything found so far, in order of step; what was measured until now is judged."""
        self.flush()
        return list(self._outlet.findings)

    def add_event(self, event: Event) -> None:
        """What was done to the run is on record."""
        self._outlet.add_event(event)

    def flush(self) -> None:
        """Everything measured until now is in the history, judged, and on disk."""
        with self._boundary("flush"), self._clock.inside():
            self._outlet.flush(everything=True)

    def close(self) -> None:
        """Everything is flushed and no hook is left; a second call does nothing."""
        if self._outlet.closed:
            return
        self._close_row()
        self.flush()
        self._detach()
        self._outlet.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # hooks

    def _attach(self) -> None:
        for owner, watched in enumerate(self._optimizers):
            before, after = partial(self._before_step, owner), partial(self._after_step, owner)
            self._handles += [
                watched.optimizer.register_step_pre_hook(Callback(before)),
                watched.optimizer.register_step_post_hook(Callback(after)),
            ]
            for sentinel in self._measuring.sentinels[owner]:
                self._handles.append(sentinel.param.register_hook(Callback(sentinel.arrive)))
        self._sample_next_row()

    def _detach(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._forward.close()

    @contextmanager
    def _boundary(self, part: str) -> Iterator[None]:
        """The one boundary between the watch and the user's step: nothing of ours passes it."""
        try:
            yield
        except Exception as error:  # whatever it is, the user's training goes on
            self._outlet.report_broken(part, error, max(self._stepping.row, 0))
            if part in ("activations", "step"):
                self._detach()

    @torch.no_grad()
    def _before_step(self, owner: int, _optimizer: Any, args: Any, kwargs: Any) -> None:
        with self._boundary("step"), self._clock.inside():
            if self._stepping.needs_row_for_step(owner):
                self._open_row()
            watched = self._optimizers[owner]
            watched.remember()
            self._measuring.rates(owner)
            if any(callable(arg) for arg in (*args, *kwargs.values())):
                self._stepping.inside_step.add(owner)  # gradients come in the closure
            else:
                self._collect_of(owner)
            found_inf = self._scaling.found_inf(watched.optimizer)
            if found_inf is not None:
                self._record("step_skipped", found_inf)

    @torch.no_grad()
    def _after_step(self, owner: int, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        with self._boundary("step"), self._clock.inside():
            if owner in self._stepping.inside_step:
                self._stepping.inside_step.discard(owner)
                self._collect_of(owner)
            self._measuring.arrivals(owner)
            self._measuring.updates(owner, deep=self._is_sampled(self._stepping.row))
            if not self._stepping.stepped:
                self._end_step()
            self._stepping.step(owner)
            if self._stepping.is_complete:
                self._take_activations()
                self._sample_next_row()

    def _before_clip(self, params: list[Tensor], norms: Tensor | None, max_norm: float) -> None:
        with self._boundary("clip"), self._clock.inside():
            owners = {self._sites.owners.get(id(param), EVERYONE) for param in params}
            owner = owners.pop() if len(owners) == 1 else EVERYONE
            if self._stepping.needs_row_for_clip(owner, self._scaling.attempt):
                self._open_row()
            self._stepping.collected[owner] = self._scaling.attempt
            self._collect(params, norms, max(owner, 0))
            self._record("max_grad_norm", float(max_norm))

    def _after_clip(self, params: list[Tensor], coefficient: Tensor) -> None:
        with self._boundary("clip"), self._clock.inside():
            index = self._sites.index
            places = [index[id(param)] for param in params if id(param) in index]
            self._record("clip_coefficient", coefficient, places)

    # rows

    def _open_row(self) -> None:
        self._close_row()
        bad_steps = self._outlet.row_complete()
        self._stepping.open()
        if bad_steps:
            self._alarm.look_late()
        for name, value in self._logged.take():
            self._record(name, value)
        if not self._optimizers:
            self._take_activations()
            self._sample_next_row()
        scale = self._scaling.scale()
        if scale is not None:
            self._record("loss_scale", scale)
        if self._is_sampled(self._stepping.row):
            self._record("training_mode", self._forward.training_share())
            self._measuring.held()

    def _close_row(self) -> None:
        """What can be said of the row only now that it is over."""
        self._take_activations()
        if self._stepping.was_skipped:
            self._record("step_skipped", 1.0)

    def _log(self, name: str, number: Tensor | float) -> None:
        if self._optimizers and self._logged.is_for_next(
            name,
            has_row=self._stepping.is_open,
            is_under_way=self._stepping.is_under_way(self._scaling.attempt),
            has_backward=self._measuring.has_backward,
            is_complete=self._stepping.is_complete,
            is_blind=self._measuring.is_blind,
        ):
            self._logged.wait(name, number)
        else:
            self._logged.note(name)
            self._record(name, number)

    def _record(self, stat: str, value: Tensor | float, sites: Sequence[Any] | None = None) -> None:
        self._outlet.record(max(self._stepping.row, 0), stat, value, sites)

    def _is_sampled(self, row: int) -> bool:
        return row % self.every == 0

    def _collect_of(self, owner: int) -> None:
        """The optimizer's gradients are measured, unless the clip did it."""
        if not self._stepping.is_collected(owner):
            self._collect(self._optimizers[owner].with_grads(), None, owner)
            self._stepping.collected[owner] = self._scaling.attempt

    def _collect(self, params: Sequence[Tensor], norms: Tensor | None, owner: int) -> None:
        deep = self._is_sampled(self._stepping.row)
        self._measuring.gradients(params, norms, owner, self._alarm, deep=deep)

    def _end_step(self) -> None:
        seconds, inside = self._clock.step_ended()
        self._record("step_seconds", seconds)
        self._record("watch_seconds", inside)

    def _sample_next_row(self) -> None:
        """Activations of the forward to come are measured, if its row is a sampled one."""
        if self._is_sampled(self._stepping.row + 1):
            self._sampling_row = self._stepping.row + 1
            self._forward.attach()

    def _take_activations(self) -> None:
        if self._sampling_row > self._stepping.row:
            return
        for stat, module, value in self._forward.detach():
            self._record(stat, value, [module])
