"""The little histories that a rule's documentation shows, read as test data.

    grad_norm_total 1.0x50 10.1
    learning_rate 0.1x51

One line is one statistic, `name` or `name@site`, and its values from step 0 on. A value is a
number, `-` (not measured) or `inf`; `1.0x50` repeats; `1.0..2.0x50` goes there in a straight line and
`1.0->2.0x50` by a constant factor. Lines that follow each other are one history; an empty line
starts the next.
"""

from __future__ import annotations

import math
import re

import numpy as np

from steadytrain.core.errors import UsageError
from steadytrain.core.history import History

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_TOKEN = re.compile(
    rf"^(?P<first>{_NUMBER}|[-+]?inf|-)(?:(?P<how>\.\.|->)(?P<last>{_NUMBER}))?(?:x(?P<times>\d+))?$"
)


def parse_examples(text: str) -> list[History]:
    """The histories written in `text`, in order.

    Raises:
        UsageError: a line is not of the form above, or names an unknown statistic.
    """
    blocks = [block for block in re.split(r"\n\s*\n", text.strip("\n")) if block.strip()]
    return [_history(block) for block in blocks]


def _history(block: str) -> History:
    history = History(capacity=None)
    columns: dict[tuple[str, str], list[float]] = {}
    for line in block.splitlines():
        name, *tokens = line.split()
        stat, _, site = name.partition("@")
        columns[stat, site] = [value for token in tokens for value in _values(token, line)]
    for (stat, site), values in columns.items():
        for step, value in enumerate(values):
            history.append(step, stat, [value], sites=[site])
    return history


def _values(token: str, line: str) -> list[float]:
    match = _TOKEN.match(token)
    if match is None:
        msg = f"example line {line.strip()!r}: {token!r} is not a value."
        raise UsageError(f"{msg} Expected forms: 1.0, -, inf, 1.0x50, 1.0..2.0x50, 1.0->2.0x50.")
    times = int(match["times"] or 1)
    first = float("nan") if match["first"] == "-" else float(match["first"])
    last = float(match["last"] or 0)
    if match["how"] and not math.isfinite(first):
        raise UsageError(f"example line {line.strip()!r}: {token!r} must begin at a finite number.")
    if match["how"] == "->" and not first * last > 0:
        msg = f"example line {line.strip()!r}: {token!r} goes by a constant factor, so both ends"
        raise UsageError(f"{msg} must be on one side of zero. Use '..' for a straight line.")
    if match["how"] == "..":
        return np.linspace(first, last, times).tolist()
    if match["how"] == "->":
        return np.geomspace(first, last, times).tolist()
    return [first] * times
