"""An advantage that still has the critic's graph weighs the policy's loss.

## What it sees
A log-probability multiplied by an advantage that was computed from a critic's output in the same
function, without `.detach()`, `.item()` or `no_grad`.

## Why it matters
The policy's loss then trains the critic too, to make advantages small where actions were likely.

## Flagged
    import torch
    critic = torch.nn.Linear(4, 1)
    def update(optimizer, states, returns, log_probs):
        values = critic(states).squeeze(-1)
        advantages = returns - values
        loss = -(log_probs * advantages).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

## Use instead
    import torch
    critic = torch.nn.Linear(4, 1)
    def update(optimizer, states, returns, log_probs):
        values = critic(states).squeeze(-1)
        advantages = (returns - values).detach()
        loss = -(log_probs * advantages).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

## What to do
Use `advantage.detach()` in the policy's loss, and the value itself in the critic's.

## Source
Mnih et al. 2016, section 4: the advantage weighs the gradient of the log-probability.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.values import Frame

_ADVANTAGE: Final = re.compile(r"(\w*_)?(adv|advs|advantage|advantages|delta|td_error)(_\w+)?")
_LOG_PROB: Final = re.compile(r"(\w*_)?(log_?probs?|logp|logpi?|nlp|log_pi)(_\w+)?")
_CUT: Final = {"detach", "item", "numpy", "data", "tolist"}


@lint_check(code="LOP127", causes=("loss-term-scale", "reward-scale"))
def check(code: Code) -> Iterator[Remark]:
    """Say where the critic is trained by the policy's loss."""
    for node in code.index.of(ast.BinOp):
        assert isinstance(node, ast.BinOp)
        if not isinstance(node.op, ast.Mult) or code.without_gradient(node):
            continue
        for weight, other in ((node.left, node.right), (node.right, node.left)):
            if (
                isinstance(weight, ast.Name)
                and _ADVANTAGE.fullmatch(weight.id)
                and _is_log(other)
                and _has_graph(code, weight, code.frame(node), 0)
            ):
                yield Remark(
                    node=weight,
                    message=f"{weight.id} still has the critic's graph: the policy's loss trains "
                    f"the critic. Use {weight.id}.detach() here.",
                )


def _is_log(node: ast.expr) -> bool:
    names = [getattr(n, "id", None) or getattr(n, "attr", "") for n in ast.walk(node)]
    return any(_LOG_PROB.fullmatch(name) for name in names if name)


def _has_graph(code: Code, expr: ast.expr, frame: Frame, depth: int) -> bool:
    """Whether a module's output goes into `expr` with nothing that cuts its graph."""
    if depth > 4 or any(getattr(node, "attr", "") in _CUT for node in ast.walk(expr)):
        return False
    for node in ast.walk(expr):
        if isinstance(node, ast.Call) and code.kinds.is_a("module", node.func, frame):
            return True
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found = code.values.assigned(node, frame)
            if found is None or found.frame.scope is not frame.scope:
                continue
            if not code.without_gradient(found.expr) and _has_graph(
                code, found.expr, frame, depth + 1
            ):
                return True
    return False
