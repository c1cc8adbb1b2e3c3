"""The Python in the documentation runs as it stands."""

import re
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


@pytest.mark.parametrize("code", list(blocks()))
def test_runs_as_it_stands(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "documentation", "exec"), {"__name__": "__main__"})
