"""Where a non-finite value was born: the last forward again, with every module looked at.

Run once when gradients turn non-finite, before the update destroys the evidence. The batch of
the last forward is still at hand; the model runs on it under `no_grad` in the mode and autocast
state it had, and every module says how many non-finite elements went in and came out. Buffers,
parameters that a forward may write (those without gradients) and the generators' states are put
back to the bit, so that training goes on as if nobody had looked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.probes.activations import first_tensor
from steadytrain.probes.gradients import count_nonfinite
from steadytrain.watching.callbacks import Callback
from steadytrain.watching.sites import unwrap


@dataclass(slots=True)
class LastCall:
    """The newest call of a watched model, by reference: nothing is copied."""

    model: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    autocast: dict[str, torch.dtype] = field(default_factory=dict[str, torch.dtype])
    seen: bool = False

    def remember(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The forward pre-hook: what the model is called with is the newest call."""
        if torch.compiler.is_compiling():
            return
        self.args, self.kwargs, self.seen = args, kwargs, True
        self.autocast = {
            kind: torch.get_autocast_dtype(kind)
            for kind in ("cpu", "cuda")
            if torch.is_autocast_enabled(kind)
        }

    def num_nonfinite(self) -> float:
        """Non-finite elements in the tensors handed to the model."""
        return float(count_nonfinite(list(_tensors((self.args, self.kwargs)))).nansum())


@dataclass(frozen=True, slots=True)
class ModuleCount:
    """One executed module and its non-finite elements."""

    name: str
    going_in: float
    coming_out: float


def look_again(call: LastCall, modules: Sequence[tuple[str, nn.Module]]) -> list[ModuleCount]:
    """The modules of the newest call in order of execution, with their non-finite elements."""
    counts: list[ModuleCount] = []
    done: set[str] = set()

    def count(name: str, inputs: Any, output: Any) -> None:
        if name in done:
            return
        done.add(name)
        into, out = (list(_tensors(value)) for value in (inputs, output))
        sums = [float(count_nonfinite(tensors).nansum()) for tensors in (into, out)]
        counts.append(ModuleCount(name, *sums))

    model = unwrap(call.model)
    with ExitStack() as stack:
        stack.enter_context(_put_back(model))
        stack.enter_context(torch.no_grad())
        for kind, dtype in call.autocast.items():
            stack.enter_context(torch.autocast(kind, dtype=dtype))
        for name, module in modules:
            hook = Callback(lambda _m, args, out, name=name: count(name, args, out))
            stack.callback(module.register_forward_hook(hook).remove)
        model(*call.args, **call.kwargs)
    return counts


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every floating tensor in a nest of tuples, lists and dicts."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
        return
    tensor = first_tensor(value)
    if tensor is not None:
        yield tensor.detach()


@contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    """Buffers, frozen parameters and generator states leave as they came."""
    kept = [*model.buffers(), *(p for p in model.parameters() if not p.requires_grad)]
    copies = [tensor.detach().clone() for tensor in kept]
    devices = sorted({t.device.index or 0 for t in model.parameters() if t.is_cuda})
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        with torch.no_grad():
            for tensor, copy in zip(kept, copies, strict=True):
                tensor.copy_(copy)
