"""The page of a rule or statistic as Markdown: shown in the terminal, built into the docs."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from itertools import pairwise
from textwrap import dedent, indent
from typing import Any, cast

from steadytrain.core.causes import CAUSES, FAMILIES, CauseName
from steadytrain.core.root_cause import RootCause, known_root_causes
from steadytrain.core.rule import RuleInfo
from steadytrain.core.stats import Stat
from steadytrain.core.technique import Technique

_EXAMPLES = ("Fires on", "Stays silent on")
_STAGES = {
    "loop": "in the loop, outside forward and backward",
    "forward": "in the forward pass",
    "backward": "in the backward pass",
    "pre-clip": "after the backward pass, unscaled, before clipping",
    "post-clip": "after clipping",
    "pre-update": "before the optimizer steps",
    "post-update": "after the optimizer stepped",
}
_REDUCTIONS = {
    "sum": "the sum over ranks",
    "mean": "the mean over ranks",
    "max": "the largest of the ranks",
    "min": "the smallest of the ranks",
    "l2": "the root of the sum of squares over ranks",
    "same": "the same on every rank",
}


def rule_page(info: RuleInfo) -> str:
    """Everything a rule says about itself."""
    parts = [f"# {info.name}", f"`{info.code}` · {info.status}", info.summary]
    for title, text in info.sections.items():
        body = _code(text) if title in _EXAMPLES else dedent(text)
        parts += [f"## {title}", body]
    parts += ["## Options", _options(info), "## Causes it nominates", _nominated(info.causes)]
    return "\n\n".join(parts) + "\n"


def stat_page(stat: Stat) -> str:
    """What a statistic is, when it is taken, and what it becomes over ranks."""
    facts = [
        f"**Unit** {stat.unit}",
        f"**One value per** {stat.kind}",
        f"**Taken** {_STAGES[stat.stage]} (`{stat.stage}`)",
        f"**Over ranks** {_REDUCTIONS[stat.reduction]}",
    ]
    return "\n\n".join([f"# {stat.name}", stat.meaning, "\n".join(f"- {f}" for f in facts)]) + "\n"


def cause_page(cause: CauseName, rules: Iterable[RuleInfo]) -> str:
    """What a cause is, how it shows and is repaired, and what points to it: `rules`, checks, lint."""
    parts = [
        f"# {cause.name}",
        f"`{cause.code}` · cause · {FAMILIES[cause.family]}",
        cause.meaning,
    ]
    file = known_root_causes().get(cause.name)
    for title, text in (file.sections if file else {}).items():
        if _line(text) != _line(cause.meaning):
            parts += [f"## {title}", dedent(text)]
    return "\n\n".join([*parts, "## Nominated by", _pointing(cause, file, rules)]) + "\n"


def technique_page(one: Technique) -> str:
    """Everything a technique of prevention says about itself."""
    names = ", ".join(f"`{name}`" for name in one.exports)
    parts = [f"# {one.name}", f"technique · `from {one.room} import ...`: {names}", one.summary]
    for title, text in one.sections.items():
        parts += [f"## {title}", dedent(text)]
    if one.causes:
        parts += ["## Causes it helps against", _nominated(one.causes)]
    return "\n\n".join(parts) + "\n"


def _pointing(cause: CauseName, file: RootCause | None, rules: Iterable[RuleInfo]) -> str:
    """The rules that list the cause, and the names that its file says point to it."""
    said = {info.name: _line(info.summary) for info in rules if cause.name in info.causes}
    others = sorted(file.nominations, key=lambda name: -file.nominations[name]) if file else []
    lines = [f"- {name}: {text}" for name, text in said.items()]
    lines += [f"- {name}" for name in others if name not in said]
    return "\n".join(lines) or "Nothing by itself."


def _options(info: RuleInfo) -> str:
    if not info.options:
        return "None."
    meanings = _meanings(info.rule)
    listed = [
        f"- `{name} = {value!r}` {_line(meanings.get(name, ''))}"
        for name, value in info.options.items()
    ]
    return "\n".join([f"In `[tool.steadytrain.rules.{info.name}]`:", "", *listed])


def _meanings(options: type[Any]) -> dict[str, str]:
    """The string under each field of a dataclass, which says what the field means."""
    body = cast("ast.ClassDef", ast.parse(dedent(inspect.getsource(options))).body[0]).body
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _nominated(names: tuple[str, ...]) -> str:
    known = {name: CAUSES[name].meaning for name in names if name in CAUSES}
    return "\n".join(f"- {name}: {known.get(name, '')}" for name in names) or "No cause."


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    return indent(dedent(text).strip("\n"), "    ")
