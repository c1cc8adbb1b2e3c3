"""Calls of PyTorch's loss functions, by function or by module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._code.code import Code

_FUNCTIONS: Final = {
    "cross_entropy": "CrossEntropyLoss",
    "nll_loss": "NLLLoss",
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "mse_loss": "MSELoss",
    "l1_loss": "L1Loss",
    "smooth_l1_loss": "SmoothL1Loss",
    "huber_loss": "HuberLoss",
    "kl_div": "KLDivLoss",
    "gaussian_nll_loss": "GaussianNLLLoss",
}


def loss_calls(code: Code) -> list[tuple[str, ast.Call]]:
    """The name of the loss, as its class is called, and the call that computes it."""
    return code.remember("loss calls", lambda: _loss_calls(code))


def _loss_calls(code: Code) -> Iterator[tuple[str, ast.Call]]:
    for call in code.index.of(ast.Call):
        if not isinstance(call, ast.Call):
            continue
        name = code.values.resolve(call.func)
        if name is not None:
            home, _, last = name.rpartition(".")
            if home == "torch.nn.functional" and last in _FUNCTIONS:
                yield _FUNCTIONS[last], call
            continue
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr == "forward":
            func = func.value
        kind = code.kinds.of(func, code.frame(call))
        if kind is not None and kind.name == "loss" and not kind.guessed:
            yield kind.maker.rpartition(".")[2], call


def prediction_of(code: Code, call: ast.Call) -> ast.expr | None:
    """What the loss is given as the prediction."""
    return code.keyword(call, "input", 0)
