"""What form a tensor has: probabilities, logits, rectified; and whether it still has a graph."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Final

from steadytrain.lint._code.kinds import Kinds
from steadytrain.lint._code.scopes import ClassInfo
from steadytrain.lint._code.values import Frame, Value, Values

_DEPTH: Final = 10

_FUNCTIONS: Final = {
    f"{home}.{name}": form
    for home in ("torch", "torch.nn.functional", "torch.special")
    for name, form in {
        "softmax": "softmax",
        "sigmoid": "sigmoid",
        "expit": "sigmoid",
        "log_softmax": "log_softmax",
        "logsigmoid": "logsigmoid",
        "relu": "relu",
        "tanh": "tanh",
        "linear": "linear",
    }.items()
}
_METHODS: Final = {name: name for name in ("softmax", "sigmoid", "log_softmax", "relu", "tanh")}
_MODULES: Final = {
    "torch.nn.Softmax": "softmax",
    "torch.nn.Sigmoid": "sigmoid",
    "torch.nn.LogSoftmax": "log_softmax",
    "torch.nn.LogSigmoid": "logsigmoid",
    "torch.nn.ReLU": "relu",
    "torch.nn.Tanh": "tanh",
    "torch.nn.Linear": "linear",
    "torch.nn.LazyLinear": "linear",
    "torch.nn.Conv2d": "linear",
    "torch.nn.Bilinear": "linear",
}
_SHAPE_METHODS: Final = {"view", "reshape", "squeeze", "unsqueeze", "float", "double", "half", "contiguous",
                         "to", "transpose", "permute", "flatten", "clone", "cuda", "cpu", "type_as",
                         "view_as", "reshape_as", "expand", "t", "type"}  # fmt: skip
_SAME_SHAPE: Final = {
    "float",
    "double",
    "half",
    "contiguous",
    "to",
    "clone",
    "cuda",
    "cpu",
    "type_as",
    "type",
}
_SHAPE_FUNCTIONS: Final = {"torch.squeeze", "torch.unsqueeze", "torch.flatten", "torch.reshape",
                           "torch.transpose", "torch.permute"}  # fmt: skip
_SHAPE_MODULES: Final = {"torch.nn.Flatten", "torch.nn.Unflatten", "torch.nn.Identity",
                         "torch.nn.Dropout"}  # fmt: skip


@dataclass(slots=True, frozen=True, eq=False)
class Form:
    """The last operation that gave a tensor its range, and where it stands."""

    name: str
    """softmax, log_softmax, sigmoid, logsigmoid, relu, tanh, linear."""
    node: ast.AST
    width: int | None = None
    """Outputs of the layer before, where they are a number in the source."""


class Forms:
    """Answers what form an expression has.

    Args:
        kinds: what kind of object an expression is.
    """

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.values: Values = kinds.values

    def of(self, expr: ast.expr, frame: Frame, depth: int = 0) -> Form | None:
        """The form of `expr`; None where the ways to it differ or one is unknown."""
        if depth > _DEPTH:
            return None
        if isinstance(expr, ast.Call):
            return self._of_call(expr, frame, depth)
        if isinstance(expr, ast.IfExp):
            return self._agreed([Value(expr.body, frame), Value(expr.orelse, frame)], depth)
        if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Add):
            # A small constant that keeps a logarithm finite does not change what it is.
            inner, other = expr.left, expr.right
            return self.of(inner, frame, depth + 1) if isinstance(other, ast.Constant) else None
        if isinstance(expr, ast.Subscript):
            return self._of_part(expr, frame, depth)
        return self._of_name(expr, frame, depth)

    def _of_part(self, expr: ast.Subscript, frame: Frame, depth: int) -> Form | None:
        if isinstance(expr.slice, ast.Constant) and isinstance(expr.slice.value, int):
            found = self._returned(expr.value, frame, depth)
            parts = [_part(value, expr.slice.value) for value in found]
            if parts and None not in parts:
                return self._agreed([part for part in parts if part is not None], depth)
        return None

    def _of_name(self, expr: ast.expr, frame: Frame, depth: int) -> Form | None:
        found = self.values.candidates(expr, frame)
        values: list[Value] = []
        for one in found:
            binding = one.binding
            if binding.how == "arg" and binding.name in one.frame.args:
                values.append(one.frame.args[binding.name])
            elif binding.how == "assign" and binding.value is not None:
                values.append(Value(binding.value, one.frame))
            elif (
                binding.how == "unpack" and binding.value is not None and binding.index is not None
            ):
                parts = [
                    _part(value, binding.index)
                    for value in self._returned(binding.value, one.frame, depth)
                ]
                if not parts or None in parts:
                    return None
                values += [part for part in parts if part is not None]
            else:
                return None
        return self._agreed(values, depth)

    def _agreed(self, values: list[Value], depth: int) -> Form | None:
        forms = [self.of(value.expr, value.frame, depth + 1) for value in values]
        if not forms or forms[0] is None:
            return None
        return (
            forms[0]
            if all(form is not None and form.name == forms[0].name for form in forms)
            else None
        )

    def _of_call(self, call: ast.Call, frame: Frame, depth: int) -> Form | None:
        name = self.values.resolve(call.func)
        if name in _FUNCTIONS:
            width = self._width(call.args[0], frame, depth) if call.args else None
            return Form(_FUNCTIONS[name], call, width)
        if name in ("torch.log",) and call.args:
            return self._log(self.of(call.args[0], frame, depth + 1))
        if name in _SHAPE_FUNCTIONS and call.args:
            return _reshaped(self.of(call.args[0], frame, depth + 1))
        if name is None and isinstance(call.func, ast.Attribute):
            method = call.func.attr
            if method in _METHODS and self._is_tensor_method(call.func, frame):
                return Form(_METHODS[method], call, self._width(call.func.value, frame, depth))
            if method == "log" and not call.args:
                return self._log(self.of(call.func.value, frame, depth + 1))
            if method in _SHAPE_METHODS and not self.kinds.is_a("module", call.func.value, frame):
                inner = self.of(call.func.value, frame, depth + 1)
                return inner if method in _SAME_SHAPE else _reshaped(inner)
        return self._of_module(call, frame, depth) or self._agreed(
            self.kinds.returned(call, frame), depth
        )

    def _is_tensor_method(self, func: ast.Attribute, frame: Frame) -> bool:
        own = isinstance(func.value, ast.Name) and func.value.id == "self"
        return not own and self.kinds.of(func, frame) is None

    def _log(self, inner: Form | None) -> Form | None:
        if inner is None or inner.name not in ("softmax", "sigmoid"):
            return None
        return Form("log_softmax" if inner.name == "softmax" else "logsigmoid", inner.node)

    def _width(self, expr: ast.expr, frame: Frame, depth: int) -> int | None:
        form = self.of(expr, frame, depth + 1)
        return form.width if form is not None and form.name == "linear" else None

    def _of_module(self, call: ast.Call, frame: Frame, depth: int) -> Form | None:
        """The form of what a module gives, when `call` calls one."""
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr == "forward":
            func = func.value
        kind = self.kinds.of(func, frame)
        if kind is None or kind.name != "module":
            return None
        form = self.output(kind.call, kind.cls, depth + 1)
        if form is not None and form.name != "linear" and form.width is None and call.args:
            width = self._width(call.args[0], frame, depth) if kind.cls is None else None
            form = Form(form.name, form.node, width)
        return form

    def output(self, made: Value | None, cls: ClassInfo | None, depth: int = 0) -> Form | None:
        """The form of the outputs of a module that `made` builds or whose class is `cls`."""
        if depth > _DEPTH:
            return None
        if cls is not None:
            return self._of_forward(cls, depth)
        if made is None or not isinstance(made.expr, ast.Call):
            return None
        name = self.values.resolve(made.expr.func)
        if name == "torch.nn.Sequential":
            return self._of_sequence(made.expr.args, made.frame, depth)
        if name not in _MODULES:
            return None
        width = self._argument(made.expr, 1, "out_features") if "Linear" in name else None
        return Form(_MODULES[name], made.expr, width)

    def _argument(self, call: ast.Call, place: int, word: str) -> int | None:
        given = call.args[place : place + 1] or [k.value for k in call.keywords if k.arg == word]
        if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, int):
            return given[0].value
        return None

    def _of_sequence(self, items: list[ast.expr], frame: Frame, depth: int) -> Form | None:
        if any(isinstance(item, ast.Starred) for item in items) or not items:
            return None
        last = self._layer(items[-1], frame, depth)
        if last is not None and last.name == "same":
            return self._of_sequence(items[:-1], frame, depth)
        if last is not None and last.name != "linear" and len(items) > 1:
            before = self._of_sequence(items[:-1], frame, depth)
            width = before.width if before is not None and before.name == "linear" else None
            return Form(last.name, last.node, width)
        return last

    def _layer(self, item: ast.expr, frame: Frame, depth: int) -> Form | None:
        kind = self.kinds.of(item, frame)
        if kind is None or kind.name != "module":
            return None
        if kind.maker in _SHAPE_MODULES:
            return Form("same", item)
        return self.output(kind.call, kind.cls, depth + 1)

    def _of_forward(self, cls: ClassInfo, depth: int) -> Form | None:
        for one in self.values.lineage(cls):
            forward = one.methods.get("forward")
            if forward is not None:
                return self._agreed(self._returns(forward), depth)
        return None

    def _returns(self, function: ast.AST) -> list[Value]:
        index = self.values.index
        scope = index.scopes[function]
        return [
            Value(node.value, self.values.frame(scope))
            for node in index.returns.get(scope, ())
            if node.value is not None
        ]

    def _returned(self, expr: ast.expr, frame: Frame, depth: int) -> list[Value]:
        """What the function or module of the file that `expr` calls can return."""
        if not isinstance(expr, ast.Call) or depth > _DEPTH:
            return []
        kind = self.kinds.of(expr.func, frame)
        if kind is not None and kind.name == "module" and kind.cls is not None:
            forwards = [
                one.methods["forward"]
                for one in self.values.lineage(kind.cls)
                if "forward" in one.methods
            ]
            return self._returns(forwards[0]) if forwards else []
        return self.kinds.returned(expr, frame)


def _reshaped(form: Form | None) -> Form | None:
    """The form with its width unknown: a reshape may put other units side by side."""
    return None if form is None else Form(form.name, form.node)


def _part(value: Value, index: int) -> Value | None:
    """The `index`-th element of a tuple."""
    if isinstance(value.expr, ast.Tuple) and index < len(value.expr.elts):
        return Value(value.expr.elts[index], value.frame)
    return None
