"""A few steps of the program's own, on a copy, and all that the loop's checks read off them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from steadytrain.checks._graph_size import num_live_nodes
from steadytrain.checks._holdings import scalers_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._traffic import Path, Traffic, Update, norm_of
from steadytrain.checks._trial import Trial
from steadytrain.core.check import Unseen

NUM_CALLS: Final = 12
"""Steps that are looked at."""

FEWEST: Final = 7
"""Steps that are taken however long they last."""

COUNTED: Final = (1, 3, 5)
"""Steps, from 0, after which the graphs are counted."""

MOST: Final = 130
"""Steps at most while no optimizer has moved."""

SECONDS: Final = 4.0
"""Time after which no further step is begun."""

QUICK_FEWEST: Final = 2
QUICK_SECONDS: Final = 1.0
"""The same for a quick look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSeen:
    """A dropout or batch norm that ran."""

    call: int
    path: str
    training: bool
    with_grad: bool
    given: float | None = None
    """A number of what a dropout without gradients was given, None for others: equal ones show that
    one input is drawn for again and again."""


@dataclass(slots=True, kw_only=True)
class Steps:
    """What was seen in the steps."""

    num_calls: int = 0
    epoch: int | None = None
    """Batches of one pass over the data, where that is known."""
    losses: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])
    """How long each step took."""
    paths: tuple[Path, ...] = ()
    updates: list[Update] = field(default_factory=list[Update])
    num_foreign: int = 0
    """Steps of optimizers that hold none of the model's parameters."""
    moved: dict[str, bool] = field(default_factory=dict[str, bool])
    """Whether each parameter is another one after the steps."""
    nodes: list[int] = field(default_factory=list[int])
    """Graph nodes alive after the steps in `COUNTED`."""
    modes: list[ModeSeen] = field(default_factory=list[ModeSeen])
    shrunk_late: list[float] = field(default_factory=list[float])
    """Factor by which gradients were made smaller after the optimizer had used them."""
    schedule_counts: list[int] = field(default_factory=list[int])
    """How often the program's scheduler was stepped, after each step."""
    root_training: list[bool] = field(default_factory=list[bool])
    """The model's own mode at the beginning of each step."""

    @property
    def num_updates(self) -> int:
        """Optimizer steps, of any optimizer that holds the model's parameters."""
        return len(self.updates)


def steps_of(scene: Scene) -> Steps:
    """The steps, taken on a copy of the program.

    Raises:
        Unseen: the program's own code raised.
    """
    steps = Steps(epoch=_num_batches(scene))
    with scene.trial() as trial:
        traffic = Traffic(trial.model.named_parameters())
        with traffic(), _modes_noted(trial, steps, traffic):
            _run(trial, traffic, steps, quick=scene.quick)
        steps.moved = _moved(scene.parameters, trial.model)
    steps.num_foreign = traffic.num_foreign
    steps.paths, steps.updates = tuple(traffic.paths.values()), traffic.updates
    for path in steps.paths:
        path.parameter = torch.empty(0)  # the copy is let go
    return steps


def _run(trial: Trial, traffic: Traffic, steps: Steps, *, quick: bool) -> None:
    begin, start = time.perf_counter(), trial.program.step
    for call, batch in enumerate(trial.batches(MOST)):
        took = time.perf_counter() - begin
        if _is_enough(call, took, steps, traffic, quick=quick):
            return
        traffic.begin(call, _scale_of(trial))
        steps.root_training.append(bool(trial.model.training))
        begun = time.perf_counter()
        try:
            steps.losses.append(trial.step(batch))
        except Exception as error:  # the user's step may raise anything
            msg = f"step {call + 1} of the program's own raised {type(error).__name__}: {error}"
            raise Unseen(msg) from error
        steps.seconds.append(time.perf_counter() - begun)
        steps.num_calls = call + 1
        trial.program.step = start + call + 1
        _note_late_clip(traffic, steps)
        steps.schedule_counts.append(int(getattr(trial.program.scheduler, "last_epoch", 0)))
        if call in COUNTED:
            steps.nodes.append(num_live_nodes())


def _scale_of(trial: Trial) -> float:
    """What the program multiplies its loss with, by the scaler it has in any place."""
    own = [float(scaler.get_scale()) for scaler in scalers_of(trial.program)]
    return max([trial.loss_scale, *own])


def _is_enough(call: int, took: float, steps: Steps, traffic: Traffic, *, quick: bool) -> bool:
    if call < (QUICK_FEWEST if quick else FEWEST):
        return False
    if took > (QUICK_SECONDS if quick else SECONDS):
        return True
    # a window that spans the pass is only known not to end when the pass has
    waits = not traffic.updates and steps.epoch is not None and call <= steps.epoch
    return call >= NUM_CALLS and not waits


def _note_late_clip(traffic: Traffic, steps: Steps) -> None:
    """Gradients that were used and not brought again: are they all smaller by one factor?"""
    used = [path for path in traffic.paths.values() if path.is_spent and path.used_norm > 0.0]
    now = [norm_of(path.parameter.grad) / path.used_norm for path in used]
    if now and max(now) < 0.999 and min(now) > 0.0 and max(now) - min(now) < 1e-3 * max(now):
        steps.shrunk_late.append(max(now))


@contextmanager
def _modes_noted(trial: Trial, steps: Steps, traffic: Traffic) -> Iterator[None]:
    handles: list[Any] = []
    for path, module in trial.model.named_modules():
        if depends_on_mode(module):
            note = _noter(path, steps, traffic)
            handles.append(module.register_forward_pre_hook(note))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _noter(path: str, steps: Steps, traffic: Traffic) -> Any:
    def note(module: nn.Module, inputs: Any) -> None:
        seen = ModeSeen(
            call=traffic.call,
            path=path,
            training=module.training,
            with_grad=torch.is_grad_enabled(),
            given=_number_of(module, inputs),
        )
        steps.modes.append(seen)

    return note


def _number_of(module: nn.Module, inputs: Any) -> float | None:
    given = inputs[0] if inputs else None
    if (
        torch.is_grad_enabled()
        or not isinstance(module, _DropoutNd)
        or not isinstance(given, Tensor)
    ):
        return None
    return float(given.detach().double().sum())


def depends_on_mode(module: nn.Module) -> bool:
    """Whether training and evaluation mode are two things for it: a dropout or a batch norm."""
    if isinstance(module, _DropoutNd):
        return module.p > 0.0
    return isinstance(module, _NormBase) and bool(module.track_running_stats)


def _num_batches(scene: Scene) -> int | None:
    batches = scene.program.batches
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a DataLoader over a stream has a __len__ that raises
        return None


def _moved(own: dict[str, Tensor], model: nn.Module) -> dict[str, bool]:
    """Whether each parameter of the copy is another one than the program's own."""
    return {
        name: name not in own or not torch.equal(own[name].detach(), one.detach())
        for name, one in model.named_parameters()
    }
