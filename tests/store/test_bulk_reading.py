"""`History.extend` is what reading is built on: it must equal appending."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadytrain.core.errors import UsageError
from steadytrain.core.history import History

blocks = st.lists(st.lists(st.integers(0, 120), max_size=80), max_size=4)


@given(blocks, st.sampled_from([None, 2, 50]), st.integers(0, 5))
def test_extending_equals_appending(blocks: list[list[int]], capacity, seed: int) -> None:
    generator = np.random.default_rng(seed)
    appended, extended = (History({"parameter": ["a", "b"]}, capacity=capacity) for _ in range(2))
    for steps in blocks:
        rows = generator.choice([1.0, 2.0, np.nan, 1e300], size=(len(steps), 2))
        extended.extend("grad_norm", np.array(steps, dtype=np.int64), rows)
        for step, row in zip(steps, rows, strict=True):
            appended.append(step, "grad_norm", row)
    assert (appended.step, appended.first_step) == (extended.step, extended.first_step)
    np.testing.assert_array_equal(appended.window("grad_norm"), extended.window("grad_norm"))
    for rows in (3, 64):
        left, right = appended.head("grad_norm", rows), extended.head("grad_norm", rows)
        np.testing.assert_array_equal(left[0], right[0])
        np.testing.assert_array_equal(left[1], right[1])


def test_refuses_another_shape() -> None:
    with pytest.raises(UsageError, match=r"shape \(2, 1\)"):
        History().extend("loss", np.array([0, 1]), np.zeros((2, 3)))
