"""The conventions of the code that a machine can hold."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import steadytrain

SOURCE = Path(steadytrain.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TESTS = SOURCE.parents[1] / "tests"
MAX_LINES = 300
NAMES_THAT_NAME_NOTHING = {"utils.py", "helpers.py", "common.py", "misc.py", "base.py", "tools.py"}


def test_no_file_is_longer_than_one_idea():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {str(path): count for path, count in lines.items() if count > MAX_LINES}


def test_every_file_is_named_after_its_idea():
    assert not [path for path in FILES if path.name in NAMES_THAT_NAME_NOTHING]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_file_says_what_it_is(path):
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert doc
    assert doc.split("\n\n")[0].rstrip().endswith((".", ":"))


def test_every_command_is_one_file_that_exports_it():
    files = [path for path in (SOURCE / "cli").glob("*.py") if not path.name.startswith("_")]
    assert len(files) >= 8
    assert all("def command(" in path.read_text(encoding="utf-8") for path in files)


def test_every_test_file_has_a_name_of_its_own():
    """Test files are top-level modules: two of one name cannot both be collected."""
    names = Counter(path.name for path in TESTS.rglob("*.py") if path.name != "conftest.py")
    assert not [name for name, count in names.items() if count > 1]
