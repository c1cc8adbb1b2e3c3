"""What stands before and after each weight of a model: which activation, which norm.

The `forward` of a copy is traced symbolically: no number is computed and nothing is drawn. A model
that cannot be traced is read in the order of registration, with the activations its code names.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import torch
from torch import Tensor, fx, nn

from steadytrain.blocks._activation import NAMED, Activation
from steadytrain.blocks._code import operations
from steadytrain.blocks._layers import Layer, Reader, Signal
from steadytrain.blocks._matrices import matrices

_SUMS: Final = {operator.add, operator.iadd, torch.add, "add", "add_"}
_LINEAR: Final = {"flatten", "view", "reshape", "contiguous", "clone", "dropout", "avg_pool1d",
                  "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
                  "adaptive_avg_pool3d", "to", "float"}  # fmt: skip
"""Functions and methods that do the same to a signal and to its negative."""
_MOVES: Final = {"max_pool1d", "max_pool2d", "max_pool3d", "permute", "transpose", "squeeze",
                 "unsqueeze", "interpolate", "mean"}  # fmt: skip
"""Functions and methods behind which the numbers are still those of the activation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The layers of a model in the order of execution."""

    layers: tuple[Layer, ...]
    is_traced: bool
    """Whether the order is that of execution; else that of registration."""

    @property
    def activations(self) -> list[Activation]:
        """What follows the layers, one per layer that something follows."""
        return [layer.after for layer in self.layers if layer.after is not None]


def flow_of(model: nn.Module) -> Flow:
    """The layers of a model with what stands around them; the model is not run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _Tracer().trace(_shadow(model))
    except Exception:  # any forward may refuse symbols: then registration tells the order
        return Flow(layers=_by_registration(model), is_traced=False)
    layers = _by_execution(model, graph)
    if not layers and any(True for _ in _leaves(model)):
        return Flow(layers=_by_registration(model), is_traced=False)
    return Flow(layers=layers, is_traced=True)


def _shadow(model: nn.Module) -> nn.Module:
    """A copy with the same tensors, to which a forward that writes to its module may write."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


class _Tracer(fx.Tracer):
    """Goes into every module that holds others, except torch's own blocks."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or not any(
            True for _ in m.children()
        )


def _by_execution(model: nn.Module, graph: fx.Graph) -> tuple[Layer, ...]:
    reader = Reader()
    signals: dict[fx.Node, Signal] = {}
    for node in graph.nodes:
        inputs = [one for one in node.all_input_nodes if one in signals]
        signal = signals[inputs[0]] if inputs else Signal()
        if inputs and len(inputs[0].users) > 1:
            signal = replace(signal, is_direct=False)
        signals[node] = _after(model, node, signal, reader)
    return reader.finished(_outputs(graph, reader.layers))


def _outputs(graph: fx.Graph, layers: Container[str]) -> set[str]:
    """Paths of layers from which the way leads to the end without another layer or a sum."""
    leads_on: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if any(user in leads_on or _is_stop(user, layers) for user in node.users):
            leads_on.add(node)
    return {
        str(node.target)
        for node in graph.nodes
        if node.op == "call_module" and str(node.target) in layers and node not in leads_on
    }


def _is_stop(node: fx.Node, layers: Container[str]) -> bool:
    is_layer = node.op == "call_module" and str(node.target) in layers
    return is_layer or (node.target in _SUMS and len(node.all_input_nodes) > 1)


def _after(model: nn.Module, node: fx.Node, signal: Signal, reader: Reader) -> Signal:
    if node.op == "call_module":
        return _through(str(node.target), model.get_submodule(str(node.target)), signal, reader)
    if node.op not in ("call_function", "call_method"):
        return Signal()
    name = str(getattr(node.target, "__name__", node.target)).rstrip("_")
    if node.target in _SUMS or len(node.all_input_nodes) > 1:
        return Signal() if name not in _LINEAR else signal
    if name in NAMED:
        return reader.activation(_functional(name, node), signal)
    if name in _MOVES:
        return replace(signal, is_direct=False)
    return signal if name in _LINEAR else Signal()


def _functional(name: str, node: fx.Node) -> Activation:
    """An activation that is called as a function, with the constants it is called with."""
    named = {k: v for k, v in node.kwargs.items() if k not in ("input", "inplace")}
    args = tuple(value for value in node.args[1:] if not isinstance(value, bool))
    return _with_constants(name, args, tuple(named.items())) if args or named else name


@cache
def _with_constants(
    name: str, args: tuple[object, ...], named: tuple[tuple[str, object], ...]
) -> Activation:
    def bound(x: Tensor) -> Tensor:
        return NAMED[name](x, *args, **dict(named))

    shown = [*map(str, args), *(f"{key}={value}" for key, value in named)]
    bound.__name__ = f"{name}({', '.join(shown)})"
    return bound


def _through(path: str, module: nn.Module, signal: Signal, reader: Reader) -> Signal:
    """The signal behind a module; torch's own blocks are read part by part."""
    if not any(True for _ in module.children()):
        return reader.module(path, module, signal)
    signal = Signal()
    for name, part in _leaves(module, path):
        signal = reader.module(name, part, replace(signal, is_direct=False))
    return Signal()


def _by_registration(model: nn.Module) -> tuple[Layer, ...]:
    reader, signal = Reader(), Signal()
    for path, module in _leaves(model):
        signal = reader.module(path, module, replace(signal, is_direct=False))
    layers = reader.finished(list(reader.layers)[-1:])
    named = _named_in_code(model)
    if any(layer.after for layer in layers) or named is None:
        return layers
    last = len(layers) - 1
    return tuple(
        replace(layer, before=named if place else None, after=named if place < last else None)
        for place, layer in enumerate(layers)
    )


def _named_in_code(model: nn.Module) -> str | None:
    """The activation that the code of the model's modules names most often."""
    found: Counter[str] = Counter()
    for module in model.modules():
        if not type(module).__module__.startswith("torch."):
            found += Counter({n: c for n, c in operations(type(module)).items() if n in NAMED})
    return found.most_common(1)[0][0] if found else None


def _leaves(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for path, module in model.named_modules(prefix=prefix):
        if matrices(path, module) or not any(True for _ in module.children()):
            yield path, module
