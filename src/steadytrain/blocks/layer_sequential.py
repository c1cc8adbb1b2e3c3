"""LSUV: scale each layer's weight until its output has unit variance on a real batch.

## Formula
For each layer in the order of execution, with what the layers before it give by now:

    W <- W / std(output), until |std - 1| <= tol, at most max_tries times

Weights are made orthogonal first (`scheme="orthogonal"`); `scheme=None` keeps them and changes only
their scale. The standard deviation is over the whole output: batch, positions and channels.

It holds the signal whatever the activation, the data or the architecture, and for sigmoid or a
custom activation it is the way to a forward signal that a formula has no access to. It says nothing
of gradients: with sigmoid they shrink by 0.15 per layer, with tanh they grow by 1.18. For a deep
plain stack prefer the scheme `mirrored`; both can be combined.

## Shape
Every module that holds a weight of two or more dimensions (linear, convolutions, embeddings, your
own), and attention through its output projection. What is not scaled is named with its reason:
frozen, tied and computed weights, recurrent cells (their output is bounded by tanh), layers whose
output does not vary (a zero-initialised projection) and layers that the batch did not reach. A
module that is called several times is scaled by its first call.

## Dtype
Any; standard deviations are taken in float32.

## Cost
One forward pass of the model without gradients, and a call or two of each layer by itself; one
number per try crosses from the device. Published implementations run the whole model for each
layer and try.

## Source
Mishkin & Matas 2016, algorithm 1 (tolerance 0.1, 10 tries).

## Helps against
`init-too-small`, `init-too-large`, `saturated-activation`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.blocks._changes import Change, listing
from steadytrain.blocks._weights import is_norm
from steadytrain.blocks.initialization import check_model, initialize
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

_CONSTANT: Final = 1e-20
"""A standard deviation below this is that of an output that does not vary."""


def lsuv(
    model: nn.Module,
    batch: object,
    *,
    tol: float = 0.1,
    max_tries: int = 10,
    scheme: str | None = "orthogonal",
    seed: int | None = None,
    verbose: bool = True,
) -> list[Change]:
    """Scale the layers of a model in place, so that each gives unit variance on `batch`.

    Mode, buffers, hooks and torch's random numbers are afterwards what they were before; the model
    runs in the mode it is in. Where it raises, the weights are what they were before, too.

    Args:
        model: run once, without gradients.
        batch: what its `forward` takes: one tensor, a tuple or list of arguments, or a dict of
            named ones. Without the labels, and large: 64 samples tell a variance to 10%.
        tol: distance of the standard deviation from 1 that counts as reached.
        max_tries: rescalings of one layer.
        scheme: how the weights are drawn first, by a name of `initialize`; None keeps them.
        seed: for `initialize`.
        verbose: whether the changes are printed.

    Returns:
        One change per module with a weight, also for those that were left as they were.

    Raises:
        UsageError: `tol` or `max_tries` cannot be met, `batch` is not finite or is not what the
            model takes, or a parameter is lazy or on the meta device.
        UnknownNameError: no scheme of that name.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(16, 64), nn.Sigmoid(), nn.Linear(64, 64))
        >>> batch = 100 * torch.randn(256, 16)
        >>> changes = lsuv(model, batch, seed=0, verbose=False)
        >>> round(model[0](batch).std().item(), 1), round(model(batch).std().item(), 1)
        (1.0, 1.0)
    """
    _check(tol, max_tries, batch)
    check_model(model)
    model = getattr(model, "_orig_mod", model)
    with _undone_on_error(model):
        if scheme is not None:
            initialize(model, scheme, seed=seed, verbose=False)
        scaling = _Scaling(model, tol, max_tries)
        with ExitStack() as around, torch.no_grad():
            around.enter_context(_untouched(model))
            around.enter_context(scaling.attached())
            _call(model, batch)
    if verbose:
        print(listing(scaling.changes()))
    return scaling.changes()


class _Scaling:
    """Rescales each layer while the one forward pass goes by."""

    def __init__(self, model: nn.Module, tol: float, max_tries: int) -> None:
        self._tol, self._max_tries = tol, max_tries
        self._weights = dict(_scalable(model))
        self._paths = {module: path for path, module in model.named_modules()}
        self._owners: dict[int, str] = {}
        self._changes: dict[nn.Module, Change] = {}

    @contextmanager
    def attached(self) -> Iterator[None]:
        handles = [
            module.register_forward_hook(self._after, with_kwargs=True) for module in self._weights
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def changes(self) -> list[Change]:
        """The layers in the order of execution, then those that were not reached."""
        missed = [module for module in self._weights if module not in self._changes]
        reason = "this batch does not run it"
        return [*self._changes.values(), *(self._left(module, reason) for module in missed)]

    def _after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        if module in self._changes:
            return None
        weight, path = self._weights[module], self._paths[module]
        reason = self._reason_to_leave(weight)
        if reason or weight is None:
            self._changes[module] = self._left(module, reason)
            return None
        self._owners[id(weight)] = path
        output, change = self._rescale(
            path, weight, output, lambda: module.forward(*args, **kwargs)
        )
        self._changes[module] = change
        return output

    def _rescale(
        self, path: str, weight: Tensor, output: Any, again: Callable[[], Any]
    ) -> tuple[Any, Change]:
        first = std = _std(output)
        tried = 0
        for tried in range(self._max_tries + 1):
            if abs(std - 1.0) <= self._tol:
                what, why = f"std {first:.3g} -> {std:.2f}", f"scaled in {tried} tries"
                return output, Change(path=path, what=what, why=why)
            if tried == self._max_tries or not _CONSTANT < std < math.inf:
                break
            weight.div_(std)
            output = again()
            std = _std(output)
        does = "does not vary" if std <= _CONSTANT else f"stays {abs(std - 1):.2g} from 1"
        what = f"std {first:.3g} -> {std:.3g}" if tried else "left as it was"
        return output, Change(path=path, what=what, why=f"not reached: its output {does}")

    def _reason_to_leave(self, weight: Tensor | None) -> str:
        if weight is None:
            return "its output is bounded, or its weight is computed from others"
        if not weight.requires_grad:
            return "it is frozen"
        owner = self._owners.get(id(weight))
        return f"it is tied to {owner}" if owner is not None else ""

    def _left(self, module: nn.Module, reason: str) -> Change:
        return Change(path=self._paths[module], what="left as it was", why=reason)


def _scalable(model: nn.Module) -> Iterator[tuple[nn.Module, Tensor | None]]:
    """Modules with a weight and the parameter that scales their output; None where none does."""
    inside: set[nn.Module] = set()
    for module in model.modules():
        if module in inside or is_norm(module):
            continue
        if isinstance(module, nn.MultiheadAttention):
            inside |= set(module.modules())
            yield module, module.out_proj.weight
        elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
            yield module, None
        else:
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.ndim >= 2:
                yield module, weight if "weight" in module._parameters else None


def _std(output: Any) -> float:
    """The standard deviation of the first floating tensor of an output; NaN where there is none."""
    parts = output if isinstance(output, tuple | list) else (output,)
    for part in parts:
        if isinstance(part, Tensor) and part.is_floating_point() and part.numel():
            return float(part.detach().float().std(correction=0))
    return math.nan


def _call(model: nn.Module, batch: object) -> None:
    try:
        if isinstance(batch, Mapping):
            model(**batch)
        elif isinstance(batch, tuple | list):
            model(*batch)
        else:
            model(batch)
    except TypeError as error:
        msg = f"the batch is not what the model's forward takes: {error}."
        raise UsageError(f"{msg} Pass its inputs only, without the labels.") from error


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Buffers and torch's random numbers go on as if the model had not been run."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {p.device for p in model.parameters() if p.device.type != "cpu"}
    kind = next((device.type for device in devices), "cuda")
    with torch.random.fork_rng(devices=list(devices), device_type=kind):
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)


@contextmanager
def _undone_on_error(model: nn.Module) -> Iterator[None]:
    before = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for parameter, numbers in before:
                parameter.copy_(numbers)
        raise


def _check(tol: float, max_tries: int, batch: object) -> None:
    if not 0.0 < tol < 1.0:
        raise UsageError(f"tol must be above 0 and below 1, got {tol}. Try 0.1.")
    if max_tries < 1:
        raise UsageError(f"max_tries must be at least 1, got {max_tries}. Try 10.")
    for part in _arguments(batch):
        if isinstance(part, Tensor) and part.is_floating_point() and not part.isfinite().all():
            msg = "the batch holds NaN or infinity: a variance measured on it means nothing."
            raise UsageError(f"{msg} Pass a clean batch.")


def _arguments(batch: object) -> list[object]:
    if isinstance(batch, Mapping):
        return list(batch.values())
    return list(batch) if isinstance(batch, tuple | list) else [batch]


def _build_sample() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 4))
    lsuv(model, torch.randn(64, 6), verbose=False)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("lsuv",),
    samples=(Sample(build=_build_sample, inputs=lambda: (torch.randn(4, 6),)),),
)
