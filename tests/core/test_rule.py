from __future__ import annotations

import dataclasses
import types

import pytest

from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Severity
from steadytrain.core.rule import SECTIONS, info_of, read_sections, rule, state


def make_rule(monkeypatch, doc: str, name: str = "a_b"):
    module = types.ModuleType(f"house.{name}", doc)
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)

    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class ARule:
        option: int = 3

        @property
        def lookback(self) -> int:
            return 0

        def check(self, history, /):
            return iter(())

    ARule.__module__ = module.__name__
    return rule(code="GRD999", causes=("bad-batch",))(ARule)


WHOLE = "What it is.\n\n" + "\n".join(f"## {title}\n    loss 1 2\n" for title in SECTIONS)


def test_a_rule_is_named_after_its_file(monkeypatch):
    info = info_of(make_rule(monkeypatch, WHOLE))
    assert (info.name, info.code, info.status) == ("a-b", "GRD999", "preview")
    assert info.summary == "What it is."
    assert info.options == {"option": 3}
    assert [history.series("loss").tolist() for history in info.fires_on] == [[1.0, 2.0]]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_rule_without_one_of_its_sections_is_refused(monkeypatch, title):
    with pytest.raises(UsageError, match=title):
        make_rule(monkeypatch, WHOLE.replace(f"## {title}\n", ""))


def test_sections_keep_their_text():
    head, sections = read_sections("One.\n\nTwo.\n\n## A\n    x\n\n    y\n## B\nz")
    assert head == "One.\n\nTwo."
    assert sections == {"A": "    x\n\n    y", "B": "z"}


def test_a_statement_carries_the_name_and_code_of_its_rule(monkeypatch):
    finding = state(make_rule(monkeypatch, WHOLE)(), step=3, severity=Severity.NOTE, message="m")
    assert (finding.rule, finding.code, finding.causes) == ("a-b", "GRD999", ("bad-batch",))
