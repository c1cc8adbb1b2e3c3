from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadytrain.core.columns import HEAD_ROWS, Column, as_float32
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.history import History


def losses(count: int, capacity: int | None = None) -> History:
    history = History(capacity=capacity)
    for step in range(count):
        history.append(step, "loss", float(step))
    return history


def test_a_window_holds_the_newest_steps_by_site():
    history = History(sites=["a", "b"])
    history.append(0, "grad_norm", [1, 2])
    history.append(1, "grad_norm", [3, 4])
    history.append(2, "grad_norm", [5, 6])
    assert history.window("grad_norm", 2).tolist() == [[3, 4], [5, 6]]


def test_an_empty_history_has_no_rows_and_no_step():
    history = History()
    assert (history.step, history.first_step, len(history)) == (-1, -1, 0)
    assert history.window("loss").shape == (0, 1)
    assert history.measured("loss")[1].shape == (0, 1)
    assert history.next_step(0) is None


def test_steps_that_were_not_measured_are_nan():
    history = History()
    history.append(0, "loss", 1.0)
    history.append(3, "loss", 2.0)
    assert np.isnan(history.series("loss")).tolist() == [False, True, True, False]
    assert history.measured("loss")[0].tolist() == [0, 3]


def test_a_site_that_appears_later_was_not_measured_before():
    history = History()
    history.append(0, "grad_norm", [1.0], ["a"])
    history.append(1, "grad_norm", [2.0, 3.0], ["a", "b"])
    assert history.sites("grad_norm") == ("a", "b")
    assert np.isnan(history.window("grad_norm")[0, 1])
    assert np.isnan(history.head("grad_norm", 1)[1][0, 1])


def test_a_second_append_fills_what_the_first_left_open():
    history = History(sites=["a", "b"])
    history.append(0, "grad_norm", [1.0], ["a"])
    history.append(0, "grad_norm", [2.0], ["b"])
    assert history.window("grad_norm").tolist() == [[1.0, 2.0]]
    assert history.head("grad_norm", 1)[1].tolist() == [[1.0, 2.0]]


def test_rows_are_in_order_of_step_whatever_the_order_of_appending():
    history = History()
    for step in (5, 2, 9, 0):
        history.append(step, "loss", float(step))
    assert history.measured("loss")[0].tolist() == [0, 2, 5, 9]
    assert history.head("loss", 3)[0].tolist() == [0, 2, 5]
    assert history.first_step == 0


def test_a_ring_forgets_old_steps_but_not_how_the_run_began():
    history = losses(5000, capacity=64)
    assert len(history.series("loss")) == 64
    assert history.series("loss")[0] == 4936
    assert history.head("loss", 2)[1][:, 0].tolist() == [0.0, 1.0]
    assert history.num_bytes < 16_384


def test_nothing_is_read_outside_the_reach_of_the_history():
    history = losses(100, capacity=10)
    assert np.isnan(history.between("loss", 85, 90)).all()
    assert history.between("loss", 90, 103)[:, 0].tolist()[:10] == list(range(90, 100))


def test_head_rows_are_no_more_than_the_run_has_seen():
    history = losses(HEAD_ROWS + 20)
    assert len(history.head("loss", 1000)[0]) == HEAD_ROWS


def test_truncate_leaves_nothing_from_the_step_on():
    history = losses(100)
    history.append(50, "grad_norm_total", 1.0)
    history.truncate(40)
    assert (history.step, "grad_norm_total" in history) == (39, False)
    assert history.series("loss").tolist() == list(range(40))
    assert len(history.head("loss", 64)[0]) == 40
    history.truncate(0)
    assert (history.step, history.stats) == (-1, ())


def test_a_tail_is_a_copy():
    history = losses(10)
    tail = history.tail(3)
    tail.append(10, "loss", 5.0)
    assert tail.measured("loss")[0].tolist() == [7, 8, 9, 10]
    assert history.step == 9


def test_the_first_step_with_a_measurement_is_found_over_a_gap():
    history = losses(3)
    history.append(2**40, "grad_norm_total", 1.0)
    assert history.next_step(1) == 1
    assert history.next_step(3) == 2**40
    assert history.next_step(2**40 + 1) is None


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [[1.0, 2.0]], []])
def test_a_row_of_the_wrong_width_is_refused(values):
    history = History(sites=["a", "b"])
    with pytest.raises(UsageError, match="grad_norm"):
        history.append(0, "grad_norm", values)


def test_names_are_those_of_the_vocabulary():
    with pytest.raises(UnknownNameError, match="grad_norm"):
        History().append(0, "grad_nrom", 1.0)
    with pytest.raises(UsageError, match="step"):
        History().append(-1, "loss", 1.0)
    with pytest.raises(UsageError, match="capacity"):
        History(capacity=1)


def test_a_column_of_sites_keeps_finite_what_was_finite():
    wide = np.array([1e300, -1e300, 1e-300, np.inf, np.nan, 1.5])
    narrow = as_float32(wide)
    assert np.isfinite(narrow[:3]).all()
    assert np.isinf(narrow[3])
    assert np.isnan(narrow[4])
    assert narrow[5] == 1.5


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))),
        max_size=120,
    )
)
def test_a_column_says_what_a_dictionary_would(appends):
    column, plain = Column(1, np.float32), {}
    for step, value in appends:
        column.put(step, np.array([value]))
        if step not in plain or not np.isnan(value):
            plain[step] = value
    expected = [plain[step] for step in sorted(plain)]
    assert column.steps.tolist() == sorted(plain)
    np.testing.assert_array_equal(column.values[:, 0], np.array(expected, dtype=np.float32))
    np.testing.assert_array_equal(
        column.head(HEAD_ROWS)[1][:, 0], np.array(expected, dtype=np.float32)
    )
