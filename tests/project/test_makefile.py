"""The two commands of a fresh machine, as far as they can be tried without one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import steadytrain

ROOT = Path(steadytrain.__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*args):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", "-C", str(ROOT), *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_help_names_what_people_need():
    out = make("help").stdout
    assert all(f"make {target} " in out for target in ("demo", "test", "test-all", "bench", "fix"))


def test_the_tests_run_last_so_that_their_closing_line_is_the_last(tmp_path):
    lines = make("-n", "test", f"VENV={tmp_path}/venv").stdout.splitlines()
    assert "pytest" in lines[-1]
    for tool in ("ruff check", "ruff format --check", "basedpyright", "lint-imports", "mkdocs"):
        assert any(tool in line for line in lines)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_fresh_machine_installs_torch_first_and_by_itself(tmp_path, target):
    lines = make("-n", target, f"VENV={tmp_path}/venv").stdout.splitlines()
    installs = [line for line in lines if " pip install " in line]
    assert "torch==" in installs[0]
    assert " -e " not in installs[0]
    assert "-c constraints.txt -e" in installs[1]


def test_without_a_python_the_message_says_what_to_install(tmp_path):
    done = make("PYTHON=", f"VENV={tmp_path}/venv", f"{tmp_path}/venv/.python")
    assert done.returncode != 0
    assert "Python 3.11 or newer" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test </dev/null")
