"""What kind of object an expression is: optimizer, scheduler, scaler, module, loader, loss."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import Final

from steadytrain.lint._code.scopes import FUNCTIONS, ClassInfo, dotted
from steadytrain.lint._code.values import Candidate, Frame, Value, Values
from steadytrain.lint._code.vocabulary import BASE, MADE, NO_MODULE, SAME, Kind, guess

_DEPTH: Final = 14


class Kinds:
    """Answers what kind of object an expression is.

    Args:
        values: what names stand for.
    """

    def __init__(self, values: Values) -> None:
        self.values = values
        self._known: dict[tuple[ast.expr, Frame], Kind | None] = {}

    def of(self, expr: ast.expr, frame: Frame, depth: int = 0) -> Kind | None:
        """The kind of `expr`; where nothing else is known, what its name says."""
        known = self._known.get((expr, frame), ...)
        if known is not ...:
            return known  # pyright: ignore[reportReturnType]
        self._known[expr, frame] = None
        made = self._of(expr, frame, depth)
        self._known[expr, frame] = made
        return made

    @cached_property
    def owners(self) -> set[str]:
        """Names that something says `name.optimizer` of: who gets one of these gets the optimizer."""
        return {
            node.value.id
            for node in self.values.index.of(ast.Attribute)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if (kind := guess(node.attr)) is not None and kind.name in ("optimizer", "scaler")
        } - set(self.values.index.imports)

    def is_a(self, name: str, expr: ast.expr, frame: Frame) -> bool:
        """Whether `expr` is of the kind `name`, by what made it or by its own name."""
        kind = self.of(expr, frame)
        return kind is not None and kind.name == name

    def _of(self, expr: ast.expr, frame: Frame, depth: int) -> Kind | None:
        if depth > _DEPTH:
            return None
        if isinstance(expr, ast.Call):
            return self._of_call(expr, frame, depth)
        if isinstance(expr, ast.IfExp):
            return self.of(expr.body, frame, depth + 1) or self.of(expr.orelse, frame, depth + 1)
        if isinstance(expr, ast.BoolOp):
            return self.of(expr.values[-1], frame, depth + 1)
        name = dotted(expr)
        if name is None:
            return None
        if name == "self":
            return self._of_self(expr, frame, depth)
        found = self.values.candidates(expr, frame)
        made = [kind for one in found if (kind := self._of_binding(one, depth)) is not None]
        if made and all(kind.name == made[0].name for kind in made):
            return made[0]
        if name.endswith((".module", "._orig_mod")) and isinstance(expr, ast.Attribute):
            return self.of(expr.value, frame, depth + 1)
        inner = self._of_member(expr, frame, depth)
        return inner or (guess(name) if not made and not self._is_data(found) else None)

    def _of_self(self, expr: ast.expr, frame: Frame, depth: int) -> Kind | None:
        given = frame.args.get("self")
        if given is not None and given.expr is not expr:
            return self.of(given.expr, given.frame, depth + 1)
        cls = frame.scope.cls
        if cls is None or self.class_kind(cls) != "module":
            return None
        return Kind("module", cls=cls)

    def _is_data(self, found: list[Candidate]) -> bool:
        """Whether the name is known to be a number, a text, or the like."""
        return any(
            isinstance(
                one.binding.value, ast.Constant | ast.List | ast.Dict | ast.ListComp | ast.JoinedStr
            )
            and not (
                isinstance(one.binding.value, ast.Constant) and one.binding.value.value is None
            )
            for one in found
        )

    def _of_member(self, expr: ast.expr, frame: Frame, depth: int) -> Kind | None:
        """The kind of `obj.x` where `obj` is of a class of the file."""
        if not isinstance(expr, ast.Attribute):
            return None
        owner = self.of(expr.value, frame, depth + 1) if dotted(expr.value) != "self" else None
        if owner is None or owner.cls is None:
            return None
        kinds = [
            self._of_binding(Candidate(binding, self.values.frame(scope)), depth)
            for cls in self.values.lineage(owner.cls)
            for binding, scope in cls.attributes.get(expr.attr, ())
        ]
        return next((kind for kind in kinds if kind is not None), None)

    def _of_binding(self, found: Candidate, depth: int) -> Kind | None:
        binding, frame = found.binding, found.frame
        if binding.how == "arg":
            given = frame.args.get(binding.name)
            annotated = self._annotated(binding.node)
            return self.of(given.expr, given.frame, depth + 1) if given else annotated
        if binding.value is None:
            return None
        if binding.how in ("assign", "with"):
            return self.of(binding.value, frame, depth + 1)
        if binding.how == "unpack" and binding.index is not None:
            return self.element(binding.value, binding.index, frame, depth + 1)
        return None

    def _annotated(self, node: ast.AST) -> Kind | None:
        annotation = getattr(node, "annotation", None)
        if annotation is None:
            return None
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return None
        return self._made_by(annotation, None)

    def element(self, expr: ast.expr, index: int, frame: Frame, depth: int) -> Kind | None:
        """The kind of the `index`-th part of what `expr` gives."""
        if not isinstance(expr, ast.Call) or depth > _DEPTH:
            return None
        if (
            isinstance(expr.func, ast.Attribute)
            and expr.func.attr in ("prepare", "setup")
            and (
                self.is_a("accelerator", expr.func.value, frame)
                or self.is_a("fabric", expr.func.value, frame)
            )
        ):
            given = expr.args[index : index + 1]
            return self.of(given[0], frame, depth + 1) if given else None
        if self.values.resolve(expr.func) == "deepspeed.initialize":
            return Kind(("engine", "optimizer", "loader", "scheduler")[min(index, 3)])
        for value in self.returned(expr, frame):
            if isinstance(value.expr, ast.Tuple) and index < len(value.expr.elts):
                return self.of(value.expr.elts[index], value.frame, depth + 1)
        return None

    def returned(self, call: ast.Call, frame: Frame) -> list[Value]:
        """What the function of the file that `call` calls can return."""
        name = dotted(call.func)
        scope = frame.scope.defining(name) if name else None
        found = scope.bindings[name] if scope is not None and name is not None else []
        if len(found) != 1 or found[0].how != "def" or not isinstance(found[0].node, FUNCTIONS):
            return []
        function = found[0].node
        if frame.is_within(self.values.index.scopes[function]):
            return []
        inner = self.values.called(function, call, frame, None)
        return [
            Value(node.value, inner)
            for node in self.values.index.returns.get(inner.scope, ())
            if node.value is not None
        ]

    def _of_call(self, call: ast.Call, frame: Frame, depth: int) -> Kind | None:
        made = self._made_by(call.func, Value(call, frame))
        if made is not None and made.name == "wrapper":
            return self.of(call.args[0], frame, depth + 1) if call.args else None
        if made is not None:
            return made
        if isinstance(call.func, ast.Attribute):
            inner = self._of_method(call, call.func, frame, depth)
            if inner is not None:
                return inner
        kinds = [
            self.of(value.expr, value.frame, depth + 1) for value in self.returned(call, frame)
        ]
        if kinds and all(
            kind is not None and kind.name == kinds[0].name for kind in kinds if kinds[0]
        ):
            return kinds[0]
        return None

    def _of_method(
        self, call: ast.Call, func: ast.Attribute, frame: Frame, depth: int
    ) -> Kind | None:
        if func.attr in SAME or func.attr in ("prepare", "setup", "setup_module"):
            owner = self.of(func.value, frame, depth + 1)
            if owner is None:
                return None
            if owner.name in ("module", "loss") and func.attr in SAME:
                return owner
            if owner.name in ("accelerator", "fabric") and call.args:
                return self.of(call.args[0], frame, depth + 1)
        if func.attr in ("prepare_data_loader", "setup_dataloaders"):
            return Kind("loader")
        return None

    def _made_by(self, func: ast.expr, call: Value | None) -> Kind | None:
        name = self.values.resolve(func)
        if name is not None and name not in NO_MODULE:
            for pattern, kind in MADE:
                if pattern.fullmatch(name):
                    return Kind(kind, name, call)
        cls = self.values.index.classes.get(dotted(func) or "")
        if cls is not None:
            kind = self.class_kind(cls)
            return Kind(kind or "object", "", call, cls)
        return None

    def class_kind(self, cls: ClassInfo) -> str | None:
        """`module` or `optimizer` for a class of the file that is one by its bases."""
        for one in self.values.lineage(cls):
            for base in one.bases:
                name = self.values.resolve(base)
                for pattern, kind in BASE:
                    if name is not None and pattern.fullmatch(name):
                        return kind
        return None

    def bases(self, cls: ClassInfo) -> set[str]:
        """The qualified names of the imported bases of a class, through classes of the file."""
        lineage = self.values.lineage(cls)
        return {
            name for one in lineage for base in one.bases if (name := self.values.resolve(base))
        }
