"""Brings a fault into a loop from outside, by hooks that know nothing of who takes the steps."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from steadytrain.lab.guarding.injection import Injection, Scene
from steadytrain.lab.guarding.workloads import Turn, Workload


class Injector:
    """Strikes a workload with one kind of fault.

    Args:
        workload: hooked until `detach`.
        kind: what strikes; nothing if None.
        begin: the batch at which the fault begins.
        seed: for what is drawn.
    """

    def __init__(self, workload: Workload, kind: Injection | None, begin: int, seed: int) -> None:
        self._workload = workload
        self._kind = kind
        self._poisoned = frozenset(begin + place for place in kind.batches) if kind else frozenset()
        self._begin = begin
        self._generator = torch.Generator().manual_seed(1000 + seed)
        self._batch = -1
        self._has_struck = False
        self._handles: list[Any] = []
        if kind is not None and kind.at in ("input", "activation"):
            self._hook()

    def begin_batch(self, place: int) -> None:
        """The loop is about to use the batch at this place of the data."""
        self._batch = place
        if self._is_due("rest"):
            self._has_struck = True
            self._strike(self._scene())

    def loss(self, loss: Tensor, turn: Turn) -> Tensor:
        """The loss as the loop gets to see it."""
        if self._is_poisoned("loss"):
            return self._strike(loss, self._generator)
        if self._is_due("gradient"):
            self._has_struck = True
            loss.register_hook(lambda _: self._after_backward(turn))
        return loss

    def detach(self) -> None:
        """No hook is left."""
        for handle in self._handles:
            handle.remove()

    def _is_poisoned(self, at: str) -> bool:
        return self._kind is not None and self._kind.at == at and self._batch in self._poisoned

    def _is_due(self, at: str) -> bool:
        if self._kind is None or self._kind.at != at or self._has_struck:
            return False
        return self._batch >= self._begin

    def _strike(self, *arguments: Any) -> Any:
        return cast("Injection", self._kind).strike(*arguments)

    def _after_backward(self, turn: Turn) -> None:
        def strike() -> None:
            groups = turn.optimizer.param_groups
            gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
            self._strike(gradients, self._generator)

        engine = cast("Any", torch.autograd.Variable)._execution_engine
        engine.queue_callback(strike)  # when the whole backward pass is done

    def _hook(self) -> None:
        kind, entrance = cast("Injection", self._kind), self._workload.entrance
        if kind.at == "activation":
            layers = [m for m in self._workload.model.modules() if isinstance(m, _LAYERS)]
            middle = layers[len(layers) // 2]
            self._handles.append(middle.register_forward_hook(self._disturb))
        elif isinstance(entrance, nn.Embedding):
            self._handles.append(entrance.register_forward_hook(self._poison_output))
        else:
            self._handles.append(entrance.register_forward_pre_hook(self._poison_input))

    def _disturb(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        if not self._is_due("activation") or not torch.is_grad_enabled():
            return output
        self._has_struck = True
        if isinstance(output, tuple):
            first, *rest = cast("tuple[Any, ...]", output)
            return (self._strike(first, self._generator), *rest)
        return self._strike(output, self._generator)

    def _poison_output(self, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        return self._strike(output, self._generator) if self._is_poisoned("input") else output

    def _poison_input(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        if not self._is_poisoned("input"):
            return inputs
        return (self._strike(inputs[0], self._generator), *inputs[1:])

    def _scene(self) -> Scene:
        workload = self._workload
        optimizers, average = workload.optimizers, workload.average
        buffers = [b for b in workload.model.buffers() if b.is_floating_point()]
        return Scene(
            parameters=list(workload.model.parameters()),
            moments=[state for o in optimizers for state in o.state.values()],
            buffers=buffers,
            averages=[] if average is None else list(average.parameters()),
            groups=[group for o in optimizers for group in o.param_groups],
            generator=self._generator,
        )


_LAYERS = (nn.Linear, nn.Conv2d, nn.LSTM)
