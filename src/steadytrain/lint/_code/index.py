"""One pass over a parsed file: parents, scopes, bindings, imports, and nodes by type."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

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
        kind = type(node)
        self.parent[node] = parent
        self.scope[node] = scope
        of_kind = self.nodes.get(kind)
        if of_kind is None:
            self.nodes[kind] = [node]
        else:
            of_kind.append(node)
        enter = _ENTERS.get(kind)
        inner = scope if enter is None else enter(self, node, scope)
        calls = kind is ast.Call
        for child in _children(node, kind):
            if self._visit(child, node, inner):
                calls = True
        if calls:
            self.calling.add(node)
        return calls

    def _name(self, node: ast.Name, scope: Scope) -> Scope:
        self.words.add(node.id)
        return scope

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Scope:
        self.words.add(node.attr)
        return scope

    def _return(self, node: ast.Return, scope: Scope) -> Scope:
        self.returns.setdefault(scope, []).append(node)
        return scope

    def _import(self, node: ast.Import, scope: Scope) -> Scope:
        for alias in node.names:
            head = alias.name.partition(".")[0]
            self.imports[alias.asname or head] = alias.name if alias.asname else head
        return scope

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> Scope:
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(node.module or "")
            else:
                prefix = "." * node.level + (node.module or "")
                self.imports[alias.asname or alias.name] = f"{prefix}.{alias.name}"
        return scope

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

    def _assign(self, node: ast.Assign, scope: Scope) -> Scope:
        for target in node.targets:
            self._target(target, node.value, node, scope, "assign")
        return scope

    def _annotated(self, node: ast.AnnAssign | ast.NamedExpr, scope: Scope) -> Scope:
        self._target(node.target, node.value, node, scope, "assign")
        return scope

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> Scope:
        self._target(node.target, node.value, node, scope, "aug")
        return scope

    def _for(self, node: ast.For | ast.AsyncFor | ast.comprehension, scope: Scope) -> Scope:
        self._target(node.target, node.iter, node, scope, "for")
        return scope

    def _with(self, node: ast.withitem, scope: Scope) -> Scope:
        if node.optional_vars is not None:
            self._target(node.optional_vars, node.context_expr, node, scope, "with")
        return scope

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


def _children(node: ast.AST, kind: type[ast.AST]) -> list[ast.AST]:
    """The nodes in `node`; not how a name is used and which operator, which all files share."""
    found: list[ast.AST] = []
    for name in kind._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [one for one in cast("list[object]", value) if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return [one for one in found if type(one) not in _SHARED]


_SHARED: Final = frozenset(
    one
    for kind in (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
    for one in kind.__subclasses__()
)

_ENTERS: Final[dict[type[ast.AST], Callable[[Index, Any, Scope], Scope]]] = {
    ast.Name: Index._name,
    ast.Attribute: Index._attribute,
    ast.Import: Index._import,
    ast.ImportFrom: Index._import_from,
    ast.Return: Index._return,
    ast.ClassDef: Index._class,
    ast.FunctionDef: Index._function,
    ast.AsyncFunctionDef: Index._function,
    ast.Lambda: Index._function,
    ast.Assign: Index._assign,
    ast.AnnAssign: Index._annotated,
    ast.NamedExpr: Index._annotated,
    ast.AugAssign: Index._augmented,
    ast.For: Index._for,
    ast.AsyncFor: Index._for,
    ast.comprehension: Index._for,
    ast.withitem: Index._with,
}
"""What is recorded of a node by its type, before its children are visited."""
