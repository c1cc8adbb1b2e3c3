"""The Python in the documentation runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import steadytrain

ROOT = Path(steadytrain.__file__).parents[2]


def blocks():
    """Every complete program of the documentation: one that imports what it uses."""
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for index, code in enumerate(
            re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
        ):
            if "import torch" in code:
                yield pytest.param(code, id=f"{path.relative_to(ROOT / 'docs')}-{index}")


def test_there_are_programs_to_run():
    assert len(list(blocks())) >= 6


@pytest.mark.parametrize("code", blocks())
def test_runs_as_it_stands(code, tmp_path):
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
