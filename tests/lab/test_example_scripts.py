"""The examples run as scripts, as a person would start them."""

import subprocess
import sys
from pathlib import Path

import pytest

import steadytrain
from steadytrain.store.reader import read_run

EXAMPLES = sorted((Path(steadytrain.__file__).parents[2] / "examples").glob("*.py"))


def start(path, *options, cwd):
    command = [sys.executable, "-W", "error", str(path), *options]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_there_are_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_leaves_a_run_that_can_be_read(path, tmp_path):
    done = start(path, "--steps", "12", "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loss" in done.stdout
    assert read_run(tmp_path / "run").history.step == 11


def test_a_learning_rate_that_breaks_the_digits_is_said_so(tmp_path):
    path = next(path for path in EXAMPLES if path.stem == "digits_loop")
    done = start(path, "--steps", "60", "--rate", "30", cwd=tmp_path)
    assert "update-ratio-too-large" in done.stdout
