"""How a scheme walks over a model: every weight once, biases to zero, frozen ones left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from steadytrain.blocks._changes import Change
from steadytrain.blocks._flow import Flow, flow_of
from steadytrain.blocks._layers import Layer
from steadytrain.blocks._matrices import join
from steadytrain.blocks._weights import (
    EMBEDDINGS,
    check_materialized,
    is_reparametrized,
    weights_of,
)

Fill = Callable[[Layer], tuple[str, str]]
"""Writes the matrices of one layer; returns what they are now and why."""


def rewrite(model: nn.Module, fill: Fill, flow: Flow | None = None) -> list[Change]:
    """Every layer was filled, biases are zero and embeddings N(0, 1); returns what was done.

    Args:
        model: changed in place.
        fill: called once for each layer that has anything to write to.
        flow: the model's layers, where they were read already.

    Raises:
        UsageError: a parameter is lazy or on the meta device.
    """
    check_materialized(model)
    flow = flow_of(model) if flow is None else flow
    changes: list[Change] = []
    with torch.no_grad():
        linear = {id(parameter) for layer in flow.layers for parameter in _weights(layer)}
        changes += _embeddings(model, linear)
        done: set[int] = set()
        for layer in flow.layers:
            changes.append(_one(layer, fill, done))
            done |= {id(parameter) for parameter in _weights(layer)}
        _zero_padding_rows(model)
    return [*changes, *_computed(model)]


def _one(layer: Layer, fill: Fill, done: set[int]) -> Change:
    weights = _weights(layer)
    if all(id(weight) in done for weight in weights):
        return _left(layer.path, "it is tied to a weight above")
    if not any(weight.requires_grad for weight in weights):
        return _left(layer.path, "it is frozen")
    open_names = {
        join(layer.path, name)
        for name, weight in layer.module.named_parameters(recurse=False)
        if weight.requires_grad and id(weight) not in done
    }
    kept = tuple(matrix for matrix in layer.matrices if matrix.parameter in open_names)
    what, why = fill(replace(layer, matrices=kept))
    biases = _zero_biases(layer.module)
    return Change(path=layer.path, what=f"{what}, bias 0" if biases else what, why=why)


def _weights(layer: Layer) -> list[Tensor]:
    names = {matrix.parameter for matrix in layer.matrices}
    own = layer.module.named_parameters(recurse=False)
    return [parameter for name, parameter in own if join(layer.path, name) in names]


def _zero_biases(module: nn.Module) -> int:
    """Vectors among the module's own parameters became zero; an LSTM's forget gate opens.

    Source: Jozefowicz et al. 2015, section 3.2: forget bias 1 (half of it in each of torch's two
    biases).
    """
    biases = [
        (name, one)
        for name, one in module.named_parameters(recurse=False)
        if one.ndim == 1 and "bias" in name and one.requires_grad
    ]
    for _, bias in biases:
        bias.zero_()
        if isinstance(module, nn.LSTM | nn.LSTMCell):
            bias.chunk(4)[1].fill_(0.5)
    return len(biases)


def _embeddings(model: nn.Module, linear: set[int]) -> Iterator[Change]:
    for path, module in model.named_modules():
        if not isinstance(module, EMBEDDINGS):
            continue
        if id(module.weight) in linear:
            yield _left(path, "it is tied to the weight of a linear layer")
        elif not module.weight.requires_grad:
            yield _left(path, "it is frozen")
        else:
            nn.init.normal_(module.weight)
            yield Change(path=path, what="normal, std 1", why="rows are looked up, not summed")


def _zero_padding_rows(model: nn.Module) -> None:
    """The padding row of every embedding is zero, also where its weight is that of a head."""
    for module in model.modules():
        if not isinstance(module, EMBEDDINGS) or module.padding_idx is None:
            continue
        if module.weight.requires_grad:
            module.weight[module.padding_idx].zero_()


def _computed(model: nn.Module) -> Iterator[Change]:
    for weight in weights_of(model):
        if is_reparametrized(weight):
            yield _left(weight.place, "its weight is computed from others")


def _left(path: str, why: str) -> Change:
    return Change(path=path, what="left as it was", why=why)
