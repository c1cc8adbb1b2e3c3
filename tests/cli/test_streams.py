"""The command line where its output cannot go as it is."""

import os
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "steadytrain.cli"]


def start(*args, environment=(), **streams):
    return subprocess.run(
        [*COMMAND, *args], env=os.environ | dict(environment), text=True, check=False, **streams
    )


def test_a_character_that_the_output_does_not_have_is_a_question_mark():
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = start("explain", "loss-spike", environment=ascii_only, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "loss-spike" in done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_one_line_and_no_answer():
    with open("/dev/full", "w") as full:
        done = start("explain", "loss", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: the output could not be written: No space left on device. Free some space.\n"
    )


def test_a_closed_output_leaves_the_exit_status():
    closed = [sys.executable, "-c", f"import os; os.close(1); os.execv({sys.executable!r}, "]
    closed[-1] += f"{[*COMMAND, 'explain', 'loss']!r})"
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
