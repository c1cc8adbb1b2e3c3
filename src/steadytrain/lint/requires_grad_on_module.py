"""`requires_grad` is set on a module, where it means nothing.

## What it sees
`model.requires_grad = False` where `model` is a module: PyTorch makes a new attribute.

## Why it matters
The parameters are as trainable as before: what should be frozen is trained, or the reverse.

## Flagged
    from torchvision.models import resnet18
    model = resnet18()
    model.requires_grad = False

## Use instead
    from torchvision.models import resnet18
    model = resnet18()
    model.requires_grad_(False)

## What to do
Call `module.requires_grad_(False)`, which sets it on every parameter.

## Source
PyTorch documentation, `torch.nn.Module.requires_grad_`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import dotted
from steadytrain.lint._edits import replaced

_TENSORS = ("weight", "bias", "data", "grad")


@lint_check(code="OPT107", causes=("frozen-params",), severity=Severity.CRITICAL, fix="unsafe")
def check(code: Code) -> Iterator[Remark]:
    """Say where freezing freezes nothing."""
    for node in code.index.of(ast.Assign):
        assert isinstance(node, ast.Assign)
        for target in node.targets:
            if (
                isinstance(target, ast.Attribute)
                and target.attr == "requires_grad"
                and _is_module(code, target.value)
            ):
                owner, value = ast.unparse(target.value), ast.unparse(node.value)
                text = f"{owner}.requires_grad_({value})"
                yield Remark(
                    node=node,
                    message=f"{owner} is a module: this sets nothing on its parameters. Call {text}.",
                    fix=replaced(code, node, text, "call requires_grad_", safe=False),
                )


def _is_module(code: Code, owner: ast.expr) -> bool:
    kind = code.kinds.of(owner, code.frame(owner))
    if kind is not None and not kind.guessed:
        return kind.name == "module"
    if _over_modules(code, owner):
        return True
    # A part of a known module, as in `model.layer4`; its tensors have names of their own.
    if isinstance(owner, ast.Attribute) and owner.attr not in _TENSORS:
        inner = code.kinds.of(owner.value, code.frame(owner))
        if inner is not None and inner.name == "module" and not inner.guessed and inner.cls is None:
            return inner.maker.startswith(("torchvision.", "timm."))
    return False


def _over_modules(code: Code, owner: ast.expr) -> bool:
    """Whether the name runs over `model.children()` or `model.modules()`."""
    found = code.values.candidates(owner, code.frame(owner)) if dotted(owner) else []
    return bool(found) and all(
        one.binding.how == "for"
        and isinstance(one.binding.value, ast.Call)
        and getattr(one.binding.value.func, "attr", "") in ("children", "modules")
        for one in found
    )
