"""Where a node stands: its statement, its branch, what encloses it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from steadytrain.lint._code.index import Index
from steadytrain.lint._code.scopes import FUNCTIONS, LOOPS

Path = frozenset[tuple[str, bool]]
"""Conditions that hold where a node stands: the text of a test, and whether it is true."""

_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers")


class Places:
    """Questions about the position of nodes.

    Args:
        index: the file.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self._paths: dict[ast.AST, Path] = {}

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around `node`, from the inside out."""
        parent = self.index.parent.get(node)
        while parent is not None:
            yield parent
            parent = self.index.parent.get(parent)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that `node` is or belongs to."""
        while not isinstance(node, ast.stmt):
            node = self.index.parent[node]
        return node

    def within(self, node: ast.AST, *types: type[ast.AST]) -> Iterator[ast.AST]:
        """The nodes of these types around `node` in its own function, from the inside out."""
        for outer in self.ancestors(node):
            if isinstance(outer, types):
                yield outer
            if isinstance(outer, (*FUNCTIONS, ast.ClassDef)):
                return

    def loops(self, node: ast.AST) -> list[ast.AST]:
        """The loops around `node` in its own function, from the inside out."""
        return [
            loop
            for loop in self.within(node, *LOOPS)
            if not (isinstance(loop, ast.For | ast.AsyncFor) and self.inside(node, loop.iter))
        ]

    def inside(self, node: ast.AST, outer: ast.AST) -> bool:
        """Whether `node` is `outer` or stands in it."""
        return node is outer or any(one is outer for one in self.ancestors(node))

    def path(self, node: ast.AST) -> Path:
        """The conditions around `node` within its function."""
        known = self._paths.get(node)
        if known is not None:
            return known
        parent = self.index.parent.get(node)
        if parent is None or isinstance(node, FUNCTIONS):
            made: Path = frozenset()
        else:
            made = self.path(parent) | self._branch(parent, node)
        self._paths[node] = made
        return made

    def _branch(self, parent: ast.AST, node: ast.AST) -> Path:
        if isinstance(parent, ast.If | ast.IfExp) and node is not parent.test:
            return literals(parent.test, is_true=branch_of(parent, node) == "body")
        if isinstance(parent, ast.ExceptHandler):
            return frozenset({(f"except {id(parent)}", True)})
        return frozenset()

    def dominates(self, first: ast.AST, later: ast.AST) -> bool:
        """Whether whoever reaches `later` in the same function has passed `first` before."""
        statement = self.statement(first)
        block = self.index.parent.get(statement)
        if isinstance(block, ast.With | ast.AsyncWith | ast.Module | ast.Try):
            return True if not isinstance(block, ast.Try) else self.inside(later, block)
        if block is None or not self.inside(later, block):
            return False
        return branch_of(block, statement) == self._branch_towards(block, later)

    def _branch_towards(self, block: ast.AST, node: ast.AST) -> str:
        while self.index.parent[node] is not block:
            node = self.index.parent[node]
        return branch_of(block, node)


def branch_of(parent: ast.AST, child: ast.AST) -> str:
    """The field of `parent` that holds `child`."""
    for name in _BLOCKS:
        items = getattr(parent, name, None)
        if items is child or (isinstance(items, list) and any(item is child for item in items)):
            return name
    return ""


@lru_cache(maxsize=2048)
def literals(test: ast.expr, *, is_true: bool) -> Path:
    """What is known when `test` is true, or false."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return literals(test.operand, is_true=not is_true)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) == is_true:
        return frozenset().union(*(literals(value, is_true=is_true) for value in test.values))
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        negative = {ast.IsNot: ast.Is, ast.NotEq: ast.Eq}.get(type(test.ops[0]))
        if negative is not None:
            turned = ast.Compare(left=test.left, ops=[negative()], comparators=test.comparators)
            return frozenset({(ast.dump(turned), not is_true)})
        if isinstance(test.ops[0], ast.Is) and _is_none(test.comparators[0]):
            return frozenset({(ast.dump(test), is_true), (ast.dump(test.left), not is_true)})
    return frozenset({(ast.dump(test), is_true)})


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def compatible(first: Path, second: Path) -> bool:
    """Whether both can hold in one pass: no condition is asked to be true and false."""
    return not any((text, not truth) in second for text, truth in first)


def start_of(node: ast.AST) -> tuple[int, int]:
    """Line and column where `node` begins."""
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def end_of(node: ast.AST) -> tuple[int, int]:
    """Line and column where `node` ends."""
    return getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0
