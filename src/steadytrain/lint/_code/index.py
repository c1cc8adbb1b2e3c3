"""One pass over a parsed file: parents, scopes, bindings, imports, and nodes by type."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._code.scopes import (
    FUNCTIONS,
    Binding,
    ClassInfo,
    Scope,
    dotted,
    parameters,
)


class Index:
    """What stands where in a file.

    Args:
        tree: the parsed file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parent: dict[ast.AST, ast.AST] = {}
        self.scope: dict[ast.AST, Scope] = {}
        self.scopes: dict[ast.AST, Scope] = {}
        self.nodes: dict[type[ast.AST], list[ast.AST]] = {}
        self.imports: dict[str, str] = {}
        self.classes: dict[str, ClassInfo] = {}
        self.stars: list[str] = []
        self.returns: dict[Scope, list[ast.Return]] = {}
        self.calling: set[ast.AST] = set()
        """Nodes that are a call or have one in them."""
        self.words: set[str] = set()
        """Every name and attribute of the file."""
        root = Scope(node=tree, parent=None)
        self.root = self.scopes[tree] = root
        for child in ast.iter_child_nodes(tree):
            self._visit(child, tree, root)

    def of(self, *types: type[ast.AST]) -> Iterator[ast.AST]:
        """Every node of these types, in the order of the source for each type."""
        for kind in types:
            yield from self.nodes.get(kind, ())

    def _visit(self, node: ast.AST, parent: ast.AST, scope: Scope) -> bool:
        """Record `node` and what is in it; whether there is a call in it."""
        self.parent[node] = parent
        self.scope[node] = scope
        self.nodes.setdefault(type(node), []).append(node)
        inner = self._enter(node, scope)
        calls = type(node) is ast.Call
        for child in ast.iter_child_nodes(node):
            calls = self._visit(child, node, inner) or calls
        if calls:
            self.calling.add(node)
        return calls

    def _enter(self, node: ast.AST, scope: Scope) -> Scope:
        """Record what `node` binds; the scope of its children is returned."""
        kind = type(node)
        if kind is ast.Name:
            self.words.add(node.id)  # pyright: ignore[reportAttributeAccessIssue]
        elif kind is ast.Attribute:
            self.words.add(node.attr)  # pyright: ignore[reportAttributeAccessIssue]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.Return):
            self.returns.setdefault(scope, []).append(node)
        elif isinstance(node, ast.ClassDef):
            return self._class(node, scope)
        elif isinstance(node, FUNCTIONS):
            return self._function(node, scope)
        else:
            self._bindings(node, scope)
        return scope

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                self.imports[alias.asname or head] = alias.name if alias.asname else head
            return
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(node.module or "")
            else:
                prefix = "." * node.level + (node.module or "")
                self.imports[alias.asname or alias.name] = f"{prefix}.{alias.name}"

    def _class(self, node: ast.ClassDef, scope: Scope) -> Scope:
        self._bind(scope, Binding(node.name, node, None, "class"))
        inner = Scope(node=node, parent=scope)
        methods = {
            item.name: item
            for item in node.body
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        inner.cls = ClassInfo(node, inner, tuple(node.bases), methods)
        self.classes[node.name] = inner.cls
        self.scopes[node] = inner
        return inner

    def _function(self, node: ast.AST, scope: Scope) -> Scope:
        assert isinstance(node, FUNCTIONS)
        if not isinstance(node, ast.Lambda):
            self._bind(scope, Binding(node.name, node, None, "def"))
        inner = Scope(node=node, parent=scope, cls=scope.cls)
        for arg in parameters(node):
            self._bind(inner, Binding(arg.arg, arg, None, "arg"))
        self.scopes[node] = inner
        return inner

    def _bindings(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._target(target, node.value, node, scope, "assign")
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            self._target(node.target, node.value, node, scope, "assign")
        elif isinstance(node, ast.AugAssign):
            self._target(node.target, node.value, node, scope, "aug")
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._target(node.target, node.iter, node, scope, "for")
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._target(node.optional_vars, node.context_expr, node, scope, "with")

    def _target(
        self, target: ast.AST, value: ast.expr | None, node: ast.AST, scope: Scope, how: str
    ) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            items = value.elts if isinstance(value, ast.Tuple | ast.List) else None
            for index, item in enumerate(target.elts):
                if how == "assign" and items is not None and len(items) == len(target.elts):
                    self._target(item, items[index], node, scope, how)
                else:
                    self._named(
                        item, value, node, scope, "unpack" if how == "assign" else how, index
                    )
            return
        self._named(target, value, node, scope, how, None)

    def _named(
        self,
        target: ast.AST,
        value: ast.expr | None,
        node: ast.AST,
        scope: Scope,
        how: str,
        index: int | None,
    ) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for item in target.elts:
                self._named(item, None, node, scope, how, None)
            return
        if isinstance(target, ast.Starred):
            target, value = target.value, None
        name = dotted(target)
        if name is None:
            return
        binding = Binding(name, node, value, how, index)
        self._bind(scope, binding)
        head, _, attribute = name.partition(".")
        if head == "self" and scope.cls is not None and attribute and "." not in attribute:
            scope.cls.attributes.setdefault(attribute, []).append((binding, scope))

    def _bind(self, scope: Scope, binding: Binding) -> None:
        scope.bindings.setdefault(binding.name, []).append(binding)
