"""Where a non-finite value was born: the last forward again, with every module looked at.

Run once when gradients turn non-finite, before the update destroys the evidence. The batch of
the last forward is still at hand; the model runs on it under `no_grad` in the mode and autocast
state it had, and every module says how many non-finite elements went in and came out. Parameters,
buffers and the generators of torch, Python and numpy are put back to the bit, so that training
goes on as if nobody had looked.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

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
    is_training: bool = False
    """Whether the model's newest forward was one that is learned from."""

    def remember(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What the model is called with is the newest call, unless nothing is learned from it."""
        self.is_training = torch.is_grad_enabled()
        if not self.is_training:
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
    largest_in: float
    """Largest magnitude among the finite elements that went in."""
    nan_out: float
    """How many of those that came out are NaN."""


def look_again(call: LastCall, modules: Sequence[tuple[str, nn.Module]]) -> list[ModuleCount]:
    """The modules of the newest call in order of execution, with their non-finite elements."""
    counts: list[ModuleCount] = []
    done: set[str] = set()

    def count(name: str, inputs: Any, output: Any) -> None:
        if name in done:
            return
        done.add(name)
        into, out = (list(_tensors(value)) for value in (inputs, output))
        going_in, coming_out = (float(count_nonfinite(one).nansum()) for one in (into, out))
        counts.append(ModuleCount(name, going_in, coming_out, _largest(into), _num_nan(out)))

    model = unwrap(call.model)
    with ExitStack() as stack:
        stack.enter_context(_put_back(model))
        stack.enter_context(_eager())
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(torch.no_grad())
        for kind, dtype in call.autocast.items():
            stack.enter_context(torch.autocast(kind, dtype=dtype))
        for name, module in modules:
            hook = Callback(lambda _m, args, kw, out, name=name: count(name, (args, kw), out))
            handle = module.register_forward_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        model(*call.args, **call.kwargs)
    return counts


def _largest(tensors: Sequence[Tensor]) -> float:
    """The largest magnitude among finite elements; NaN where there is none."""
    finite = [torch.where(torch.isfinite(t), t, 0).abs().amax() for t in tensors if t.numel()]
    return max((float(one) for one in finite), default=float("nan"))


def _num_nan(tensors: Sequence[Tensor]) -> float:
    return float(sum(float(torch.isnan(one).sum()) for one in tensors))


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


def _eager() -> AbstractContextManager[Any]:
    """What is compiled runs as it was written: a hook more would have it compiled anew."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


@contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    """Parameters, buffers and generator states leave as they came.

    A buffer may be written or exchanged for another tensor: both are undone. The write goes
    through `.data`, which leaves version counters alone: a graph that is still to be differentiated
    may have saved these tensors.

    Cost: a copy of the parameters and buffers for as long as the second look lasts.
    """
    places = [(m._buffers, name, t) for m in model.modules() for name, t in m._buffers.items()]
    buffers = [tensor for _, _, tensor in places if tensor is not None]
    tensors = [tensor for tensor in (*buffers, *model.parameters()) if not is_lazy(tensor)]
    copies = [tensor.detach().clone() for tensor in tensors]
    devices = sorted({t.device.index or 0 for t in model.parameters() if t.is_cuda})
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for buffers_of, name, tensor in places:
            buffers_of[name] = tensor
        for tensor, copy in zip(tensors, copies, strict=True):
            tensor.data.copy_(copy)
