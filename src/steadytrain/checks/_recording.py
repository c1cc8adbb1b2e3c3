"""Records a forward and backward pass of a model: its modules in order, its losses, gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from torch import Tensor, nn

from steadytrain.checks._functions import FunctionRecorder
from steadytrain.checks._seen import (
    Call,
    Entry,
    Facts,
    FirstStep,
    GradientSeen,
    ModuleSeen,
    facts_of,
    print_of,
    tensors_in,
)

Change = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]
"""Given the entered module and its arguments, returns the arguments to use, or None."""

_ENDS: Final[Mapping[type[nn.Module], tuple[float, ...]]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
}
_NEAR_END: Final = 0.01
"""Of the range; a sigmoid's or tanh's slope is below 4% of its largest there."""

_CHANNELS_FIRST: Final = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
)


_NORMS: Final = (nn.LayerNorm, nn.RMSNorm)
_NORM_NODES: Final = ("NativeLayerNormBackward", "FusedRmsNormBackward", "RmsNormBackward")


class Recorder:
    """Attached inside the block `with`; reads what the model computes, changes nothing of it.

    Args:
        models: modules by the prefix of their paths, "" for the program's own.
        with_gradients: whether gradients are recorded when backward runs.
        with_prints: whether the numbers of each sample and position are kept in short.
        change: what to do to the arguments of the first module entered; None leaves them.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        *,
        with_gradients: bool = True,
        with_prints: bool = False,
        change: Change | None = None,
    ) -> None:
        self.modules: list[ModuleSeen] = []
        self.entries: list[Entry] = []
        self._paths = _paths(models)
        self._stack: list[tuple[nn.Module, ModuleSeen]] = []
        self._functions = FunctionRecorder(self.where, with_gradients=with_gradients)
        self._with_gradients = with_gradients
        self._with_prints = with_prints
        self._change = change
        self._channels_first = False
        self._open: list[tuple[Tensor, ...]] = []

    def where(self) -> str:
        """Path of the module that is running, "" outside of all."""
        return self._stack[-1][1].path if self._stack else ""

    @contextmanager
    def __call__(self) -> Iterator[Recorder]:
        """Records inside the block."""
        with ExitStack() as stack:
            for module in self._paths:
                stack.callback(
                    module.register_forward_pre_hook(self._enter, with_kwargs=True).remove
                )
                stack.callback(module.register_forward_hook(self._leave, with_kwargs=True).remove)
            stack.enter_context(self._functions)
            yield self

    @property
    def calls(self) -> tuple[Call, ...]:
        """The recorded functions so far; the last may have raised."""
        return tuple(self._functions.calls)

    def first_step(self, loss: float, gradients: Mapping[str, GradientSeen]) -> FirstStep:
        """What was recorded, as one object."""
        return FirstStep(
            loss=loss,
            modules=tuple(self.modules),
            calls=self.calls,
            entries=tuple(self.entries),
            gradients=gradients,
        )

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        changed = None
        if not self._stack:
            changed = None if self._change is None else self._change(module, args, kwargs)
            args, kwargs = changed or (args, kwargs)
        given = tensors_in((args, kwargs))
        seen = ModuleSeen(
            path=self._paths[module],
            kind=type(module).__name__,
            inputs=tuple(facts_of(one) for one in given),
            is_leaf=not any(True for _ in module.children()),
            training=module.training,
            is_on_stream=isinstance(module, _NORMS) and any(map(_is_sum_with_norm, given[:1])),
        )
        if self._with_prints and given:
            seen.input_print = print_of(given[0])
        if not self._stack:
            self._open.append(tuple(one.detach() for one in given))
        self._stack.append((module, seen))
        self.modules.append(seen)
        return changed

    def _leave(
        self, module: nn.Module, _args: tuple[Any, ...], _kwargs: dict[str, Any], output: Any
    ) -> None:
        while self._stack:
            entered, seen = self._stack.pop()
            if entered is module:
                self._note(module, seen, tensors_in(output))
                return

    def _note(self, module: nn.Module, seen: ModuleSeen, outputs: list[Tensor]) -> None:
        if not self._stack:
            given = self._open.pop() if self._open else ()
            left = tuple(one.detach() for one in outputs)
            self.entries.append(Entry(path=seen.path, arguments=given, outputs=left))
        floating = [one for one in outputs if one.is_floating_point() or one.is_complex()]
        if not floating:
            return
        output = next((one for one in floating if one.dim() > 1), floating[0])
        seen.output = facts_of(output)
        if self._with_prints:
            seen.output_print = print_of(output)
        if seen.is_leaf:
            self._channels_first = _is_channels_first(module, output, before=self._channels_first)
            seen.dead_unit_fraction = _dead_fraction(output, channels_first=self._channels_first)
            seen.saturated_fraction = _saturated_fraction(module, output)
        if self._with_gradients and output.requires_grad:
            output.register_hook(lambda gradient: _note_gradient(seen, gradient))


def gradients_of(model: nn.Module, scale: float = 1.0) -> dict[str, GradientSeen]:
    """Every parameter once, with the gradient it has now divided by `scale`."""
    return {
        name: GradientSeen(
            name=name,
            requires_grad=parameter.requires_grad,
            gradient=_unscaled(parameter.grad, scale),
        )
        for name, parameter in model.named_parameters()
    }


def _unscaled(gradient: Tensor | None, scale: float) -> Facts | None:
    if gradient is None:
        return None
    return facts_of(gradient if scale == 1.0 else gradient.float() / scale)


def _note_gradient(seen: ModuleSeen, gradient: Tensor) -> None:
    seen.gradient = facts_of(gradient)


def _paths(models: Mapping[str, nn.Module]) -> dict[nn.Module, str]:
    paths: dict[nn.Module, str] = {}
    for prefix, model in models.items():
        for path, module in model.named_modules():
            paths.setdefault(module, ".".join(part for part in (prefix, path) if part))
    return paths


def _is_sum_with_norm(value: Tensor) -> bool:
    """Whether autograd made it by adding something to the output of a norm."""
    node = value.grad_fn
    if node is None or not node.name().startswith("AddBackward"):
        return False
    above = [one.name() for one, _ in node.next_functions if one is not None]
    return any(name.startswith(_NORM_NODES) for name in above)


def _is_channels_first(module: nn.Module, output: Tensor, *, before: bool) -> bool:
    """Whether the units of `output` are its dimension 1: after a convolution, until flattened."""
    if isinstance(module, _CHANNELS_FIRST):
        return output.dim() > 2
    if isinstance(module, nn.Linear | nn.LayerNorm | nn.Embedding | nn.Flatten | nn.RNNBase):
        return False
    return before and output.dim() > 2


def _dead_fraction(output: Tensor, *, channels_first: bool) -> float:
    if output.dim() < 2 or not output.numel() or output.shape[0] < 2:
        return 0.0
    units = output.detach().movedim(1, -1) if channels_first else output.detach()
    silent = (units.flatten(0, -2) == 0).all(dim=0)
    return float(silent.float().mean())


def _saturated_fraction(module: nn.Module, output: Tensor) -> float:
    ends = _ENDS.get(type(module))
    if ends is None or not output.numel():
        return 0.0
    margin = _NEAR_END * (ends[1] - ends[0])
    values = output.detach().float()
    return float(((values < ends[0] + margin) | (values > ends[1] - margin)).float().mean())
