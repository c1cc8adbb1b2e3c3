"""An initialisation whose layer is then replaced.

## What it sees
`nn.init` on `self.fc.weight`, or `model.apply(init)`, and behind it in the same block a new `self.fc`
or a new `model`.

## Why it matters
The new layer has PyTorch's default initialisation; the line above it did nothing.

## Flagged
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            nn.init.zeros_(self.fc.bias)
            self.fc = nn.Linear(4, 2)

## Use instead
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)
            nn.init.zeros_(self.fc.bias)

## What to do
Initialise last.

## Source
An assignment replaces the object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.places import start_of
from steadytrain.lint._code.scopes import dotted


@lint_check(code="INI104", causes=("init-too-large", "init-too-small"))
def check(code: Code) -> Iterator[Remark]:
    """Say which initialisation is lost."""
    for call, owner in _initialised(code):
        scope = code.index.scope[call]
        if code.places.loops(call):
            continue
        for binding in scope.bindings.get(owner, ()):
            later = start_of(binding.node) > start_of(call)
            straight = not code.places.path(binding.node) and not code.places.loops(binding.node)
            value = binding.value
            if later and straight and binding.how == "assign" and isinstance(value, ast.Call):
                kind = code.kinds.of(value, code.frame(call))
                new = kind is not None and kind.call is not None and kind.call.expr is value
                given = any(dotted(node) == owner for node in ast.walk(value))
                if new and kind is not None and kind.name == "module" and not given:
                    yield Remark(
                        node=call,
                        message=f"{owner} is replaced in line {start_of(binding.node)[0]}, after it was "
                        "initialised here. Initialise last.",
                    )
                    break


def _initialised(code: Code) -> Iterator[tuple[ast.Call, str]]:
    """Calls that initialise, and the module whose weights they fill."""
    for call, name in code.calls:
        if name.startswith("torch.nn.init.") and call.args:
            owner = call.args[0]
            while isinstance(owner, ast.Attribute) and owner.attr in ("weight", "bias", "data"):
                owner = owner.value
            text = dotted(owner)
            if text is not None and owner is not call.args[0]:
                yield call, text
    for call in code.methods.get("apply", ()):
        text = dotted(getattr(call.func, "value", None))
        if text is not None and "init" in ast.unparse(call).lower():
            yield call, text
