"""A diagnosis in the terminal and on a page: causes, and the trials on one scale."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from steadytrain.core.diagnosis import Cause, Diagnosis, Trial
from steadytrain.report.diagnosis import curves, diagnosis_experiment, print_diagnosis, proving

STILL = Trial(
    change="nothing, as it is",
    name="as-it-is",
    healthy=False,
    outcome="o",
    steps=40,
    losses=(2.0,) * 20,
)
PROOF = Trial(
    change="learning rate x 1/10",
    name="lr-tenth",
    healthy=True,
    outcome="o",
    steps=40,
    losses=tuple(2.0 - 0.1 * at for at in range(20)),
)
SHORT = Trial(
    change="warm up",
    name="warmup",
    healthy=True,
    outcome="o",
    steps=10,
    losses=(2.0, float("nan")),
)
DIAGNOSIS = Diagnosis(
    causes=(
        Cause(
            name="lr-too-high", code="OPT001", site="[red]a[/]", proven=True, confidence=0.9,
            trials=(PROOF, SHORT), fix="Lower it.",
        ),
    ),
    trials=(STILL, PROOF, SHORT),
    summary="The cause is lr-too-high.",
    cost=2.5,
)  # fmt: skip


def printed(diagnosis: Diagnosis, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    print_diagnosis(Console(file=file, width=140), diagnosis)
    file.seek(0)
    return file.read()


def test_the_curves_share_one_scale_and_a_short_one_is_short() -> None:
    still, proof, short = curves(DIAGNOSIS.trials)
    assert set(still) == {"█"}
    assert (proof[0], proof[-1]) == ("█", "▁")
    assert len(still) == len(proof) == 24
    assert short.startswith("█")
    assert short.endswith("x")
    assert len(short) == 6


def test_the_whole_length_trial_of_the_first_cause_is_the_proof() -> None:
    assert proving(DIAGNOSIS) == {"lr-tenth"}
    assert "learning rate x 1/10 (the proof)" in printed(DIAGNOSIS)


def test_a_place_with_markup_is_shown_as_text() -> None:
    assert "[red]a[/]" in printed(DIAGNOSIS)


def test_a_terminal_of_ascii_gets_ascii() -> None:
    text = printed(DIAGNOSIS, encoding="ascii")
    assert "lr-too-high" in text
    assert "####" in text


def test_healthy_says_so() -> None:
    shown = diagnosis_experiment(Diagnosis(summary="Healthy."))
    assert shown.title == "Diagnosis: healthy"
    assert not shown.tables
    assert not shown.charts


def test_a_loss_that_was_never_finite_is_drawn_as_such() -> None:
    lost = Trial(change="c", healthy=False, outcome="o", steps=4, losses=(float("inf"),) * 4)
    assert set("".join(curves([lost]))) == {"x"}


def test_only_the_first_trial_that_held_out_is_called_the_proof() -> None:
    second = replace(PROOF, change="learning rate x 1/100", name="lr-hundredth")
    cause = replace(DIAGNOSIS.causes[0], trials=(PROOF, second))
    both = replace(DIAGNOSIS, causes=(cause,), trials=(STILL, PROOF, second))
    assert proving(both) == {"lr-tenth"}


def test_what_to_do_stands_in_a_line_of_its_own() -> None:
    text = printed(replace(DIAGNOSIS, summary="It is the rate. What to do: Lower it."))
    lines = [line.strip() for line in text.splitlines()]
    assert "It is the rate." in lines
    assert "What to do: Lower it." in lines
