"""The lesson's table of losses, held against the measured ones."""

from __future__ import annotations

from typing import Final

from steadytrain.core.experiment import Claim, Verdict
from steadytrain.lab.intervals import Interval
from steadytrain.lab.lesson.lesson_says import EPOCHS, TABLE
from steadytrain.lab.lesson.results import Results, final_loss, first_epoch_loss
from steadytrain.lab.lesson.tables import shown

TOLERANCE: Final = 0.25
"""A claimed loss holds when it is within this share of the measured mean, or in its interval."""


def table_claims(results: Results, data_name: str, epochs: float) -> tuple[Claim, ...]:
    """One claim per row of the lesson's table."""
    return tuple(_row(results, recipe, data_name, epochs) for recipe in TABLE)


def _row(results: Results, recipe: str, data_name: str, epochs: float) -> Claim:
    first, last = TABLE[recipe]
    measured = results.mean(recipe, first_epoch_loss), results.mean(recipe, final_loss)
    judged: list[bool | None] = []
    if data_name == "MNIST" and epochs >= 1:
        judged.append(agrees(first, measured[0]))
    if data_name == "MNIST" and epochs == EPOCHS:
        judged.append(agrees(last, measured[1]))
    return Claim(
        question=f"Is the lesson's row for {recipe} reproduced?",
        expected=f"first-epoch loss {first}, final loss {last} ({EPOCHS} epochs of MNIST)",
        measured=f"first-epoch loss {shown(measured[0])}, final loss {shown(measured[1])} "
        f"({epochs:g} {'epoch' if epochs == 1 else 'epochs'} of {data_name}, "
        f"n={results.num_seeds})",
        verdict=_verdict(judged),
        comment=_comment(data_name, epochs),
    )


def agrees(claimed: float, measured: Interval | None) -> bool | None:
    """Whether the claimed loss is the measured one; None where nothing finite was measured."""
    if measured is None:
        return None
    is_near = abs(claimed - measured.mean) <= TOLERANCE * measured.mean
    return is_near or measured.low <= claimed <= measured.high


def _verdict(judged: list[bool | None]) -> Verdict:
    if not judged or None in judged:
        return "not shown"
    return "holds" if all(judged) else "contradicted"


def _comment(data_name: str, epochs: float) -> str:
    if data_name != "MNIST":
        return f"Not comparable: this is {data_name}. Give MNIST's folder and {EPOCHS} epochs."
    if epochs != EPOCHS:
        return f"Only the first epoch is judged; the final loss is claimed after {EPOCHS} epochs."
    return f"Judged within {TOLERANCE:.0%}; the lesson states neither seeds nor spread."
