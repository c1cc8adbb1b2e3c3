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

import importlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_ as torch_clip_grad_norm_

from steadytrain.core.action import Event
from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.core.program import Program
from steadytrain.probes.staleness import Sentinel
from steadytrain.watching import clipping
from steadytrain.watching.boundary import Boundary, Part
from steadytrain.watching.callbacks import Callback, Nothing
from steadytrain.watching.outlet import Outlet
from steadytrain.watching.recording import Recording
from steadytrain.watching.scaling import Scaling
from steadytrain.watching.sites import ParameterSites


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
        self._outlet = outlet
        self._sites = sites
        self._is_off = False
        self._handles: list[Any] = []
        self._recording = Recording(
            models,
            optimizers,
            sites,
            outlet,
            scaling=scaling,
            boundary=self._boundary,
            every=every,
            first_step=first_step,
        )
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
        return self._recording.stepping.finished

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
        held = [(param, grad) for param in chosen if (grad := param.grad) is not None]
        params, grads = [param for param, _ in held], [grad for _, grad in held]
        if clipping.shares_pass(grads, norm_type, foreach):
            norms, total = clipping.norms_and_total(grads)
            factor = None
            with self._part("clip") as recording:
                factor = clipping.coefficient(max_norm, total)
                recording.before_clip(params, grads, clipping.shareable(grads, norms), max_norm)
            clipping.scale_by(params, max_norm, total, factor, error_if_nonfinite, foreach)
        else:
            with self._part("clip") as recording:
                recording.before_clip(params, grads, None, max_norm)
            total = torch_clip_grad_norm_(params, max_norm, norm_type, error_if_nonfinite, foreach)
            factor = None
        with self._part("clip") as recording:
            if factor is None:
                factor = clipping.coefficient(max_norm, total)
            recording.after_clip(params, factor)
        return total

    def log(self, **values: Tensor | float) -> None:
        """The step's loss, or another statistic of the whole run, is noted. No synchronisation.

        Call it once per step or per microbatch, before or after the optimizer's step; several
        losses of one step are averaged. A name that is not a declared statistic of the run, or a
        value that is not one number, is left out with one warning.

        Example:
            watch.log(loss=loss)
        """
        with self._part("log") as recording:
            recording.log(values)

    def look_at_loss(self, loss: Tensor) -> None:
        """What the loss is made of is noted, once per run: it tells what makes a NaN of it.

        `log` does so where the loss it is given still has its graph; call this before a loop that
        logs `loss.item()`. No tensor is read.
        """
        with self._part("log") as recording:
            recording.look_at_loss(loss)

    def findings(self) -> list[Finding]:
        """Everything found so far, in order of step; what was measured until now is judged."""
        self.flush()
        with self._boundary("findings"):
            return self._outlet.all_findings()
        return list(self._outlet.findings)

    def diagnose(self, program: Program | None = None, steps: int = 200) -> Diagnosis:
        """Why the watched training goes wrong, proven by trials on copies of `program`.

        Args:
            program: the loop as an object; a watch sees a loop, but cannot run it again.
            steps: optimizer steps of the run that is observed anew.

        Raises:
            UsageError: there is no program to run again.
        """
        if program is None:
            raise UsageError(
                "watch.diagnose() got no program: a watch sees the steps of a loop, but cannot run "
                "them again. Put the loop into steadytrain.Program(model=..., optimizer=..., "
                "batches=..., step_fn=...) and pass it; watch.findings() says what was seen so far."
            )
        diagnose = importlib.import_module("steadytrain.doctor").diagnose
        return diagnose(program, steps)

    def add_event(self, event: Event) -> None:
        """What was done to the run is on record."""
        with self._boundary("events"):
            self._outlet.add_event(event)

    def flush(self) -> None:
        """Everything measured until now is in the history, judged, and on disk."""
        with self._boundary("flush"), self._recording.inside():
            self._outlet.flush(everything=True)

    def close(self) -> None:
        """Everything is flushed and no hook is left; a second call does nothing."""
        if self._outlet.closed:
            return
        with self._part("close") as recording:
            recording.end()
        self.flush()
        self._is_off = True
        for handle in self._handles:
            handle.remove()
        self._recording.forward.close()
        with self._boundary("close"):
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

    def __del__(self) -> None:
        """What was watched is gone: its last rows are not lost."""
        with suppress(Exception):  # attributes may be missing, and the interpreter may be ending
            self.close()

    # hooks

    def _attach(self) -> None:
        for owner, watched in enumerate(self._recording.optimizers):
            before, after = partial(self._before_step, owner), partial(self._after_step, owner)
            self._handles += [
                watched.optimizer.register_step_pre_hook(Callback(before)),
                watched.optimizer.register_step_post_hook(Callback(after)),
            ]
            for sentinel in self._recording.measuring.sentinels[owner]:
                arrive = partial(self._arrive, sentinel)
                self._handles.append(sentinel.param.register_hook(Callback(arrive)))

    def _before_step(self, owner: int, _optimizer: Any, args: Any, kwargs: Any) -> None:
        with self._part("step") as recording:
            recording.before_step(owner, args, kwargs)

    def _after_step(self, owner: int, _optimizer: Any, _args: Any, _kwargs: Any) -> None:
        with self._part("step") as recording:
            recording.after_step(owner)

    def _arrive(self, sentinel: Sentinel, _grad: Tensor) -> None:
        try:  # the boundary spelt out: this runs several times a step
            sentinel.arrive()
        except Exception as error:
            with self._boundary("arrivals"):
                raise error from None

    # the boundary

    def _part(self, part: str) -> AbstractContextManager[Any]:
        """What a hook or a call does: within the boundary, on the clock, without gradients.

        Once the watch is off, the block is handed something that does nothing.
        """
        return _OFF if self._is_off else Part(part, self._broke, self._recording)

    def _boundary(self, part: str) -> AbstractContextManager[None]:
        return Boundary(part, self._broke)

    def _broke(self, part: str, error: Exception) -> None:
        """A part of the watch raised: said once, and what depends on it is switched off.

        A hook is never removed while torch may be going through the hooks: that would raise.
        """
        with suppress(Exception):  # nor may the report of it, a full disk or a log handler
            self._outlet.report_broken(part, error, self._recording.row)
        if part == "step":
            self._is_off = True
        if part in ("step", "activations"):
            self._recording.forward.close()


_OFF = nullcontext(Nothing())
