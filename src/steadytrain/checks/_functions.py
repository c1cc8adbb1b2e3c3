"""Records which losses, softmaxes and attentions a program calls, and with what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from steadytrain.checks._seen import Call

LOSSES: Final = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
)
"""Loss functions of `torch.nn.functional`, also when called by their modules."""

SQUASHES: Final = ("softmax", "log_softmax", "sigmoid", "logsigmoid", "tanh", "relu", "softplus")
ATTENTION: Final = ("scaled_dot_product_attention", "multi_head_attention_forward")
DIFFERENCES: Final = ("sub", "rsub", "__sub__", "__rsub__")
"""Recorded as `sub`, and only where the two shapes differ."""

_FUNCTIONAL: Final = {
    getattr(functional, name): name for name in (*LOSSES, *ATTENTION) if hasattr(functional, name)
}
_HOMES: Final = (functional, torch, Tensor, torch.special)
_SQUASHING: Final = {
    getattr(home, name): name for name in SQUASHES for home in _HOMES if hasattr(home, name)
}
_SUBTRACTING: Final = {
    getattr(home, name): "sub" for name in DIFFERENCES for home in (torch, Tensor) if hasattr(home, name)
}  # fmt: skip
_RECORDED: Final[dict[Any, str]] = {**_SUBTRACTING, **_SQUASHING, **_FUNCTIONAL}

Where = Callable[[], str]


class FunctionRecorder(TorchFunctionMode):
    """Inside it, every call of the functions above is kept, outermost calls only.

    Args:
        where: path of the module that is running.
        with_gradients: whether the gradients at the outputs are kept when backward runs.
    """

    def __init__(self, where: Where, *, with_gradients: bool) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._where = where
        self._with_gradients = with_gradients

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = _RECORDED.get(func) if callable(func) else None
        if name is None or (name == "sub" and not _differ(args)):
            return func(*args, **(kwargs or {}))
        given = _named(func, args, kwargs or {})
        call = self._begin(name, given)
        result = func(*args, **(kwargs or {}))
        self._end(call, next(iter(given.values()), None), result)
        return result

    def _begin(self, name: str, given: Mapping[str, Any]) -> Call:
        """The call before it is made: one that raises is kept too."""
        needs_grad = [isinstance(one, Tensor) and one.requires_grad for one in given.values()]
        call = Call(
            name=name,
            path=self._where(),
            arguments={key: _let_go(value) for key, value in given.items()},
            input_needs_grad=any(needs_grad[:1]),
            is_one_sided=sum(needs_grad[:2]) == 1,
        )
        self.calls.append(call)
        return call

    def _end(self, call: Call, first: Any, result: Any) -> None:
        output = result[0] if isinstance(result, tuple) else result
        if not isinstance(output, Tensor):
            return
        call.output, call.raised = output.detach(), False
        if not self._with_gradients:
            return
        if output.requires_grad:
            output.register_hook(lambda gradient: _hold(call, "gradient", gradient))
        if call.input_needs_grad and first is not output:
            first.register_hook(lambda gradient: _hold(call, "input_gradient", gradient))


def _hold(call: Call, name: str, gradient: Tensor) -> None:
    setattr(call, name, gradient.detach())


def _differ(args: Any) -> bool:
    """Whether two tensors of different shape, none of them a number, are subtracted."""
    both = [one for one in args[:2] if isinstance(one, Tensor) and one.numel() > 1]
    return len(both) == 2 and both[0].shape != both[1].shape


def _let_go(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _named(func: Any, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    names = _parameter_names(func)
    return {**dict(zip(names, args, strict=False)), **kwargs}


_WITHOUT_SIGNATURE: Final = {
    "scaled_dot_product_attention": (
        "query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale",
    ),
    "sub": ("input", "other"),
}  # fmt: skip


@cache
def _parameter_names(func: Any) -> tuple[str, ...]:
    name = _RECORDED[func]
    try:
        return tuple(inspect.signature(func).parameters)
    except (TypeError, ValueError):  # functions of C have none
        return _WITHOUT_SIGNATURE.get(name, ("input", "dim", "dtype"))
