"""The page of a rule or statistic as Markdown: shown in the terminal, built into the docs."""

from __future__ import annotations

from textwrap import dedent, indent

from steadytrain.core.rule import RuleInfo
from steadytrain.core.stats import Stat

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
    parts += ["## Options", _options(info), "## Nominates", _list(info.causes)]
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


def _options(info: RuleInfo) -> str:
    if not info.options:
        return "None."
    rows = "\n".join(f"{name} = {value!r}" for name, value in info.options.items())
    return _code(f"[tool.steadytrain.rules.{info.name}]\n{rows}".replace("True", "true"))


def _list(names: tuple[str, ...]) -> str:
    return "\n".join(f"- {name}" for name in names) or "No cause."


def _code(text: str) -> str:
    return indent(dedent(text).strip("\n"), "    ")
