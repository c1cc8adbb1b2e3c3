"""What is watched of the forward pass: sampled activations, and the newest call by reference."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.probes import attention
from steadytrain.probes.activations import STATISTICS, ModuleProbe, is_traced, rows
from steadytrain.probes.foreach import without_autocast
from steadytrain.probes.layers import KINDS
from steadytrain.probes.units import UnitWindows
from steadytrain.watching.callbacks import Callback
from steadytrain.watching.origin import LastCall, ModuleCount, look_again
from steadytrain.watching.sites import named_modules, unwrap

SIGHT_EVERY: Final = 2
"""Sampled forwards of which one is looked at for attention: the sight slows every call in it."""

SELDOM: Final = 16
ENOUGH_LOOKS: Final = 2
"""One sampled forward in 16 is looked at once two looks in a row have shown no attention."""

Activations = tuple[tuple[str, ...], Tensor, list[str]]
"""Statistics, their values [modules, statistics], and the modules' names."""


class WatchedForward:
    """The modules of the watched models.

    Args:
        models: by prefix of their names.
        boundary: wraps what runs inside the user's forward, so that it cannot raise there.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        boundary: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._models = models
        self._boundary = boundary
        self.calls = [LastCall(model) for model in models.values()]
        self._removals = [
            call.model.register_forward_pre_hook(
                Callback(self._remember(prefix, call)), with_kwargs=True
            )
            for prefix, call in zip(models, self.calls, strict=True)
        ]
        self._closed = False
        self._hung: set[int] = set()
        """Modules by id on which a hook hangs: one that two models share has one."""
        self._waiting: set[str] = set()
        self._in_vain: set[str] = set()
        """Models that were waited for and are not called as a whole."""
        self._probes: dict[str, tuple[ModuleProbe, Callback]] = {}
        self._output_windows, self._input_windows = UnitWindows(), UnitWindows()
        self._order: list[str] = []
        self._attached: list[torch.utils.hooks.RemovableHandle] = []
        self._blind_calls = 0
        self._num_looks = 0
        self._looks_in_vain = 0
        self._sight: attention.AttentionSight | None = None
        self._logits: list[Tensor] = []
        """Attention that no module has been found for yet."""

    @property
    def is_attached(self) -> bool:
        """Whether activations are measured at the moment."""
        return bool(self._attached)

    def attach(self) -> None:
        """From its next forward on, every module's first output of a model is measured.

        The hooks are hung on as a forward begins that runs as it is written: one that hangs
        there while a forward is being compiled would have it compiled once more without.
        """
        if self._closed or self._attached:
            return
        self._waiting = {name for name, model in self._models.items() if not is_traced(model)}
        if not _anything_is_compiled():
            for prefix in self._waiting & self._in_vain:
                self._attach_to(prefix)

    def _attach_to(self, prefix: str) -> None:
        self._waiting.discard(prefix)
        own = {id(module) for module in unwrap(self._models[prefix]).modules()} - self._hung
        self._hung |= own
        for name, module in named_modules(self._models):
            if id(module) not in own:
                continue
            known = self._probes.get(name)
            if known is None or known[0].module is not module:
                probe = ModuleProbe(module)
                known = self._probes[name] = probe, Callback(self._hook(name, probe))
            self._attached.append(module.register_forward_hook(known[1]))
        self._attached.append(
            self._models[prefix].register_forward_hook(Callback(self._look_away), always_call=True)
        )

    def _remember(self, prefix: str, call: LastCall) -> Callable[..., None]:
        def remember(_module: nn.Module, args: Any, kwargs: Any) -> None:
            if torch.compiler.is_compiling():
                return
            with self._boundary("forward"):
                call.remember(args, kwargs)
                self._blind_calls += not call.is_training and _differs_in_training(call.model)
                self._in_vain.discard(prefix)
                if prefix in self._waiting and call.is_training:
                    self._attach_to(prefix)
                self._look(call)

        return remember

    def _look(self, call: LastCall) -> None:
        """Attention is seen from here to the end of the model's forward."""
        if not (self._attached and call.is_training and self._sight is None):
            return
        self._num_looks += 1
        if self._num_looks % (SELDOM if self._looks_in_vain >= ENOUGH_LOOKS else SIGHT_EVERY) == 1:
            self._sight = attention.AttentionSight(self._logits.append)
            self._sight.__enter__()

    def _look_away(self, *_: object) -> None:
        sight, self._sight = self._sight, None
        if sight is not None:
            sight.__exit__(None, None, None)
            self._looks_in_vain = 0 if sight.has_seen else self._looks_in_vain + 1

    def _is_training(self) -> bool:
        """Whether the forward is one that is learned from; a validation in between is not."""
        return torch.is_grad_enabled() or any(call.is_training for call in self.calls)

    def _hook(self, name: str, probe: ModuleProbe) -> Callable[..., None]:
        def see(_module: nn.Module, inputs: object, output: object) -> None:
            if torch.compiler.is_compiling():
                return
            if probe.calls or not self._is_training():
                return
            if self._logits and not _is_plain(probe.module):
                probe.more[attention.STATISTICS], self._logits[:] = self._logits[-1], []
            try:  # the boundary spelt out: this runs for every module
                self._order.append(name)
                with torch._C.DisableTorchFunction(), without_autocast():
                    probe.see(inputs, output)
            except Exception as error:
                with self._boundary("activations"):
                    raise error from None

        return see

    def detach(self) -> Iterator[Activations]:
        """The hooks are gone; yields what was measured, modules in order of execution."""
        self._in_vain |= self._waiting
        self._waiting = set()
        for handle in self._attached:
            handle.remove()
        self._attached = []
        self._look_away()
        self._logits.clear()
        self._hung = set()
        order, self._order = self._order, []
        seen = [(name, self._probes[name][0]) for name in order]
        measured: list[Activations] = []
        with self._boundary("activations"), torch.no_grad(), without_autocast():
            measured += self._measured(seen)
        yield from measured
        for _, probe in seen:
            probe.clear()

    def _measured(self, seen: Sequence[tuple[str, ModuleProbe]]) -> Iterator[Activations]:
        for values, names in rows(seen):
            yield STATISTICS, values, names
        own = {name: units for name, probe in seen if (units := probe.output_units) is not None}
        for dead, names in self._output_windows.add(own):
            yield ("dead_fraction",), dead[:, None], names
        read = {name: units for name, probe in seen if (units := probe.input_units) is not None}
        for dead, names in self._input_windows.add(read):
            yield ("input_dead_fraction",), dead[:, None], names
        for stats in (*KINDS, attention.STATISTICS):
            yield from _by_device(stats, [(name, probe.more.get(stats)) for name, probe in seen])

    def take_blind_calls(self) -> int:
        """Calls in training mode that nothing was learned from, since this was last asked."""
        taken, self._blind_calls = self._blind_calls, 0
        return taken

    def training_share(self) -> float:
        """Share of modules in training mode."""
        modes = [m.training for model in self._models.values() for m in unwrap(model).modules()]
        return sum(modes) / len(modes)

    def batch_num_nonfinite(self) -> float:
        """Non-finite elements handed to the models in their newest calls; NaN if none was seen."""
        seen = [call.num_nonfinite() for call in self.calls if call.seen]
        return sum(seen) if seen else float("nan")

    def look_again(self) -> list[ModuleCount]:
        """Every module of the newest calls with its non-finite elements, in order of execution.

        Call it while detached: the second look is not a step.
        """
        modules = named_modules(self._models)
        return [count for call in self.calls if call.seen for count in look_again(call, modules)]

    def forget(self) -> None:
        """The newest calls' tensors are no longer held."""
        for call in self.calls:
            call.args, call.kwargs, call.seen = (), {}, False

    def close(self) -> None:
        """No hook is left, and none will be."""
        self._closed = True
        for _ in self.detach():
            pass
        for removal in self._removals:
            removal.remove()
        self.forget()


def _differs_in_training(model: nn.Module) -> bool:
    """Whether a layer in training mode writes statistics: batch normalisation does."""
    return model.training and any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
        for module in model.modules()
    )


def _is_plain(module: nn.Module) -> bool:
    """Whether it is one of torch's own simple layers, which compute no attention."""
    own = type(module).__module__.startswith("torch.nn.modules")
    return own and next(module.children(), None) is None


def _anything_is_compiled() -> bool:
    """Whether `torch.compile` has made any graph in this process."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return dynamo is not None and bool(dynamo.counters.get("stats"))


def _by_device(
    stats: tuple[str, ...], rows: Sequence[tuple[str, Tensor | None]]
) -> Iterator[Activations]:
    """The rows side by side, for each device: one measurement instead of one per module."""
    groups: dict[torch.device, list[tuple[str, Tensor]]] = {}
    for name, row in rows:
        if row is not None:
            groups.setdefault(row.device, []).append((name, row))
    for group in groups.values():
        yield stats, torch.stack([row for _, row in group]), [name for name, _ in group]
