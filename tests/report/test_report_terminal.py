"""What the terminal shows of findings, runs and experiments."""

import io
import re

import pytest
from report_runs import HOSTILE, diverged, finding, healthy, hostile, lab_page, saved
from rich.console import Console

from steadytrain.core.finding import Severity
from steadytrain.report.terminal import (
    MAX_FINDINGS,
    SPARK_WIDTH,
    print_experiment,
    print_findings,
    print_run,
    sparkline,
)


def console(encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return Console(file=file, width=100, force_terminal=True, color_system="truecolor")


def output(target: Console) -> str:
    raw = target.file.buffer.getvalue().decode(target.file.encoding)  # pyright: ignore
    return re.sub(r"\x1b\[[0-9;]*m", "", raw)  # the colours that rich itself sets


def test_hostile_names_reach_the_terminal_as_plain_text() -> None:
    target = console()
    print_run(target, hostile())
    text = output(target)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "\\x1b[31mred" in text
    assert "[bold red]markup[/bold red]" in text


def test_a_terminal_of_ascii_gets_ascii() -> None:
    target = console("ascii")
    for run in (hostile(), diverged(), lab_page()):
        print_run(target, run)
    assert output(target).isascii()


def test_findings_stand_in_order_of_step_with_their_evidence() -> None:
    target = console()
    print_findings(target, reversed(diverged().findings))
    text = output(target)
    assert text.index("step 298") < text.index("nonfinite-loss")
    assert "grad_norm 41.2 · median 1.1 · ratio 37.4 · points to lr-too-high" in text


def test_the_absence_of_findings_is_said() -> None:
    target = console()
    print_findings(target, [])
    assert output(target) == "No rule found anything.\n"


def test_findings_beyond_the_limit_are_counted() -> None:
    target = console()
    print_findings(target, [finding(step=step) for step in range(MAX_FINDINGS + 7)])
    assert "and 7 more" in output(target)


@pytest.mark.parametrize("severity", Severity)
def test_the_severity_is_a_word_and_not_only_a_colour(severity: Severity) -> None:
    target = console()
    print_findings(target, [finding(severity=severity)])
    assert severity.name.lower() in output(target)


def test_a_run_shows_its_sentence_its_loss_and_what_is_missing() -> None:
    target = console()
    print_run(target, diverged())
    text = output(target)
    assert "Training broke at step 312" in text
    assert "missing: Steps 120 to 127 are missing" in text
    assert re.search(r"loss  [▁-█]+x+\n", text)


def test_an_empty_run_shows_its_sentence_only() -> None:
    target = console()
    print_run(target, saved())
    assert output(target) == "made\nNothing was measured: the run has no steps.\n"


def test_an_experiment_shows_expected_beside_measured() -> None:
    target = console()
    experiment = lab_page().experiment
    assert experiment is not None
    print_experiment(target, experiment)
    text = output(target)
    assert re.search(r"expected +measured +verdict", text)
    assert text.count("contradicted") == 1
    assert "Four configurations" in text


def test_the_sparkline_falls_with_the_loss_and_has_its_width() -> None:
    line = sparkline(healthy().history)
    assert len(line) == SPARK_WIDTH
    assert (line[0], line[-1]) == ("█", "▁")


def test_the_sparkline_of_nothing_is_empty() -> None:
    assert sparkline(saved().history) == ""


def test_one_long_name_does_not_flood_the_terminal() -> None:
    target = console()
    print_findings(target, [finding(site=HOSTILE[-1], rule=HOSTILE[-1])])
    assert len(output(target)) < 1500
