"""What a name may contain, and what is left of it on a screen."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_runs import HOSTILE

from steadytrain.report.names import MAX_NAME, run_name, visible, visible_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layers.0.weight", "layers.0.weight"),
        ("größe.重み", "größe.重み"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("abc\u202egpj", "abc\\u202egpj"),
        ("\x9b2J", "\\x9b2J"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("line\u2028end", "line\\u2028end"),
        ("\U000e0041tag", "\\U000e0041tag"),
    ],
)
def test_control_and_direction_characters_become_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(st.text())
def test_nothing_that_acts_or_hides_is_left(text: str) -> None:
    left = {unicodedata.category(char) for char in visible(text)}
    assert not left & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text())
def test_a_visible_text_can_be_written_as_utf8(text: str) -> None:
    assert visible(text).encode("utf-8").decode("utf-8") == visible(text)


def test_a_long_name_is_cut_and_the_cut_is_marked() -> None:
    assert visible_name("x" * 1_000_000) == "x" * MAX_NAME + "… (+999,840 characters)"


def test_a_name_at_the_limit_is_left_whole() -> None:
    assert visible_name("x" * MAX_NAME) == "x" * MAX_NAME


def test_text_that_is_no_string_is_shown_by_its_str() -> None:
    assert visible(3.5) == "3.5"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_takes_its_own_name_made_visible(name: str) -> None:
    assert run_name({"name": name}, "fallback") == visible_name(name)


@pytest.mark.parametrize("name", [None, "", "  ", 3])
def test_a_run_without_a_usable_name_takes_the_fallback(name: object) -> None:
    assert run_name({"name": name}, "runs/a\x1b") == "runs/a\\x1b"
