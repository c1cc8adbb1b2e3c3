"""A module takes part in the loss, but no optimizer has its parameters.

## What it sees
Two optimizers built on the same model while another module of the same block, which is run in
training, is in none; or one plain optimizer while a second module with parameters is.

## Why it matters
The module keeps its initial values for ever; nothing raises and the loss may even fall.

## Flagged
    import torch
    from torch import nn
    netG, netD = nn.Linear(8, 4), nn.Linear(4, 1)
    opt_g = torch.optim.Adam(netG.parameters())
    opt_d = torch.optim.Adam(netG.parameters())
    for real in loader:
        opt_d.zero_grad()
        loss = (1 - netD(real)).mean() + netD(netG(noise).detach()).mean()
        loss.backward()
        opt_d.step()

## Use instead
    import torch
    from torch import nn
    netG, netD = nn.Linear(8, 4), nn.Linear(4, 1)
    opt_g = torch.optim.Adam(netG.parameters())
    opt_d = torch.optim.Adam(netD.parameters())
    for real in loader:
        opt_d.zero_grad()
        loss = (1 - netD(real)).mean() + netD(netG(noise).detach()).mean()
        loss.backward()
        opt_d.step()

## What to do
Give the optimizer the parameters of every module that is to be trained:
`itertools.chain(encoder.parameters(), decoder.parameters())`.

## Source
PyTorch documentation, `torch.optim`, "Constructing it".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.optimized import Built, optimizers
from steadytrain.lint._code.scopes import Binding, Scope, dotted

_WITH_WEIGHTS: Final = {"Linear", "Conv1d", "Conv2d", "Conv3d", "Embedding", "LSTM", "GRU", "RNN", "Transformer",
                        "Bilinear", "LSTMCell", "GRUCell", "Parameter", "ConvTranspose2d"}  # fmt: skip


@lint_check(code="OPT106", causes=("params-not-in-optimizer",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say which module nobody trains."""
    built = list(optimizers(code))
    if not built or not all(one.models for one in built) or not code.has("backward"):
        return
    scopes = {code.index.scope[one.call] for one in built}
    if len(scopes) != 1 or code.has("add_param_group", "ModuleList", "ModuleDict", "chain"):
        return
    scope = scopes.pop()
    held = {key for one in built for key in one.models}
    for name, bindings in scope.bindings.items():
        made = _module(code, bindings, scope)
        if (
            made is not None
            and code.values.key(made, code.values.frame(scope)) not in held
            and _trains(code, name, scope)
            and _mistaken(built)
        ):
            yield Remark(
                node=bindings[0].node,
                message=f"{name} takes part in the loss, but no optimizer has its parameters: it "
                f"keeps its initial values. Give {name}.parameters() to the optimizer.",
            )


def _mistaken(built: list[Built]) -> bool:
    """Whether the optimizers were given plain models, so that one more is not in disguise."""
    return all(one.plain for one in built)


def _module(code: Code, bindings: list[Binding], scope: Scope) -> ast.expr | None:
    """The name as an expression, where it is bound once, to a module with weights made there."""
    if len(bindings) != 1 or bindings[0].how != "assign" or bindings[0].value is None:
        return None
    frame = code.values.frame(scope)
    kind = code.kinds.of(bindings[0].value, frame)
    if kind is None or kind.name != "module" or kind.call is None:
        return None
    weights = _has_weights(code, kind.cls.node if kind.cls is not None else kind.call.expr)
    targets = getattr(bindings[0].node, "targets", [])
    flat = [i for t in targets for i in (t.elts if isinstance(t, ast.Tuple) else [t])]
    found = next((t for t in flat if dotted(t) == bindings[0].name), None)
    return found if weights and isinstance(found, ast.Name) else None


def _has_weights(code: Code, made: ast.AST) -> bool:
    """Whether the class, or the call that builds it, has a layer or parameter of torch's in it."""
    names = [
        code.values.resolve(node.func) or ""
        for node in ast.walk(made)
        if isinstance(node, ast.Call) and not code.kinds.is_a("loss", node.func, code.frame(node))
    ]
    lasts = {name.rpartition(".")[2] for name in names if name.startswith("torch.nn.")}
    return bool(lasts & _WITH_WEIGHTS)


def _trains(code: Code, name: str, scope: Scope) -> bool:
    """Whether the module is only ever called, with gradients, and never handed on or frozen."""
    called = False
    for node in code.index.of(ast.Name):
        assert isinstance(node, ast.Name)
        if node.id != name or not isinstance(node.ctx, ast.Load):
            continue
        parent = code.index.parent[node]
        if isinstance(parent, ast.Call) and parent.func is node:
            called = called or (not code.without_gradient(node) and code.index.scope[node] is scope)
        elif not (
            isinstance(parent, ast.Attribute)
            and parent.attr in ("train", "zero_grad", "to", "cuda")
        ):
            return False
    return called
