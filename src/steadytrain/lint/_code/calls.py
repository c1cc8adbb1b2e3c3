"""What a call does: which function of the file it runs, or which event it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._code.events import Event
from steadytrain.lint._code.kinds import Kinds
from steadytrain.lint._code.scopes import FUNCTIONS, Function, dotted
from steadytrain.lint._code.values import Frame, Value
from steadytrain.lint._code.vocabulary import Kind

_CLIPS: Final = {"clip_grad_norm_", "clip_grad_value_", "clip_grad_norm", "clip_grad_value",
                 "clip_gradients", "clip_grads_with_norm_", "agc_", "adaptive_clip_grad",
                 "dispatch_clip_grad"}  # fmt: skip
_ACTORS: Final = ("accelerator", "fabric", "engine")
_HARMLESS: Final = ("torch.", "math.", "numpy.", "random.", "os.", "wandb.", "logging.", "time.", "tqdm.",
                    "matplotlib.", "json.", "torchvision.", "pathlib.", "collections.", "copy.",
                    "itertools.", "sklearn.", "evaluate.", "datasets.", "torchmetrics.")  # fmt: skip
_BUILTINS: Final = {"print", "len", "range", "enumerate", "zip", "list", "dict", "tuple", "set", "sum", "min",
                    "max", "float", "int", "str", "isinstance", "getattr", "hasattr", "iter", "next", "id",
                    "type", "map", "filter", "sorted", "reversed", "repr", "abs", "round", "any", "all",
                    "vars", "tqdm", "trange", "super", "open", "bool", "setattr"}  # fmt: skip
_QUIET: Final = {"state_dict", "load_state_dict", "parameters", "named_parameters", "modules", "to", "cuda",
                 "add_param_group", "append", "items", "keys", "values", "log", "info", "update", "print",
                 "prepare", "setup", "save", "add_scalar", "write", "get_last_lr", "set_postfix", "children",
                 "save_pretrained", "eval", "train", "apply", "named_modules", "extend", "format",
                 "log_metrics", "watch", "unwrap_model", "gather", "autocast", "accumulate", "no_sync",
                 "optimizers", "lr_schedulers", "toggle_optimizer", "untoggle_optimizer", "setdefault",
                 "save_state", "load_state", "register_for_checkpointing", "requires_grad_", "insert",
                 "join", "startswith", "endswith", "get", "item", "detach", "mean", "sum", "set_description",
                 "warning", "debug", "error", "half", "float", "get_scale", "is_enabled", "setup_dataloaders",
                 "backward", "zero_grad", "step"}  # fmt: skip


class Calls:
    """Reads one call.

    Args:
        kinds: what kind of object an expression is.
    """

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.values = kinds.values

    def function(self, expr: ast.expr, frame: Frame) -> tuple[Function, Value | None] | None:
        """The function of the file that `expr` names, and its owner where it is a method."""
        if isinstance(expr, ast.Lambda):
            return expr, None
        if isinstance(expr, ast.Name):
            return self._named(expr, frame)
        if isinstance(expr, ast.Attribute):
            return self._method(expr, frame)
        return None

    def _named(self, expr: ast.Name, frame: Frame) -> tuple[Function, Value | None] | None:
        scope = frame.scope.defining(expr.id)
        found = scope.bindings[expr.id] if scope is not None else []
        if len(found) != 1:
            return None
        node = found[0].node
        if found[0].how == "def" and isinstance(node, FUNCTIONS):
            return node, None
        if found[0].how == "arg" and expr.id in frame.args:
            given = frame.args[expr.id]
            same = given.expr is expr or given.frame is frame
            return None if same else self.function(given.expr, given.frame)
        return None

    def _method(self, expr: ast.Attribute, frame: Frame) -> tuple[Function, Value | None] | None:
        cls = None
        if isinstance(expr.value, ast.Name) and expr.value.id == "self":
            cls = frame.scope.cls
            given = frame.args.get("self")
            if given is not None:
                kind = self.kinds.of(given.expr, given.frame)
                cls = kind.cls if kind is not None and kind.cls is not None else cls
        else:
            kind = self.kinds.of(expr.value, frame)
            cls = kind.cls if kind is not None else None
        if cls is None:
            return None
        for one in self.values.lineage(cls):
            if expr.attr in one.methods:
                return one.methods[expr.attr], Value(expr.value, frame)
        return None

    def target(self, call: ast.Call, frame: Frame) -> tuple[Function, Value | None] | None:
        """The function of the file that `call` runs: also a constructor, `__call__` or `forward`."""
        cls = self.values.index.classes.get(dotted(call.func) or "")
        if cls is not None:
            for one in self.values.lineage(cls):
                if "__init__" in one.methods:
                    return one.methods["__init__"], Value(call, frame)
            return None
        found = self.function(call.func, frame)
        if found is not None:
            return found
        kind = self.kinds.of(call.func, frame) if isinstance(call.func, ast.Name) else None
        if kind is not None and kind.cls is not None and kind.name == "object":
            for one in self.values.lineage(kind.cls):
                if "__call__" in one.methods:
                    return one.methods["__call__"], Value(call.func, frame)
        return None

    def events(self, call: ast.Call, frame: Frame) -> Iterator[Event]:
        """What `call` does to gradients, weights and modes, where it runs no code of the file."""
        name = self.values.resolve(call.func)
        last = (name or dotted(call.func) or "").rpartition(".")[2]
        if last in _CLIPS:
            yield self._event("clip", call, frame, owner=self._actor(call.func, frame))
        elif name in ("torch.autograd.grad", "torch.autograd.backward"):
            yield self._event("backward" if name.endswith("backward") else "grad", call, frame)
        elif isinstance(call.func, ast.Attribute):
            yield from self._of_method(call, call.func, frame, name)
        elif name is None or not name.startswith(_HARMLESS):
            yield from self._of_unknown(call, frame)

    def _actor(self, func: ast.expr, frame: Frame) -> str:
        """Who acts: `accelerator.clip_grad_norm_`, `self.clip_gradients`, a model's own method."""
        if not isinstance(func, ast.Attribute):
            return ""
        kind = self.kinds.of(func.value, frame)
        if kind is not None and (kind.name in _ACTORS or kind.name == "module"):
            return kind.name
        return "module" if dotted(func.value) == "self" else ""

    def _of_method(
        self, call: ast.Call, func: ast.Attribute, frame: Frame, name: str | None
    ) -> Iterator[Event]:
        method, owner = func.attr, func.value
        if method == "zero_grad" or (method in ("zero_", "detach_") and _is_grad(owner)):
            yield self._event(
                "zero", call, frame, target=self._key(owner, frame, method == "zero_grad")
            )
        elif method.endswith("_") and _is_grad(owner):
            yield self._event("grad", call, frame)
        elif self._does_more(method, call, frame):
            yield self._event("unknown", call, frame)
        elif method == "backward":
            yield self._backward(call, owner, frame)
        elif method == "manual_backward":
            yield self._event("backward", call, frame, owner="module")
        elif method == "unscale_" or method == "unscale_gradients":
            target = self.values.key(call.args[0], frame) if call.args else ""
            yield self._event("unscale", call, frame, target=target)
        elif method in ("step", "update", "minimize"):
            yield from self._of_step(call, func, frame)
        elif method in ("train", "eval") and name is None:
            yield from self._of_mode(call, func, frame)
        elif name is None or not name.startswith(_HARMLESS):
            yield from self._of_unknown(call, frame)

    def _does_more(self, method: str, call: ast.Call, frame: Frame) -> bool:
        """Whether a framework's own method does several things that cannot be seen."""
        given = method == "backward" and self._gets_optimizer(call, frame)
        return given or method == "optimizer_step"

    def _backward(self, call: ast.Call, owner: ast.expr, frame: Frame) -> Event:
        if (
            isinstance(owner, ast.Call)
            and isinstance(owner.func, ast.Attribute)
            and owner.func.attr in ("scale", "scale_loss")
        ):
            scaler = self.values.key(owner.func.value, frame) or "scaler"
            return self._event("backward", call, frame, scaled=scaler)
        if isinstance(owner, ast.Name):
            made = self.values.assigned(owner, frame)
            if made is not None and isinstance(made.expr, ast.Call):
                func = made.expr.func
                if isinstance(func, ast.Attribute) and func.attr in ("scale", "scale_loss"):
                    return self._event(
                        "backward", call, frame, scaled=self.values.key(func.value, frame)
                    )
        kind = self.kinds.of(owner, frame)
        acts = kind is not None and call.args and kind.name in (*_ACTORS, "module", "optimizer")
        return self._event("backward", call, frame, owner=kind.name if acts and kind else "")

    def _of_step(self, call: ast.Call, func: ast.Attribute, frame: Frame) -> Iterator[Event]:
        kind = self.kinds.of(func.value, frame)
        first = self.kinds.of(call.args[0], frame) if call.args else None
        if func.attr == "update":
            if kind is not None and kind.name == "scaler":
                yield self._event("update", call, frame, target=self.values.key(func.value, frame))
            return
        scales = (kind is not None and kind.name == "scaler") or "scale" in self.values.index.words
        if first is not None and first.name == "optimizer" and scales:
            scaler = self.values.key(func.value, frame) or "scaler"
            yield self._event(
                "step", call, frame, target=self.values.key(call.args[0], frame), scaled=scaler
            )
        elif kind is not None and kind.name in ("optimizer", "scheduler"):
            what = "step" if kind.name == "optimizer" else "schedule"
            yield self._event(what, call, frame, target=self._key(func.value, frame, True))
        elif kind is not None and kind.name in ("engine", "accelerator", "module"):
            yield self._event("step", call, frame, owner="engine")
        elif kind is None and not call.args and dotted(func.value) not in ("self", "env", "envs"):
            yield self._event("unknown", call, frame)
        else:
            yield from self._of_unknown(call, frame)

    def _of_mode(self, call: ast.Call, func: ast.Attribute, frame: Frame) -> Iterator[Event]:
        mode = func.attr
        given = call.args[0] if call.args else None
        if isinstance(given, ast.Constant) and given.value is False:
            mode = "eval"
        elif given is not None and not (isinstance(given, ast.Constant) and given.value is True):
            # A mode that is computed is put back to what it was.
            mode = "train"
        yield self._event(mode, call, frame, target=self.values.key(func.value, frame))

    def _key(self, owner: ast.expr, frame: Frame, known: bool) -> str:
        return self.values.key(owner, frame) if known else ""

    def _of_unknown(self, call: ast.Call, frame: Frame) -> Iterator[Event]:
        """Code that cannot be seen: unknown where it gets an optimizer, a loss to go back, or self."""
        func = call.func
        if isinstance(func, ast.Name) and func.id in _BUILTINS:
            return
        if isinstance(func, ast.Attribute) and func.attr in _QUIET:
            return
        kind = self.kinds.of(func, frame)
        if (
            kind is not None
            and kind.name in ("module", "loss")
            and not self._gets_optimizer(call, frame)
        ):
            if kind.name == "module":
                yield self._event("forward", call, frame, target=self.values.key(func, frame))
            return
        if self._gets_optimizer(call, frame) or self._is_inherited(func, frame):
            yield self._event("unknown", call, frame)

    def _is_inherited(self, func: ast.expr, frame: Frame) -> bool:
        """Whether a method of `self` is called that stands in no class of the file."""
        cls = frame.scope.cls
        if cls is None or not isinstance(func, ast.Attribute) or not _is_own(func.value):
            return False
        return not any(func.attr in one.attributes for one in self.values.lineage(cls))

    def _gets_optimizer(self, call: ast.Call, frame: Frame) -> bool:
        given = [*call.args, *(word.value for word in call.keywords)]
        given = [one.value if isinstance(one, ast.Starred) else one for one in given]
        return any(
            (kind is not None and kind.name in ("optimizer", "engine", "scaler"))
            or (isinstance(one, ast.Name) and (one.id == "self" or one.id in self.kinds.owners))
            for one in given
            for kind in [self.kinds.of(one, frame)]
        )

    def _event(
        self,
        kind: str,
        call: ast.Call,
        frame: Frame,
        *,
        target: str = "",
        scaled: str = "",
        owner: str = "",
    ) -> Event:
        return Event(kind, call, frame, 0, target=target, scaled=scaled, owner=owner)


def _is_grad(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "grad" for one in ast.walk(node))


def _is_own(node: ast.expr) -> bool:
    """Whether a method is called on `self` or `super()`."""
    if isinstance(node, ast.Call):
        node = node.func
        return isinstance(node, ast.Name) and node.id == "super"
    return isinstance(node, ast.Name) and node.id == "self"


def is_module(kind: Kind | None) -> bool:
    """Whether what was found is a module."""
    return kind is not None and kind.name == "module"
