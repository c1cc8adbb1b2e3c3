from __future__ import annotations

import numpy as np
import pytest

from steadytrain.core.errors import UsageError
from steadytrain.core.examples import parse_examples


def series(text: str, stat: str = "loss") -> list[float]:
    return parse_examples(text)[0].series(stat).tolist()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("loss 1 2.5 -3e-1", [1, 2.5, -0.3]),
        ("loss 1.0x3 2", [1, 1, 1, 2]),
        ("loss 0..4x5", [0, 1, 2, 3, 4]),
        ("loss 1.0..2.0x3", [1, 1.5, 2]),
        ("loss 1->100x3", [1, 10, 100]),
        ("loss 1e-3->1e-1x3", [1e-3, 1e-2, 1e-1]),
        ("loss -1.5..-0.5x3", [-1.5, -1, -0.5]),
        ("loss inf -inf", [np.inf, -np.inf]),
    ],
)
def test_values_are_read_as_documented(text, values):
    assert series(text) == pytest.approx(values)


def test_a_dash_is_a_step_without_a_measurement():
    assert np.isnan(series("loss 1 - 2")).tolist() == [False, True, False]


def test_lines_that_follow_each_other_are_one_history():
    histories = parse_examples("grad_norm@a 1x3\ngrad_norm@b 2x3\nloss 1x3\n\nloss 4x2")
    assert len(histories) == 2
    assert histories[0].window("grad_norm").tolist() == [[1, 2]] * 3
    assert len(histories[1]) == 2


@pytest.mark.parametrize(
    "text",
    ["loss 1.0.0", "loss x3", "loss 1x", "loss nan", "loss 0->1x3", "loss inf..1x3", "los 1"],
)
def test_what_is_no_example_is_refused_with_the_line(text):
    with pytest.raises(UsageError, match="los"):
        parse_examples(text)
