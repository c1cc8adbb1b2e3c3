import csv
from pathlib import Path

import pytest

HEALTHY = [2.0 - step / 100 for step in range(100)]
BROKEN = [*HEALTHY, float("inf")]


@pytest.fixture
def broken_run(tmp_path):
    """A run whose loss was counted as non-finite at step 100."""
    from steadytrain.store.writer import RunWriter

    with RunWriter(tmp_path / "broken", meta={"name": "a\x1b[31m<b>"}) as writer:
        for step, loss in enumerate(HEALTHY):
            writer.add_row(step, "loss", [loss])
            writer.add_row(step, "loss_num_nonfinite", [0.0])
        writer.add_row(100, "loss_num_nonfinite", [1.0])
    return tmp_path / "broken"


def test_replay_of_a_healthy_run_has_status_0(steadytrain, saved_run):
    done = steadytrain("replay", saved_run(HEALTHY))
    assert done.status == 0, done.out + done.err
    assert "100 steps" in done.out


def test_replay_of_a_broken_run_has_status_1_and_names_the_step(steadytrain, broken_run):
    done = steadytrain("replay", broken_run, "--json")
    assert done.status == 1
    assert [(f["rule"], f["step"]) for f in done.json["findings"]] == [("nonfinite-loss", 100)]
    assert done.json["missing"] == []


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["--ignore", "nonfinite-loss"], 0),
        (["--ignore", "DYN"], 0),
        (["--select", "GRD, ACT"], 0),
        (["--select", "DYN"], 1),
        (["--fail-on", "critical"], 1),
        (["--fail-on", "never"], 0),
    ],
)
def test_options_choose_what_judges_and_what_fails(steadytrain, broken_run, args, status):
    assert steadytrain("replay", broken_run, *args).status == status


def test_the_project_file_chooses_and_the_command_line_overrules_it(
    steadytrain, broken_run, tmp_path
):
    (tmp_path / "pyproject.toml").write_text("[tool.steadytrain]\nignore = ['nonfinite-loss']\n")
    assert steadytrain("replay", broken_run).status == 0
    assert steadytrain("replay", broken_run, "--ignore", "").status == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("select = ['los-spike']", "unknown rule 'los-spike'"),
        ("rules.loss-spike.windw = 3", "Did you mean window"),
        ("rules.loss-spike.window = '3'", "rules.loss-spike.window: found '3', expected int"),
        ("rules.loss-spike.window = -3", "loss-spike"),
    ],
)
def test_a_mistake_in_the_project_file_names_the_file(
    steadytrain, broken_run, tmp_path, text, says
):
    (tmp_path / "settings.toml").write_text(f"[tool.steadytrain]\n{text}\n")
    done = steadytrain("replay", broken_run, "--config", "settings.toml")
    assert done.status == 2
    assert "Error: settings.toml: " in done.err
    assert says in done.err


def test_what_is_missing_from_a_damaged_run_is_said_on_stderr(steadytrain, saved_run):
    run = saved_run(HEALTHY)
    segment = next((run / "segments").iterdir())
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    done = steadytrain("replay", run, "--json")
    assert "missing: " in done.err
    assert done.json["missing"]


@pytest.mark.parametrize("command", [["replay"], ["report"], ["export", "--to", "csv"]])
def test_a_place_without_a_run_is_an_error_that_says_what_was_expected(
    steadytrain, tmp_path, command
):
    name, *options = command
    done = steadytrain(name, tmp_path / "absent", *options)
    assert done.status == 2
    assert "expected" in done.err
    assert "Traceback" not in done.err


def test_the_report_is_one_page_in_the_run(steadytrain, broken_run):
    done = steadytrain("report", broken_run, "--json")
    assert done.status == 0, done.err
    assert done.json["report"] == str(broken_run / "report.html")
    assert (broken_run / "report.html").read_text().startswith("<!doctype html>")


def test_a_folder_of_runs_is_reported_on_one_page(steadytrain, saved_run, tmp_path):
    saved_run(HEALTHY, "runs/a")
    saved_run(HEALTHY, "runs/b")
    done = steadytrain("report", tmp_path / "runs", "--out", tmp_path / "page.html", "--json")
    assert [run.rpartition("/")[2] for run in done.json["runs"]] == ["a", "b"]
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export_writes_tables(steadytrain, saved_run, tmp_path, form):
    done = steadytrain(
        "export", saved_run(HEALTHY), "--to", form, "--out", tmp_path / "out", "--json"
    )
    assert done.status == 0, done.err
    assert done.json["files"]
    assert all(file.startswith(str(tmp_path / "out")) for file in done.json["files"])


def test_exported_csv_holds_the_values(steadytrain, saved_run, tmp_path):
    done = steadytrain(
        "export", saved_run(HEALTHY), "--to", "csv", "--out", tmp_path / "out", "--json"
    )
    lines = [line for file in done.json["files"] for line in Path(file).read_text().splitlines()]
    assert "1.5" in [cell for row in csv.reader(lines) for cell in row]


def test_another_form_is_a_usage_error(steadytrain, saved_run):
    assert steadytrain("export", saved_run(HEALTHY), "--to", "xlsx").status == 2


def test_a_run_of_which_nothing_can_be_read_is_not_called_healthy(steadytrain, tmp_path):
    (tmp_path / "run" / "segments").mkdir(parents=True)
    (tmp_path / "run" / "segments" / "000000.seg").write_bytes(bytes(range(256)) * 8)
    done = steadytrain("replay", "run")
    assert done.status == 2
    assert "damaged bytes" in done.err
