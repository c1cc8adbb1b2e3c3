"""What must start without torch does: it also serves machines that have none."""

import pkgutil
import subprocess
import sys

import pytest

import steadytrain

ROOMS = ("core", "store", "rules", "causes", "report", "engine", "lint")

REFUSE_TORCH = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise AssertionError("torch was imported")

sys.meta_path.insert(0, Refuse())
"""


def modules():
    packages = pkgutil.walk_packages(steadytrain.__path__, "steadytrain.")
    return [module.name for module in packages if module.name.split(".")[1] in ROOMS]


def run_without_torch(code):
    command = [sys.executable, "-W", "error", "-c", REFUSE_TORCH + code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_refusal_refuses():
    assert "torch was imported" in run_without_torch("import torch").stderr


def test_every_module_of_the_torch_free_rooms_imports_without_torch():
    assert len(modules()) > len(ROOMS)
    done = run_without_torch("\n".join(f"import {name}" for name in modules()))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "args", [["--help"], ["rules"], ["explain", "grad_norm"], ["train", "--help"], ["lab"]]
)
def test_the_command_line_answers_without_torch(args):
    code = f"from steadytrain.cli._group import run; sys.exit(run({args!r}))"
    done = run_without_torch(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_loads_neither_numpy_nor_rich_nor_plotly():
    code = """
from steadytrain.cli._group import run
run(["--help"])
heavy = {"numpy", "rich", "plotly", "importlib.metadata"} & set(sys.modules)
assert not heavy, heavy
"""
    done = run_without_torch(code)
    assert done.returncode == 0, done.stderr
