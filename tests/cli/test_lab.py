import pytest

from steadytrain.core.experiment import Claim, Experiment
from steadytrain.lab import protocol
from steadytrain.lab.protocol import ExperimentInfo, LabResult


@pytest.fixture
def tiny(monkeypatch):
    """A lab that holds one experiment, which writes down the settings it was given."""
    seen = []

    def run(settings, report_progress, *, executor=None):
        seen.append(settings)
        report_progress(1, 2, "half of it")
        print("printed by the experiment")
        claim = Claim(question="Is it?", expected="yes", measured="yes", verdict="holds")
        experiment = Experiment(
            name="tiny", title="Tiny", summary="It is.", data="none", claims=(claim,)
        )
        return LabResult(experiment=experiment)

    info = ExperimentInfo(name="tiny", title="Tiny", summary="A tiny one.", sections={}, run=run)
    monkeypatch.setattr(protocol, "known_experiments", lambda: {"tiny": info})
    return seen


def test_without_a_name_lists_the_experiments(steadytrain):
    done = steadytrain("lab")
    assert done.status == 0
    assert "cookbook" in done.out


def test_lists_as_json(steadytrain, tiny):
    assert steadytrain("lab", "--json").json["experiments"][0]["name"] == "tiny"


def test_runs_the_experiment_and_writes_its_page(steadytrain, tiny, tmp_path):
    done = steadytrain("lab", "tiny", "--json")
    assert done.status == 0, done.err
    assert done.json["experiment"]["claims"][0]["verdict"] == "holds"
    assert (tmp_path / "runs/lab/tiny/report.html").is_file()
    assert (tmp_path / "runs/lab/tiny/experiment.json").is_file()
    assert "tiny: 1 of 2, half of it" in done.err


def test_shows_what_was_expected_beside_what_was_measured(steadytrain, tiny):
    done = steadytrain("lab", "tiny")
    assert done.status == 0, done.err
    assert "Is it?" in done.out
    assert "report: runs/lab/tiny/report.html" in done.out


def test_hands_the_settings_over(steadytrain, tiny, tmp_path):
    steadytrain("lab", "tiny", "--seeds", 2, "--epochs", 0.5, "--jobs", 3, "--quick", "--out", "x")
    settings = tiny[0]
    assert (settings.seeds, settings.epochs, settings.jobs, settings.quick) == (2, 0.5, 3, True)
    assert str(settings.out) == "x"


def test_a_second_run_stands_beside_the_first(steadytrain, tiny):
    pages = [steadytrain("lab", "tiny", "--json").json["report"] for _ in range(2)]
    assert pages == ["runs/lab/tiny/report.html", "runs/lab/tiny-2/report.html"]


def test_a_folder_with_a_run_in_it_is_refused_before_anything_is_done(steadytrain, tiny):
    steadytrain("lab", "tiny", "--out", "x")
    done = steadytrain("lab", "tiny", "--out", "x")
    assert done.status == 2
    assert "x: expected a new or empty folder, found a run in x" in done.err
    assert len(tiny) == 1


def test_an_unknown_experiment_suggests_the_nearest(steadytrain):
    done = steadytrain("lab", "cookbok")
    assert done.status == 2
    assert "Did you mean cookbook?" in done.err


@pytest.mark.parametrize("option", [("--epochs", "nan"), ("--epochs", "0"), ("--seeds", "0")])
def test_a_setting_that_means_nothing_is_a_usage_error(steadytrain, tiny, option):
    assert steadytrain("lab", "tiny", *option).status == 2
    assert not tiny
