"""The contract of every experiment that is discovered."""

import functools
import json
import re
import tempfile
from pathlib import Path

import pytest

from steadytrain.core.experiment import Experiment
from steadytrain.lab import LabSettings, known_experiments
from steadytrain.lab.protocol import SECTIONS
from steadytrain.store.reader import read_run

EXPERIMENTS = known_experiments()
pytestmark = pytest.mark.parametrize("name", sorted(EXPERIMENTS))


@functools.cache
def quick(name):
    """The result of one quick run, and the progress it reported."""
    reports = []
    out = Path(tempfile.mkdtemp()) / "new" / name
    result = EXPERIMENTS[name].run(
        LabSettings(out=out, quick=True), lambda *report: reports.append(report)
    )
    return result, reports, out


def test_is_documented(name):
    info = EXPERIMENTS[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", info.name)
    assert info.title
    assert info.summary.endswith(".")
    assert all(len(info.sections[heading]) > 40 for heading in SECTIONS)


def test_says_which_data_it_used_and_how_to_repeat_it(name):
    experiment = quick(name)[0].experiment
    assert any(word in experiment.data for word in ("images of", "characters", "samples of"))
    assert {"seeds", "torch", "machine"} <= set(experiment.settings)
    assert experiment.name == name


def test_holds_statements_against_what_was_measured(name):
    experiment = quick(name)[0].experiment
    assert experiment.claims
    assert experiment.tables
    assert experiment.charts
    assert all(claim.expected and claim.measured for claim in experiment.claims)


def test_its_result_survives_a_trip_through_json(name):
    experiment = quick(name)[0].experiment
    text = json.dumps(experiment.to_json(), allow_nan=False)
    assert Experiment.from_json(json.loads(text)) == experiment


def test_its_tables_and_charts_are_rectangular(name):
    experiment = quick(name)[0].experiment
    for table in experiment.tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}
    for series in (line for chart in experiment.charts for line in chart.series):
        assert len(series.x) == len(series.y) > 0
        assert len(series.low) in (0, len(series.x))
        assert len(series.high) == len(series.low)


def test_its_runs_can_be_read_back(name):
    result, _, out = quick(name)
    for run_dir in result.run_dirs:
        assert out in run_dir.parents
        assert read_run(run_dir).history.step > 0


def test_progress_counts_to_the_end(name):
    reports = quick(name)[1]
    total = reports[0][1]
    assert [done for done, _, _ in reports] == list(range(1, total + 1))


def test_says_nothing_it_could_not_know_from_one_seed(name, tmp_path):
    result = EXPERIMENTS[name].run(LabSettings(out=tmp_path, quick=True, seeds=1))
    assert result.experiment.settings["seeds"] == "0"


def test_processes_measure_the_same(name, tmp_path):
    result = EXPERIMENTS[name].run(LabSettings(out=tmp_path, quick=True, jobs=2))
    assert result.experiment == quick(name)[0].experiment
