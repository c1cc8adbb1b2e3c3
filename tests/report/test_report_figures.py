"""The key numbers and the rule pages."""

import math

import pytest
from report_runs import diverged, healthy, saved

from steadytrain.report.figures import key_numbers, nonfinite_steps, shown, written
from steadytrain.report.rulepages import doc_blocks


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (0.000125, "0.000125"),
        (2.0, "2"),
        (123456.789, "1.235e+05"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("text", "text"),
    ],
)
def test_numbers_are_written_for_people(value: object, text: str) -> None:
    assert shown(value) == text


def test_nested_evidence_is_written_as_a_list() -> None:
    assert written((1.0, (2, "a"), math.inf)) == "1, 2, a, inf"


def test_the_last_loss_of_a_broken_run_is_not_its_last_good_one() -> None:
    numbers = {number.label: number for number in key_numbers(diverged())}
    assert numbers["last loss"].value == "not finite"
    assert numbers["steps with NaN loss"].value == "108"
    assert numbers["lowest loss"].detail == "step 258"


def test_only_what_was_measured_has_a_number() -> None:
    assert [number.label for number in key_numbers(saved())] == ["steps"]
    assert "skipped steps" not in {number.label for number in key_numbers(healthy())}


def test_steps_count_as_not_finite_by_any_site() -> None:
    run = diverged()
    run.history.append(5, "grad_num_nonfinite", [2.0], sites=["fc1.bias"])
    found = nonfinite_steps(run.history, "grad_norm_total", "grad_num_nonfinite")
    assert found[:2].tolist() == [5, 312]


def test_documentation_becomes_paragraphs_lists_and_code() -> None:
    blocks = doc_blocks("One\nline.\n\n- first\n  more\n- second\n\n    code  here\n")
    assert [(block["kind"], block["text"]) for block in blocks] == [
        ("text", "One line."),
        ("item", "first more"),
        ("item", "second"),
        ("code", "code  here"),
    ]


def test_example_sections_are_kept_as_they_stand() -> None:
    (block,) = doc_blocks("    loss 1.0x5\n    a\n\n    loss 2.0\n", is_example=True)
    assert block == {"kind": "code", "text": "loss 1.0x5\na\n\nloss 2.0"}
