"""One file of training code, ready to be asked."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final

from steadytrain.lint._code.events import Event, Loop, Trace
from steadytrain.lint._code.forms import Forms
from steadytrain.lint._code.index import Index
from steadytrain.lint._code.kinds import Kinds
from steadytrain.lint._code.places import Places
from steadytrain.lint._code.scopes import FUNCTIONS, ClassInfo, dotted
from steadytrain.lint._code.values import Frame, Values
from steadytrain.lint._code.walking import Walker

LIGHTNING: Final = "LightningModule"
MAX_TRACES: Final = 400
_TRAINS: Final = ("backward", "manual_backward", "zero_grad", "step", "clip_grad_norm_", "minimize")
"""A file with none of these words has no training loop."""


class Code:
    """The parsed text of a file, and what its names, objects and loops are.

    Args:
        text: the source.
        tree: the same, parsed.
    """

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.text = text
        self.tree = tree
        self.index = Index(tree)
        self.places = Places(self.index)
        self.values = Values(self.index, self.places)
        self.kinds = Kinds(self.values)
        self.forms = Forms(self.kinds)
        self._remembered: dict[str, list[Any]] = {}

    @cached_property
    def traces(self) -> list[Trace]:
        """What happens from every entry point: the module, and the functions nobody here calls."""
        if not self.has(*_TRAINS):
            return []
        visited: set[ast.AST] = set()
        quiet: set[ast.AST] = set()
        module = Walker(self.kinds, visited, quiet).trace(self.values.frame(self.index.root))
        found = [module]
        for function in self._entries():
            if function not in visited and len(found) < MAX_TRACES:
                frame = self.values.frame(self.index.scopes[function])
                found.append(Walker(self.kinds, visited, quiet).trace(frame, as_loop=True))
        return [trace for trace in found if trace.events]

    def _entries(self) -> list[ast.AST]:
        """Every function with a name, those that nobody in the file mentions first."""
        functions = list(self.index.of(ast.FunctionDef, ast.AsyncFunctionDef))
        used = {node.id for node in self.index.of(ast.Name) if isinstance(node, ast.Name)}
        own = {
            node.attr
            for node in self.index.of(ast.Attribute)
            if isinstance(node, ast.Attribute) and dotted(node.value) in ("self", "super")
        }
        others = {n.attr for n in self.index.of(ast.Attribute) if isinstance(n, ast.Attribute)}

        def rank(node: ast.AST) -> tuple[int, int]:
            name = getattr(node, "name", "")
            known = 2 if name in used or name in own else 1 if name in others else 0
            return known, getattr(node, "lineno", 0)

        return sorted(functions, key=rank)

    @cached_property
    def loops(self) -> list[tuple[Trace, Loop, list[Event]]]:
        """Every loop that is passed through, with what happens in it."""
        return [
            (trace, loop, events)
            for trace in self.traces
            for loop in trace.loops
            if (events := trace.inside(loop))
        ]

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """Every call to something imported, with its qualified name."""
        self.traces  # noqa: B018 - fills in what parameters stand for
        return [
            (call, name)
            for call in self.index.of(ast.Call)
            if isinstance(call, ast.Call) and (name := self.values.resolve(call.func)) is not None
        ]

    @cached_property
    def methods(self) -> dict[str, list[ast.Call]]:
        """Every call of a method of something that is not an import, by the method's name."""
        found: dict[str, list[ast.Call]] = {}
        for call in self.index.of(ast.Call):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and self.values.resolve(call.func) is None
            ):
                found.setdefault(call.func.attr, []).append(call)
        return found

    def remember(self, what: str, make: Callable[[], Iterator[Any]]) -> list[Any]:
        """What `make` gives, made once for this file under the name `what`."""
        if what not in self._remembered:
            self._remembered[what] = list(make())
        return self._remembered[what]

    def frame(self, node: ast.AST) -> Frame:
        """The frame of the function that `node` stands in, as it is called first."""
        self.traces  # noqa: B018 - fills in what parameters stand for
        return self.values.frame_of(node)

    def classes(self, kind: str = "module") -> Iterator[ClassInfo]:
        """The classes of the file that are modules, or optimizers."""
        for cls in self.index.classes.values():
            if self.kinds.class_kind(cls) == kind:
                yield cls

    def is_lightning(self, cls: ClassInfo | None) -> bool:
        """Whether the class is a Lightning module."""
        return cls is not None and any(
            base.rpartition(".")[2] == LIGHTNING for base in self.kinds.bases(cls)
        )

    def enclosing_class(self, node: ast.AST) -> ClassInfo | None:
        """The class in whose method `node` stands."""
        return self.index.scope[node].cls

    def function_of(self, node: ast.AST) -> ast.AST | None:
        """The innermost function around `node`."""
        return next(
            (one for one in self.places.ancestors(node) if isinstance(one, FUNCTIONS)), None
        )

    def has(self, *words: str) -> bool:
        """Whether the file uses any of these as a name or attribute."""
        return any(word in self.index.words for word in words)

    def keyword(self, call: ast.Call, word: str, place: int | None = None) -> ast.expr | None:
        """The argument `word` of `call`, which may also stand at `place`."""
        for given in call.keywords:
            if given.arg == word:
                return given.value
        if place is not None and place < len(call.args):
            before = call.args[: place + 1]
            return None if any(isinstance(one, ast.Starred) for one in before) else call.args[place]
        return None

    def number(self, node: ast.expr | None) -> float | None:
        """The number that `node` is, where it stands in the source."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.number(node.operand)
            return None if inner is None else -inner
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        return None

    def is_literal(self, node: ast.expr | None, value: object) -> bool:
        """Whether `node` is the constant `value` itself."""
        return isinstance(node, ast.Constant) and node.value is value

    def without_gradient(self, node: ast.AST) -> bool:
        """Whether `node` stands under `no_grad` or `inference_mode` in its own function."""
        for outer in self.places.within(node, ast.With, ast.AsyncWith, *FUNCTIONS):
            items = getattr(outer, "items", None)
            used = [item.context_expr for item in items or ()]
            for item in used or getattr(outer, "decorator_list", []):
                name = self.values.resolve(item.func if isinstance(item, ast.Call) else item) or ""
                if name.rpartition(".")[2] in ("no_grad", "inference_mode"):
                    return True
                if name.rpartition(".")[2] == "enable_grad":
                    return False
                if name.endswith("set_grad_enabled"):
                    return True
        return False
