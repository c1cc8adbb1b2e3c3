"""Passes through code in the order of execution, calls within the file followed."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from steadytrain.lint._code.calls import Calls
from steadytrain.lint._code.events import MAX_CALLS, MAX_EVENTS, Event, Loop, Trace
from steadytrain.lint._code.kinds import Kinds
from steadytrain.lint._code.places import Path, compatible, literals
from steadytrain.lint._code.scopes import FUNCTIONS, LOOPS, Function
from steadytrain.lint._code.values import Frame, Value

_OFF = (
    "torch.no_grad",
    "torch.inference_mode",
    "torch.autograd.no_grad",
    "torch.autograd.grad_mode.no_grad",
)
_ON = ("torch.enable_grad", "torch.autograd.enable_grad")


@dataclass(slots=True, frozen=True)
class Setting:
    """What surrounds the code that is walked."""

    frame: Frame
    path: Path = frozenset()
    loop: Loop | None = None
    no_grad: bool = False
    autocast: bool = False
    depth: int = 0


class Walker:
    """Makes the trace of one entry point.

    Args:
        kinds: what kind of object an expression is.
        visited: functions that were walked through; added to.
        quiet: those of them in which nothing happens; added to.
    """

    def __init__(self, kinds: Kinds, visited: set[ast.AST], quiet: set[ast.AST]) -> None:
        self.kinds = kinds
        self.values = kinds.values
        self.visited = visited
        self.quiet = quiet
        self.calls = Calls(kinds)
        self.events: list[Event] = []
        self.loops: list[Loop] = []
        self._active: list[ast.AST] = []

    def trace(self, frame: Frame, *, as_loop: bool = False) -> Trace:
        """The events of the function or module of `frame`.

        Args:
            frame: how it is called.
            as_loop: whether somebody else calls it again and again.
        """
        node = frame.scope.node
        setting = Setting(frame)
        if as_loop:
            loop = Loop(node, frame, frozenset(), None)
            self.loops.append(loop)
            setting = replace(setting, loop=loop)
        if isinstance(node, FUNCTIONS):
            self._function(node, setting)
        else:
            self._block(getattr(node, "body", []), setting)
        return Trace(frame, self.events, self.loops)

    def _function(self, node: Function, setting: Setting) -> None:
        self.visited.add(node)
        if any(one is node for one in self._active) or len(self._active) > MAX_CALLS:
            return
        self._active.append(node)
        for decorator in getattr(node, "decorator_list", []):
            setting = self._entered(decorator, setting)
        if isinstance(node, ast.Lambda):
            self._expression(node.body, setting)
        else:
            self._block(node.body, setting)
        self._active.pop()

    def _block(self, body: list[ast.stmt], setting: Setting) -> None:
        for statement in body:
            if len(self.events) > MAX_EVENTS:
                return
            self._statement(statement, setting)
            setting = self._after(statement, setting)

    def _after(self, statement: ast.stmt, setting: Setting) -> Setting:
        """What is known behind a test whose one branch leaves the block."""
        if (
            isinstance(statement, ast.If)
            and statement.body
            and isinstance(statement.body[-1], ast.Continue | ast.Return | ast.Raise | ast.Break)
        ):
            known = literals(statement.test, is_true=False)
            return replace(setting, path=setting.path | known)
        return setting

    def _statement(self, node: ast.stmt, setting: Setting) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        if isinstance(node, ast.If):
            self._if(node, setting)
        elif isinstance(node, LOOPS):
            self._loop(node, setting)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._expression(item.context_expr, setting)
                setting = self._entered(item.context_expr, setting)
            self._block(node.body, setting)
        elif isinstance(node, ast.Try | getattr(ast, "TryStar", ast.Try)):
            self._try(node, setting)
        elif isinstance(node, ast.Match):
            self._expression(node.subject, setting)
            for case in node.cases:
                unique = frozenset({(f"match {id(node)}: {id(case)}", True)})
                others = {
                    (f"match {id(node)}: {id(o)}", False) for o in node.cases if o is not case
                }
                self._block(case.body, replace(setting, path=setting.path | unique | others))
        else:
            self._expression(node, setting)

    def _if(self, node: ast.If, setting: Setting) -> None:
        self._expression(node.test, setting)
        for body, is_true in ((node.body, True), (node.orelse, False)):
            known = literals(node.test, is_true=is_true)
            if body and compatible(known, setting.path):
                self._block(body, replace(setting, path=setting.path | known))

    def _loop(self, node: ast.AST, setting: Setting) -> None:
        assert isinstance(node, LOOPS)
        head = node.test if isinstance(node, ast.While) else node.iter
        self._expression(head, setting)
        loop = Loop(node, setting.frame, setting.path, setting.loop)
        self.loops.append(loop)
        self._block(node.body, replace(setting, loop=loop))
        self._block(node.orelse, setting)

    def _try(self, node: ast.stmt, setting: Setting) -> None:
        assert isinstance(node, ast.Try)
        self._block([*node.body, *node.orelse], setting)
        for handler in node.handlers:
            known = setting.path | {(f"except {id(handler)}", True)}
            self._block(handler.body, replace(setting, path=known))
        self._block(node.finalbody, setting)

    def _entered(self, item: ast.expr, setting: Setting) -> Setting:
        """The setting inside a context manager or under a decorator."""
        name = self.values.resolve(item.func if isinstance(item, ast.Call) else item) or ""
        if name in _OFF:
            return replace(setting, no_grad=True)
        if name in _ON or name.endswith("set_grad_enabled"):
            return replace(setting, no_grad=False)
        if "autocast" in name:
            return replace(setting, autocast=True)
        return setting

    def _expression(self, node: ast.AST, setting: Setting) -> None:
        """The events of an expression or simple statement, arguments before their call."""
        if isinstance(node, ast.Lambda):
            return
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            self._assignment(node, setting)
            return
        if node not in self.values.index.calling:
            return
        if isinstance(node, ast.IfExp):
            self._expression(node.test, setting)
            for part, is_true in ((node.body, True), (node.orelse, False)):
                known = literals(node.test, is_true=is_true)
                self._expression(part, replace(setting, path=setting.path | known))
            return
        for child in ast.iter_child_nodes(node):
            self._expression(child, setting)
        if isinstance(node, ast.Call):
            self._call(node, setting)

    def _assignment(
        self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, setting: Setting
    ) -> None:
        if node.value is not None:
            self._expression(node.value, setting)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute) and target.attr == "grad":
                cleared = isinstance(node.value, ast.Constant) and node.value.value is None
                self._add("zero" if cleared else "grad", node, setting)

    def _call(self, call: ast.Call, setting: Setting) -> None:
        # A function of the file handed to somebody is taken to be called by him, as a closure is.
        for argument in [*call.args, *(word.value for word in call.keywords)]:
            found = self.calls.function(argument, setting.frame)
            if found is not None:
                self._follow(found[0], ast.Call(argument, [], []), found[1], setting)
        found = self.calls.target(call, setting.frame)
        if found is not None:
            self._follow(found[0], call, found[1], setting)
            return
        for event in self.calls.events(call, setting.frame):
            self._add(event.kind, call, setting, event)

    def _follow(
        self, function: Function, call: ast.Call, owner: Value | None, setting: Setting
    ) -> None:
        if setting.depth > MAX_CALLS or any(one is function for one in self._active):
            return
        handed = any(self.calls.function(one, setting.frame) for one in call.args)
        if function in self.quiet and not handed:
            return
        frame = self.values.called(function, call, setting.frame, owner)
        before = len(self.events)
        self._function(function, replace(setting, frame=frame, depth=setting.depth + 1))
        if len(self.events) == before and not handed:
            self.quiet.add(function)

    def _add(self, kind: str, node: ast.AST, setting: Setting, like: Event | None = None) -> None:
        self.events.append(
            Event(
                kind=kind,
                node=node,
                frame=setting.frame,
                place=len(self.events),
                target=like.target if like else "",
                path=setting.path,
                loop=setting.loop,
                scaled=like.scaled if like else "",
                owner=like.owner if like else "",
                no_grad=setting.no_grad,
                autocast=setting.autocast,
            )
        )
