"""What a name stands for: imports, assignments, arguments of calls within the file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from steadytrain.lint._code.index import Index
from steadytrain.lint._code.places import Places, compatible, end_of, start_of
from steadytrain.lint._code.scopes import Binding, ClassInfo, Function, Scope, dotted, parameters

MAX_DEPTH: Final = 8
"""Calls within calls that are followed."""


@dataclass(slots=True, eq=False)
class Frame:
    """A function as it is called from one place: its scope and what its parameters stand for."""

    scope: Scope
    args: dict[str, Value] = field(default_factory=dict[str, "Value"])
    outer: Frame | None = None
    """The frame of the function this one was defined in."""
    caller: Frame | None = None

    def is_within(self, scope: Scope) -> bool:
        """Whether the call stands in a call of the same function, or too deep to be followed."""
        frame: Frame | None = self
        for _ in range(MAX_DEPTH):
            if frame is None:
                return False
            if frame.scope is scope:
                return True
            frame = frame.caller
        return True


@dataclass(slots=True, frozen=True, eq=False)
class Value:
    """An expression, and the frame in which its names have their meaning."""

    expr: ast.expr
    frame: Frame


@dataclass(slots=True, frozen=True, eq=False)
class Candidate:
    """A binding that a name may have at a place."""

    binding: Binding
    frame: Frame


class Values:
    """Follows names to what they stand for.

    Args:
        index: the file.
        places: questions about positions in it.
    """

    def __init__(self, index: Index, places: Places) -> None:
        self.index = index
        self.places = places
        self._frames: dict[Scope, Frame] = {}
        self._resolved: dict[ast.AST, str | None] = {}

    def frame(self, scope: Scope) -> Frame:
        """The frame of `scope`: as it is called first, or with unknown arguments."""
        known = self._frames.get(scope)
        if known is None:
            outer = self.frame(scope.parent) if scope.parent is not None else None
            known = self._frames[scope] = Frame(scope, {}, outer)
        return known

    def frame_of(self, node: ast.AST) -> Frame:
        """The frame of the function that `node` stands in."""
        scope = self.index.scope[node]
        while isinstance(scope.node, ast.ClassDef) and scope.parent is not None:
            scope = scope.parent
        return self.frame(scope)

    def called(
        self, function: Function, call: ast.Call, caller: Frame, owner: Value | None
    ) -> Frame:
        """The frame of `function` as `call` calls it; the first such call is remembered."""
        scope = self.index.scopes[function]
        given = self._arguments(function, call, caller, owner)
        frame = Frame(scope, given, self._outer(scope, caller), caller)
        if scope not in self._frames or not self._frames[scope].args:
            self._frames[scope] = frame
        return frame

    def _outer(self, scope: Scope, caller: Frame) -> Frame | None:
        """The caller's own frame where the function was defined in it."""
        frame: Frame | None = caller
        while frame is not None and frame.scope is not scope.parent:
            frame = frame.outer
        if frame is None and scope.parent is not None:
            frame = self.frame(scope.parent)
        return frame

    def _arguments(
        self, function: Function, call: ast.Call, caller: Frame, owner: Value | None
    ) -> dict[str, Value]:
        names = [arg.arg for arg in parameters(function)]
        given: dict[str, Value] = {}
        if owner is not None and names:
            given[names[0]] = owner
            names = names[1:]
        for name, argument in zip(names, call.args, strict=False):
            if isinstance(argument, ast.Starred):
                break
            given[name] = Value(argument, caller)
        known = set(names)
        given |= {
            word.arg: Value(word.value, caller) for word in call.keywords if word.arg in known
        }
        return given

    def resolve(self, node: ast.AST | None) -> str | None:
        """The qualified name that an import gives to `node`, as in `torch.nn.functional.relu`."""
        if not isinstance(node, ast.Attribute | ast.Name):
            return None
        if node not in self._resolved:
            self._resolved[node] = self._resolve(node)
        return self._resolved[node]

    def _resolve(self, node: ast.AST) -> str | None:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        home = self.index.imports.get(node.id)
        if home is None or self._shadowed(node):
            return None
        return _canonical(".".join([home, *reversed(parts)]))

    def _shadowed(self, node: ast.Name) -> bool:
        scope = self.index.scope.get(node)
        return scope is not None and scope.defining(node.id) is not None

    def candidates(self, expr: ast.expr, frame: Frame) -> list[Candidate]:
        """The bindings that `expr`, a name or path, may have where it stands; empty if unknown."""
        name = dotted(expr)
        if name is None:
            return []
        scope = frame.scope.defining(name)
        if scope is not None and scope is frame.scope:
            reaching = self._reaching(scope.bindings[name], expr)
            if reaching:
                return [Candidate(one, frame) for one in reaching]
        if scope is not None:
            home = self._home(scope, frame)
            last = scope.bindings[name]
            return [Candidate(one, home) for one in (last if len(last) < 9 else last[:0])]
        return self._attribute(expr, frame)

    def _home(self, scope: Scope, frame: Frame) -> Frame:
        outer: Frame | None = frame
        while outer is not None and outer.scope is not scope:
            outer = outer.outer
        return outer or self.frame(scope)

    def _attribute(self, expr: ast.expr, frame: Frame) -> list[Candidate]:
        """The assignments to `self.x`, over the methods of the class and its bases in the file."""
        if not (isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Name)):
            return []
        if expr.value.id != "self" or frame.scope.cls is None:
            return []
        return [
            Candidate(binding, self._home(scope, frame))
            for cls in self.lineage(frame.scope.cls)
            for binding, scope in cls.attributes.get(expr.attr, ())
        ]

    def lineage(self, cls: ClassInfo) -> Iterator[ClassInfo]:
        """The class and its bases that are classes of the file."""
        seen: set[ast.AST] = set()
        waiting = [cls]
        while waiting:
            one = waiting.pop(0)
            if one.node in seen:
                continue
            seen.add(one.node)
            yield one
            for base in one.bases:
                inner = self.index.classes.get(dotted(base) or "")
                if inner is not None:
                    waiting.append(inner)

    def _reaching(self, bindings: list[Binding], use: ast.expr) -> list[Binding]:
        """The bindings that can be the last before `use`, newest first."""
        found: list[Binding] = []
        path = self.places.path(use)
        for binding in reversed(bindings):
            if not self._before(binding, use):
                continue
            if not compatible(self.places.path(binding.node), path):
                continue
            found.append(binding)
            if binding.how == "arg" or self.places.dominates(binding.node, use):
                return found
        return found

    def _before(self, binding: Binding, use: ast.expr) -> bool:
        node = binding.node
        if isinstance(node, ast.comprehension):
            return self.places.inside(use, self.index.parent[node])
        if isinstance(node, ast.For | ast.AsyncFor):
            return end_of(node.target) <= start_of(use) and not self.places.inside(use, node.iter)
        if isinstance(node, ast.withitem):
            return node.optional_vars is not None and end_of(node.optional_vars) <= start_of(use)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return start_of(node) <= start_of(use)
        return end_of(node) <= start_of(use)

    def assigned(self, expr: ast.expr, frame: Frame) -> Value | None:
        """The one value that `expr` was given by a plain assignment or as an argument."""
        found = self.candidates(expr, frame)
        if len(found) != 1:
            return None
        binding, home = found[0].binding, found[0].frame
        if binding.how == "arg":
            return home.args.get(binding.name)
        if binding.how in ("assign", "with") and binding.value is not None:
            return Value(binding.value, home)
        return None

    def root(self, expr: ast.expr, frame: Frame) -> Value:
        """`expr` with parameters and plain aliases replaced by what they stand for."""
        value = Value(expr, frame)
        for _ in range(8):
            following = self.assigned(value.expr, value.frame)
            if following is None or not isinstance(following.expr, ast.Name | ast.Attribute):
                return value if following is None or _is_made(following.expr) else following
            value = following
        return value

    def key(self, expr: ast.expr, frame: Frame) -> str:
        """The same text for every name of the same object; empty where it cannot be known."""
        value = self.root(expr, frame)
        if _is_made(value.expr):
            return f"made:{id(value.expr)}"
        if isinstance(value.expr, ast.Name):
            scope = value.frame.scope.defining(value.expr.id)
            if value.expr.id == "self" and scope is not None:
                return f"{id(scope.cls)}:self" if scope.cls else "self"
            return f"{id(scope) if scope else ''}:{value.expr.id}"
        if isinstance(value.expr, ast.Attribute):
            inner = self.key(value.expr.value, value.frame)
            return f"{inner}.{value.expr.attr}" if inner else ""
        name = dotted(value.expr)
        return f"{id(value.frame.scope)}:{name}" if name else ""


def _is_made(node: ast.expr) -> bool:
    """Whether the expression makes an object, rather than naming one."""
    return not isinstance(node, ast.Name | ast.Attribute | ast.Subscript)


def _canonical(name: str) -> str:
    """One spelling for the several homes that torch gives a name."""
    for short, full in _HOMES:
        if name.startswith(short):
            return full + name[len(short) :]
    return name


_HOMES = (
    ("torch.nn.modules.", "torch.nn."),
    ("torch.utils.data.dataloader.DataLoader", "torch.utils.data.DataLoader"),
    ("torch.nn.utils.clip_grad.", "torch.nn.utils."),
    ("pytorch_lightning", "lightning.pytorch"),
    ("lightning.LightningModule", "lightning.pytorch.LightningModule"),
    ("lightning.Trainer", "lightning.pytorch.Trainer"),
    ("lightning.fabric.Fabric", "lightning.Fabric"),
)
