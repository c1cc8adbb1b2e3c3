"""A bootstrapped target is trained as well as the prediction.

## What it sees
A target `reward + gamma * network(next_state)` of the network that is being trained, given to a
loss without `.detach()` and outside of `no_grad`.

## Why it matters
The loss also pulls the target towards the prediction: values collapse towards each other
instead of towards the reward.

## Flagged
    import torch
    import torch.nn.functional as F
    q_net = torch.nn.Linear(4, 2)
    optimizer = torch.optim.Adam(q_net.parameters())
    def learn(state, action, reward, next_state, gamma=0.99):
        q = q_net(state).gather(1, action)
        target = reward + gamma * q_net(next_state).max(1, keepdim=True)[0]
        loss = F.mse_loss(q, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

## Use instead
    import torch
    import torch.nn.functional as F
    q_net = torch.nn.Linear(4, 2)
    optimizer = torch.optim.Adam(q_net.parameters())
    def learn(state, action, reward, next_state, gamma=0.99):
        q = q_net(state).gather(1, action)
        with torch.no_grad():
            target = reward + gamma * q_net(next_state).max(1, keepdim=True)[0]
        loss = F.mse_loss(q, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

## What to do
Compute the target under `torch.no_grad()` or detach it; better, of a slowly moving copy.

## Source
Mnih et al. 2015, "Methods": the target's parameters are held fixed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.objectives import loss_calls
from steadytrain.lint._code.values import Frame, Value

_LOSSES: Final = {"MSELoss", "SmoothL1Loss", "HuberLoss", "L1Loss"}
_SHAPES: Final = {"unsqueeze", "squeeze", "view", "reshape", "float", "flatten"}
_CUT: Final = {"detach", "item", "numpy", "data"}


@lint_check(code="LOP128", causes=("detached-graph", "exploding-gradient"))
def check(code: Code) -> Iterator[Remark]:
    """Say where a target pulls back."""
    for name, call in loss_calls(code):
        if name not in _LOSSES or len(call.args) < 2 or code.without_gradient(call):
            continue
        frame = code.frame(call)
        first, second = (_resolved(code, argument, frame) for argument in call.args[:2])
        for prediction, target in ((first, second), (second, first)):
            net = _bootstrapped(code, target)
            if net is not None and net in _called(code, prediction):
                yield Remark(
                    node=call,
                    message="The target is computed by the network that is trained and still has its "
                    "graph: the loss moves both sides. Detach the target.",
                )
                break


def _resolved(code: Code, expr: ast.expr, frame: Frame) -> Value:
    while isinstance(expr, ast.Call) and getattr(expr.func, "attr", "") in _SHAPES:
        expr = expr.func.value if isinstance(expr.func, ast.Attribute) else expr
    value = code.values.assigned(expr, frame)
    return value if value is not None and value.frame.scope is frame.scope else Value(expr, frame)


def _bootstrapped(code: Code, value: Value) -> str | None:
    """The network in `reward + gamma * network(...)`, where its graph is kept."""
    if not isinstance(value.expr, ast.BinOp) or code.without_gradient(value.expr):
        return None
    nodes = list(ast.walk(value.expr))
    words = {getattr(n, "id", None) or getattr(n, "attr", "") for n in nodes}
    if words & _CUT or not any(
        "gamma" in str(w).lower() or "discount" in str(w).lower() for w in words
    ):
        return None
    direct = _called(code, value)
    for node in nodes:
        if isinstance(node, ast.Name) and not direct:
            inner = _resolved(code, node, value.frame)
            if inner.expr is not node and not code.without_gradient(inner.expr):
                texts = {getattr(n, "attr", "") for n in ast.walk(inner.expr)}
                direct |= set() if texts & _CUT else _called(code, inner)
    return next(iter(sorted(direct)), None)


def _called(code: Code, value: Value) -> set[str]:
    """Keys of the modules that the expression calls."""
    return {
        code.values.key(node.func, value.frame)
        for node in ast.walk(value.expr)
        if isinstance(node, ast.Call) and code.kinds.is_a("module", node.func, value.frame)
    } - {""}
