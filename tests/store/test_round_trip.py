from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_runs import SITES, add_step, number, record, steps_of

from steadytrain.core.action import Event
from steadytrain.core.errors import RunNotFoundError, UsageError
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.store.reader import find_runs, read_run
from steadytrain.store.writer import RunWriter

HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "<script>alert(1)</script>",
    "line\nbreak",
    "__proto__",
    "\u202egnirts",
    "lone \ud800 surrogate",
    "nul\0",
    " ",
    "{{7*7}}",
    "a/../../etc/passwd",
    "x" * 1_000_000,
)


def spike(step: int = 3) -> Finding:
    evidence = {"loss": 9.5, "limit": float("inf")}
    return Finding(
        rule="loss-spike",
        code="DYN001",
        severity=Severity.WARNING,
        step=step,
        site="\x1b[0m",
        message="It jumped.",
        evidence=evidence,
    )


doubles = st.floats(allow_nan=True, allow_infinity=True, width=64)
rows = st.lists(
    st.tuples(st.integers(0, 40), doubles, st.lists(doubles, min_size=2, max_size=2)), max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows, st.sets(st.integers(0, 29)), st.dictionaries(st.integers(0, 29), st.integers(0, 40)))
def test_what_is_stored_is_read_back(rows, flushes, truncations) -> None:
    live = History({"parameter": ["p", "q"]}, capacity=None)
    with tempfile.TemporaryDirectory() as folder:
        writer = RunWriter(folder)
        writer.add_sites("parameter", ["p", "q"])
        for place, (step, loss, norms) in enumerate(rows):
            if place in truncations:
                live.truncate(truncations[place])
                writer.truncate(truncations[place])
            for stat, values in (("loss", loss), ("grad_norm", norms)):
                live.append(step, stat, values)
                writer.add_row(step, stat, values)
            if place in flushes:
                assert writer.flush()
        writer.close()
        saved = read_run(folder)
    assert saved.missing == []
    assert saved.history.stats == live.stats
    assert (saved.history.step, saved.history.first_step) == (live.step, live.first_step)
    for stat in live.stats:
        for got, expected in zip(saved.history.measured(stat), live.measured(stat), strict=True):
            np.testing.assert_array_equal(got, expected)
        for got, expected in zip(saved.history.head(stat, 64), live.head(stat, 64), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_the_bits_of_a_nan_payload_survive(tmp_path: Path) -> None:
    strange = np.array([0x7FF8000000000123], dtype=np.uint64).view(np.float64)
    with RunWriter(tmp_path) as writer:
        writer.add_row(0, "loss", strange)
    assert read_run(tmp_path).history.series("loss").view(np.uint64)[0] == 0x7FF8000000000123


def test_hostile_names_come_back_exactly(tmp_path: Path) -> None:
    with RunWriter(tmp_path, meta={"name": HOSTILE[0]}) as writer:
        writer.add_sites("module", HOSTILE)
        writer.add_row(0, "act_rms", np.arange(len(HOSTILE)))
    saved = read_run(tmp_path)
    assert saved.history.sites("act_rms") == HOSTILE
    assert saved.history.window("act_rms")[0].tolist() == list(range(len(HOSTILE)))
    assert saved.meta["name"] == HOSTILE[0]


def test_findings_events_and_meta_come_back(tmp_path: Path) -> None:
    event = Event(step=4, kind="skip", reason="nan\nin batch", evidence={"index": 7})
    with RunWriter(tmp_path, meta={"name": "a", "seed": 1}) as writer:
        writer.add_finding(spike())
        writer.add_event(event)
        writer.add_event(event)
        writer.add_meta({"seed": 2})
    saved = read_run(tmp_path)
    assert saved.findings == [spike()]
    assert saved.events == [event, event]
    assert (saved.meta["name"], saved.meta["seed"]) == ("a", 2)
    assert len(saved.meta["run_id"]) == 16


def test_sites_that_appear_later_were_not_measured_before(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer.add_sites("parameter", ["p"])
        writer.add_row(0, "grad_norm", [1])
        writer.flush()
        writer.add_sites("parameter", ["p", "q"])
        writer.add_row(1, "grad_norm", [2, 3])
    history = read_run(tmp_path).history
    np.testing.assert_array_equal(history.window("grad_norm"), [[1, np.nan], [2, 3]])


def test_a_second_row_of_a_step_fills_what_the_first_left_unmeasured(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer.add_sites("parameter", ["p", "q"])
        writer.add_row(0, "grad_norm", [1, np.nan])
        writer.flush()
        writer.add_row(0, "grad_norm", [np.nan, 2])
    assert read_run(tmp_path).history.window("grad_norm").tolist() == [[1, 2]]


def test_the_caller_may_reuse_its_vector(tmp_path: Path) -> None:
    vector = np.ones(3)
    with RunWriter(tmp_path) as writer:
        writer.add_row(0, "grad_norm", vector)
        vector[:] = 7
    assert read_run(tmp_path).history.window("grad_norm").tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("step", [1 << 24, 1 << 31, 1 << 53])
def test_huge_steps_come_back(tmp_path: Path, step: int) -> None:
    with RunWriter(tmp_path) as writer:
        writer.add_row(step, "loss", 1)
    assert steps_of(read_run(tmp_path).history) == [step]


def test_a_resumed_run_goes_on_under_its_id(tmp_path: Path) -> None:
    first = record(tmp_path, range(10))
    second = record(tmp_path, range(10, 20))
    saved = read_run(tmp_path)
    assert first.run_id == second.run_id == saved.meta["run_id"]
    assert steps_of(saved.history) == list(range(20))
    assert saved.missing == []


def test_rows_recorded_again_after_a_resume_replace_the_older(tmp_path: Path) -> None:
    record(tmp_path, range(10))
    with RunWriter(tmp_path) as writer:
        writer.add_row(6, "loss", -1)
    history = read_run(tmp_path).history
    assert history.series("loss").tolist() == [*map(number, range(6)), -1]
    assert steps_of(history, "grad_norm") == list(range(6))


def test_what_was_found_after_the_step_of_a_resume_is_gone(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        for step in range(10):
            add_step(writer, step)
        writer.add_finding(spike(3))
        writer.add_finding(spike(8))
    record(tmp_path, range(5, 7))
    assert [finding.step for finding in read_run(tmp_path).findings] == [3]


def test_a_rollback_keeps_what_was_found_before_it(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        for step in range(10):
            add_step(writer, step)
        writer.add_finding(spike(8))
        writer.truncate(4)
        add_step(writer, 4)
    saved = read_run(tmp_path)
    assert steps_of(saved.history) == [0, 1, 2, 3, 4]
    assert [finding.step for finding in saved.findings] == [8]


def test_a_resume_with_other_sites_keeps_both(tmp_path: Path) -> None:
    record(tmp_path, range(2))
    with RunWriter(tmp_path) as writer:
        writer.add_sites("parameter", ["new", "a.bias"])
        writer.add_row(2, "grad_norm", [5, 6])
    history = read_run(tmp_path).history
    assert history.sites("grad_norm") == (*SITES, "new")
    np.testing.assert_array_equal(history.window("grad_norm", 1), [[np.nan, 6, np.nan, 5]])


def test_a_run_is_readable_while_it_is_written(tmp_path: Path) -> None:
    writer = record(tmp_path, range(7), close=False)
    saved = read_run(tmp_path)
    assert steps_of(saved.history) == list(range(7))
    assert "still writing" in saved.missing[0]
    writer.close()
    assert read_run(tmp_path).missing == []


def test_an_empty_run_has_nothing_and_misses_nothing(tmp_path: Path) -> None:
    RunWriter(tmp_path, meta={"name": "empty"}).close()
    saved = read_run(tmp_path)
    assert (len(saved.history), saved.findings, saved.missing) == (0, [], [])


def test_nothing_is_recorded_after_close(tmp_path: Path) -> None:
    writer = record(tmp_path, range(3))
    add_step(writer, 3)
    assert not writer.flush()
    writer.close()
    assert steps_of(read_run(tmp_path).history) == [0, 1, 2]


@pytest.mark.parametrize(
    ("step", "values"), [(0, [1, 2]), (-1, [1, 2, 3]), (0, [[1, 2, 3]]), (1 << 60, [1, 2, 3])]
)
def test_refuses_a_row_that_cannot_be_placed(tmp_path: Path, step: int, values) -> None:
    with RunWriter(tmp_path) as writer:
        writer.add_sites("parameter", SITES)
        with pytest.raises(UsageError, match="grad_norm"):
            writer.add_row(step, "grad_norm", values)


def test_finds_runs_below_a_directory(tmp_path: Path) -> None:
    record(tmp_path / "b", range(1))
    record(tmp_path / "deep" / "a", range(1))
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "empty").mkdir()
    assert find_runs(tmp_path) == [tmp_path / "b", tmp_path / "deep" / "a"]


def test_says_what_is_there_instead_of_a_run(tmp_path: Path) -> None:
    record(tmp_path / "runs" / "a", range(1))
    with pytest.raises(RunNotFoundError, match=r"Did you mean .*runs/a"):
        read_run(tmp_path)
    with pytest.raises(RunNotFoundError, match="nothing is there"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(RunNotFoundError, match="it is a file"):
        read_run(tmp_path / "runs" / "a" / "run.json")
