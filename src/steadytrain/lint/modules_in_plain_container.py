"""Modules stand in a plain list, dict or tuple, where nobody finds their parameters.

## What it sees
In a module's `__init__`, `self.layers = [nn.Linear(...), ...]` or a list attribute that modules are
appended to, with no `ModuleList`, `Sequential` or registration of the same layers.

## Why it matters
The layers are not in `parameters()`: the optimizer does not train them, `.to()` does not move them
and checkpoints do not have them.

## Flagged
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4) for _ in range(3)]

## Use instead
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

## What to do
Wrap the list in `nn.ModuleList`, the dict in `nn.ModuleDict`.

## Source
PyTorch documentation, `torch.nn.ModuleList`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import Binding, ClassInfo, dotted
from steadytrain.lint._edits import span
from steadytrain.lint._finding import Edit, Fix

_REGISTERS = {"ModuleList", "ModuleDict", "Sequential", "add_module", "register_module", "setattr",
              "ParameterList", "ParameterDict", "register_parameter"}  # fmt: skip


@lint_check(
    code="INI101", causes=("params-not-registered",), severity=Severity.CRITICAL, fix="unsafe"
)
def check(code: Code) -> Iterator[Remark]:
    """Say which layers nobody trains."""
    for cls in code.classes():
        for name, bindings in cls.attributes.items():
            plain = [b for b, _ in bindings if _holds_modules(code, cls, name, b)]
            if plain and len(bindings) == 1 and not _registered(cls, name):
                yield Remark(
                    node=plain[0].node,
                    message=f"self.{name} is a plain container: the layers in it are not trained, moved "
                    "or saved. Use nn.ModuleList or nn.ModuleDict.",
                    fix=_fix(code, plain[0]),
                )


def _holds_modules(code: Code, cls: ClassInfo, name: str, binding: Binding) -> bool:
    value = binding.value
    if binding.how != "assign" or not isinstance(
        value, ast.List | ast.Tuple | ast.Dict | ast.ListComp | ast.DictComp
    ):
        return False
    if isinstance(value, ast.Dict):
        items = list(value.values)
    elif isinstance(value, ast.ListComp):
        items = [value.elt]
    elif isinstance(value, ast.DictComp):
        items = [value.value]
    else:
        items = value.elts
    if not items and isinstance(value, ast.List):
        items = list(_appended(cls, name))
    return any(_is_layer(code, item) for item in items)


def _appended(cls: ClassInfo, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(cls.node):
        if isinstance(node, ast.Call) and dotted(node.func) == f"self.{name}.append" and node.args:
            yield node.args[0]


def _is_layer(code: Code, item: ast.expr) -> bool:
    """Whether the item builds a module that has parameters, or one of a class of the file."""
    if not isinstance(item, ast.Call):
        return False
    kind = code.kinds.of(item, code.frame(item))
    if kind is None or kind.name != "module" or kind.guessed:
        return False
    last = kind.maker.rpartition(".")[2]
    return kind.cls is not None or last.startswith(
        ("Linear", "Conv", "Embedding", "LSTM", "GRU", "RNN", "Sequential", "BatchNorm", "LayerNorm",
         "Transformer", "Multihead", "GroupNorm", "Bilinear", "RMSNorm")
    )  # fmt: skip


def _registered(cls: ClassInfo, name: str) -> bool:
    """Whether the container is handed to something that registers what is in it."""
    for node in ast.walk(cls.node):
        if isinstance(node, ast.Call):
            last = (dotted(node.func) or "").rpartition(".")[2]
            if last in _REGISTERS:
                inside = [inner for argument in node.args for inner in ast.walk(argument)]
                if last in ("setattr", "add_module", "register_module") or any(
                    dotted(inner) == f"self.{name}" for inner in inside
                ):
                    return True
    return False


def _fix(code: Code, binding: Binding) -> Fix | None:
    value = binding.value
    home = next((n for n, full in code.index.imports.items() if full == "torch.nn"), None)
    if (
        home is None
        or not isinstance(value, ast.List | ast.ListComp)
        or getattr(value, "elts", [1]) == []
    ):
        return None
    start, end = span(code, value)
    edits = (
        Edit(start=start, end=start, text=f"{home}.ModuleList("),
        Edit(start=end, end=end, text=")"),
    )
    return Fix(message=f"wrap in {home}.ModuleList", edits=edits, safe=False)
