"""The discriminator's step goes back through the generator.

## What it sees
A tensor that one model generated is given to another, the loss is backpropagated and only the
other's optimizer steps; the tensor was neither detached nor made under `no_grad`, and the
same tensor is used again for the generator's own loss.

## Why it matters
The backward pass of the discriminator fills the generator's gradients with the wrong sign and frees
the graph that the generator's own pass needs.

## Flagged
    import torch
    from torch import nn
    netG, netD = nn.Linear(8, 4), nn.Linear(4, 1)
    criterion = nn.BCEWithLogitsLoss()
    opt_g = torch.optim.Adam(netG.parameters())
    opt_d = torch.optim.Adam(netD.parameters())
    for real in loader:
        fake = netG(torch.randn(16, 8))
        opt_d.zero_grad()
        loss_d = criterion(netD(real), ones) + criterion(netD(fake), zeros)
        loss_d.backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g = criterion(netD(fake), ones)
        loss_g.backward()
        opt_g.step()

## Use instead
    import torch
    from torch import nn
    netG, netD = nn.Linear(8, 4), nn.Linear(4, 1)
    criterion = nn.BCEWithLogitsLoss()
    opt_g = torch.optim.Adam(netG.parameters())
    opt_d = torch.optim.Adam(netD.parameters())
    for real in loader:
        fake = netG(torch.randn(16, 8))
        opt_d.zero_grad()
        loss_d = criterion(netD(real), ones) + criterion(netD(fake.detach()), zeros)
        loss_d.backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g = criterion(netD(fake), ones)
        loss_g.backward()
        opt_g.step()

## What to do
Give the discriminator `fake.detach()` in its own step.

## Source
PyTorch tutorials, "DCGAN": `netD(fake.detach())`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event
from steadytrain.lint._code.places import start_of
from steadytrain.lint._code.scopes import Binding, Scope


@lint_check(code="LOP126", causes=("step-order", "gan-discriminator-dominates"))
def check(code: Code) -> Iterator[Remark]:
    """Say where the discriminator's gradient runs into the generator."""
    for _, loop, events in code.loops:
        backward = [e for e in events if e.kind == "backward" and e.loop is loop]
        steps = [e for e in events if e.kind == "step" and e.loop is loop]
        if len(backward) < 2 or len({step.target for step in steps}) < 2:
            continue
        scope = backward[0].frame.scope
        for name, bindings in scope.bindings.items():
            made = _generated(code, bindings, loop.node, scope)
            if made is not None:
                yield from _judge(code, name, made, backward, steps)


def _generated(code: Code, bindings: list[Binding], loop: ast.AST, scope: Scope) -> Binding | None:
    """The one binding in the loop by which a model gives the name its value, graph and all."""
    inside = [one for one in bindings if code.places.inside(one.node, loop)]
    if len(inside) != 1 or inside[0].how != "assign" or not isinstance(inside[0].value, ast.Call):
        return None
    frame = code.values.frame(scope)
    is_module = code.kinds.is_a("module", inside[0].value.func, frame)
    if not is_module or code.without_gradient(inside[0].node):
        return None
    return inside[0]


def _judge(
    code: Code, name: str, made: Binding, backward: list[Event], steps: list[Event]
) -> Iterator[Remark]:
    assert isinstance(made.value, ast.Call)
    maker = ast.unparse(made.value.func)
    first, last = backward[0], backward[-1]
    between = [s for s in steps if first.place < s.place < last.place]
    if not between or not _steps_other(code, between, maker):
        return
    uses = list(_given(code, name, made, maker))
    early = [use for use in uses if start_of(use) < start_of(first.node)]
    late = [use for use in uses if start_of(between[-1].node) < start_of(use) < start_of(last.node)]
    keeps = (
        isinstance(first.node, ast.Call) and code.keyword(first.node, "retain_graph") is not None
    )
    if early and late and start_of(made.node) < start_of(first.node) and not keeps:
        yield Remark(
            node=early[0],
            message=f"This backward pass runs through {name} into the generator, which the step "
            f"does not train. Give {name}.detach() in the discriminator's step.",
        )


def _steps_other(code: Code, steps: list[Event], maker: str) -> bool:
    """Whether the optimizers that step first do not hold the generator's parameters."""
    for step in steps:
        func = getattr(step.node, "func", None)
        given = getattr(step.node, "args", None)
        expr = given[0] if step.scaled and given else getattr(func, "value", None)
        kind = code.kinds.of(expr, step.frame) if isinstance(expr, ast.expr) else None
        if (
            kind is not None
            and kind.call is not None
            and f"{maker}." in ast.unparse(kind.call.expr)
        ):
            return False
    return True


def _given(code: Code, name: str, made: Binding, maker: str) -> Iterator[ast.Name]:
    """Places where the tensor itself is an argument of another model."""
    for node in code.index.of(ast.Name):
        assert isinstance(node, ast.Name)
        call = code.index.parent[node]
        if node.id == name and isinstance(call, ast.Call) and node in call.args:
            other = code.kinds.is_a("module", call.func, code.frame(node))
            if other and ast.unparse(call.func) != maker and call is not made.value:
                yield node
