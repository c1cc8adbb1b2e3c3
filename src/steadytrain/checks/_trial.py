"""One copy of a program on which a check may do anything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from steadytrain.checks._batches import FirstBatches
from steadytrain.checks._recording import Change, Recorder, gradients_of
from steadytrain.checks._seen import Call, FirstStep, GradientSeen
from steadytrain.core.check import Unseen
from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program
from steadytrain.optim.accumulation import Window
from steadytrain.optim.precision import LossScale, autocast, scaler_for
from steadytrain.training.stepping import differentiable_scalar, scalar


class Trial:
    """A copy of the program with the batches it may read.

    Args:
        program: the copy; change it at will.
        batches: where the first batches come from.
    """

    def __init__(self, program: Program, batches: FirstBatches) -> None:
        self.program = program
        self._batches = batches
        self._device = next(iter(program.model.parameters())).device
        own_step = program.step_fn is not None
        scaler = program.scaler if own_step else program.scaler or self._new_scaler()
        self._scale = LossScale(scaler, on_floor=lambda _: None)

    @property
    def model(self) -> nn.Module:
        """The copy's model."""
        return self.program.model

    @property
    def models(self) -> dict[str, nn.Module]:
        """The copy's model under "", and the modules in `extra` under their place."""
        found: dict[str, nn.Module] = {"": self.program.model}
        for name, part in self.program.extra.items():
            if isinstance(part, nn.Module):
                found[f"extra[{name!r}]"] = part
        return found

    @property
    def optimizers(self) -> list[Any]:
        """The copy's optimizers."""
        parts = [self.program.optimizer, *self.program.extra.values()]
        return [part for part in parts if hasattr(part, "param_groups") and hasattr(part, "step")]

    def let_go(self, own: Program) -> None:
        """The memory of the copy is free, whatever still refers to it; what is `own` stays."""
        kept = {id(one) for one in (*_tensors_of(own), own.optimizer, *own.extra.values())}
        for one in _tensors_of(self.program):
            if id(one) not in kept and one.layout == torch.strided and not is_lazy(one):
                one.grad = None
                one.data = one.data.new_empty(0)
        for optimizer in self.optimizers:
            if id(optimizer) not in kept:
                optimizer.state.clear()

    def batches(self, count: int) -> Iterator[Any]:
        """`count` batches: the first ones over and over where the data has fewer than eight."""
        held = self._batches.get(min(count, 8))
        for index in range(count):
            if index and index % len(held) == 0:
                held = self._batches.get(len(held))
            yield held[index % len(held)]

    def loss(self, batch: Any) -> Tensor:
        """The loss of a batch with its graph, under the program's precision.

        Raises:
            Unseen: the program has a `step_fn`, and no `loss_fn`.
        """
        if self.program.loss_fn is None:
            raise Unseen("the program has its own step_fn and no loss_fn")
        with autocast(self.program.precision, self._device):
            return differentiable_scalar(self.program.loss_fn(self.program.model, batch))

    def backward(self, loss: Tensor) -> None:
        """The gradients of `loss` are added to the parameters, unscaled."""
        self._scale.scale(loss).backward()
        scale = self.loss_scale
        if scale != 1.0:
            for parameter in self.program.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.div_(scale)

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied with before backward; 1 without a scaler."""
        scaler = self._scale.scaler
        return 1.0 if scaler is None or not scaler.is_enabled() else float(scaler.get_scale())

    def step(self, batch: Any) -> float:
        """One optimizer step on a batch: the user's own `step_fn`, or the canonical one.

        The canonical step takes the batch as every microbatch of its window.
        """
        program = self.program
        if program.step_fn is not None:
            loss = float(scalar(program.step_fn(program, batch)))
            program.step += 1
            return loss
        window = Window(1)
        program.optimizer.zero_grad(set_to_none=True)
        window.add(self.loss(batch), self._scale.scale)
        self._scale.unscale(program.optimizer)
        if program.clip is not None:
            held = [p for group in program.optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(held, program.clip)
        if self._scale.step(program.optimizer) and program.scheduler is not None:
            program.scheduler.step()
        program.step += 1
        return float(window.loss)

    def record(
        self,
        batch: Any,
        *,
        backward: bool = True,
        with_prints: bool = False,
        change: Change | None = None,
    ) -> FirstStep:
        """A recorded pass on `batch`: forward and backward, or a step of the user's own.

        Args:
            batch: what `loss_fn` or `step_fn` gets.
            backward: whether gradients are recorded; a `step_fn` runs in full either way.
            with_prints: whether `input_print` and `output_print` of the modules are kept.
            change: what happens to the arguments of the first module that is entered.

        Raises:
            Unseen: the program's own code raised.
        """
        recorder = Recorder(
            self.models, with_gradients=backward, with_prints=with_prints, change=change
        )
        try:
            with recorder(), _eager():
                if self.program.step_fn is not None:
                    return self._record_own_step(recorder, batch, backward=backward)
                return self._record_loss(recorder, batch, backward=backward)
        except Unseen:
            raise
        except Exception as error:  # the user's model, loss and step may raise anything
            place = f" in {recorder.where()}" if recorder.where() else ""
            said = f"{type(error).__name__}{place}: {error}"
            raise FirstStepError(said, recorder.where(), recorder.calls) from error

    def _record_loss(self, recorder: Recorder, batch: Any, *, backward: bool) -> FirstStep:
        with torch.set_grad_enabled(backward):
            if not backward:
                return recorder.first_step(self.loss_value(batch), {})
            loss = self.loss(batch)
            self.program.model.zero_grad(set_to_none=True)
            self._scale.scale(loss).backward()
        gradients = gradients_of(self.program.model, self.loss_scale)
        return recorder.first_step(float(loss.detach()), gradients)

    def loss_value(self, batch: Any) -> float:
        """The loss of a batch as a number, without a graph where gradients are switched off.

        Raises:
            Unseen: the program has a `step_fn`, and no `loss_fn`.
        """
        if self.program.loss_fn is None:
            raise Unseen("the program has its own step_fn and no loss_fn")
        with autocast(self.program.precision, self._device):
            value = self.program.loss_fn(self.program.model, batch)
        return float(scalar(value))

    def _record_own_step(self, recorder: Recorder, batch: Any, *, backward: bool) -> FirstStep:
        gradients: dict[str, GradientSeen] = {}
        with self._before_each_update(gradients) if backward else ExitStack():
            assert self.program.step_fn is not None
            loss = float(scalar(self.program.step_fn(self.program, batch)))
        for name, seen in gradients_of(self.program.model).items() if backward else ():
            gradients.setdefault(name, seen)
        return recorder.first_step(loss, gradients)

    @contextmanager
    def _before_each_update(self, gradients: dict[str, GradientSeen]) -> Iterator[None]:
        """Keeps what every optimizer is about to use, before it does."""
        names = {id(p): name for name, p in self.program.model.named_parameters()}

        def note(optimizer: Any, _args: Any, _kwargs: Any) -> None:
            held = {id(p) for group in optimizer.param_groups for p in group["params"]}
            mine = {name for key, name in names.items() if key in held}
            seen: Mapping[str, GradientSeen] = gradients_of(self.program.model)
            for name in mine:
                gradients.setdefault(name, seen[name])

        with ExitStack() as stack:
            for optimizer in self.optimizers:
                register: Callable[..., Any] | None
                register = getattr(optimizer, "register_step_pre_hook", None)
                if register is not None:
                    stack.callback(register(note).remove)
            yield

    def _new_scaler(self) -> Any:
        return scaler_for(self.program.precision, self._device)


class FirstStepError(ProgramError, Unseen):
    """The program's own code raised while a copy of it took a step.

    Args:
        message: what it raised, and in which module.
        site: path of that module, "" outside of all.
        calls: the functions that were recorded before; the last may be the one that raised.
    """

    def __init__(self, message: str, site: str = "", calls: tuple[Call, ...] = ()) -> None:
        super().__init__(f"the program's own code raised {message}")
        self.site = site
        self.calls = calls


def _tensors_of(program: Program) -> list[Tensor]:
    """The parameters of a program's modules."""
    parts = [program.model, *program.extra.values()]
    return [p for one in parts if isinstance(one, nn.Module) for p in one.parameters()]


def _eager() -> Any:
    """Inside it, compiled modules run uncompiled: what they compute can be seen."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled; importing it takes seconds
        return nullcontext()
    return torch.compiler.set_stance("force_eager")
