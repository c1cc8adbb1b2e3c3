"""The page of a rule, from its documentation, as blocks that a page or a terminal can show."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Final, Literal, TypedDict

from steadytrain.core.finding import Finding
from steadytrain.core.rule import RuleInfo
from steadytrain.engine import BROKEN_RULE, known_rules
from steadytrain.report.names import visible_name

EXAMPLE_SECTIONS: Final = ("Fires on", "Stays silent on")
"""Sections that are histories, shown as they stand."""


class Block(TypedDict):
    """A piece of documentation."""

    kind: Literal["heading", "text", "item", "code"]
    text: str


class RulePage(TypedDict):
    """A rule's documentation; without blocks where the rule is not installed here."""

    name: str
    code: str
    summary: str
    blocks: list[Block]


def rule_pages(findings: Iterable[Finding]) -> list[RulePage]:
    """The pages of the rules that spoke, in order of name."""
    infos = known_rules()
    codes = {finding.rule: finding.code for finding in findings}
    return [_page(name, codes[name], infos.get(name)) for name in sorted(codes)]


def _page(name: str, code: str, info: RuleInfo | None) -> RulePage:
    if info is None:
        summary = "This rule is not installed here, so there is no page for it."
        if name == BROKEN_RULE:
            summary = "A rule raised an error and was muted; the other rules went on."
        return RulePage(
            name=visible_name(name), code=visible_name(code), summary=summary, blocks=[]
        )
    blocks: list[Block] = []
    for title, body in info.sections.items():
        blocks.append(Block(kind="heading", text=title))
        blocks += doc_blocks(body, is_example=title in EXAMPLE_SECTIONS)
    return RulePage(name=info.name, code=info.code, summary=_joined(info.summary), blocks=blocks)


def doc_blocks(body: str, *, is_example: bool = False) -> list[Block]:
    """The paragraphs, list items and code of a section."""
    if is_example:
        return [Block(kind="code", text=inspect.cleandoc("\n" + body))]
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", body.strip("\n")):
        if part.startswith("    "):
            blocks.append(Block(kind="code", text=inspect.cleandoc("\n" + part)))
        elif re.match(r"[-*] ", part):
            items = re.split(r"^[-*] ", part, flags=re.MULTILINE)[1:]
            blocks += [Block(kind="item", text=_joined(item)) for item in items]
        elif part.strip():
            blocks.append(Block(kind="text", text=_joined(part)))
    return blocks


def _joined(text: str) -> str:
    return " ".join(text.split())
