"""Files, folders, notebooks, comments and what is said of what cannot be read."""

import json
import os
from pathlib import Path

import pytest

from steadytrain.core.discovery import Broken
from steadytrain.core.errors import UnknownNameError
from steadytrain.core.finding import Severity
from steadytrain.lint import LintFinding, _linter, lint_paths, lint_source

WRONG = "import torch.nn.functional as F\np = F.softmax(x)\n"


def names(found):
    return [finding.name for finding in found]


def test_says_where():
    (finding,) = lint_source(WRONG, "a/b.py")
    assert finding.place == "a/b.py:2:5"
    assert (finding.end_line, finding.end_column) == (2, 17)
    assert finding.severity is Severity.WARNING


def test_columns_count_characters_not_bytes():
    (finding,) = lint_source("import torch.nn.functional as F\nä = 'ö'; p = F.softmax(x)\n")
    assert finding.column == 14


def test_findings_survive_json():
    text = "import torch\nscaler = torch.cuda.amp.GradScaler()\n"
    (finding,) = lint_source(text)
    assert finding.fix is not None
    assert LintFinding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


@pytest.mark.parametrize(
    "comment",
    [
        "# st: ignore",
        "# st: ignore[softmax-without-dim]",
        "#st:ignore[LOS104]",
        "# st: ignore[x, LOS]",
    ],
)
def test_a_comment_silences_its_line(comment):
    assert lint_source(WRONG.rstrip() + f"  {comment}\n") == []


def test_a_comment_of_another_name_silences_nothing():
    assert names(lint_source(WRONG.rstrip() + "  # st: ignore[double-step]\n")) == [
        "softmax-without-dim"
    ]


def test_a_comment_silences_a_statement_from_its_first_line_or_its_last():
    text = "import torch.nn.functional as F\np = F.softmax({}\n    x,\n){}\n"
    mark = "  # st: ignore"
    assert lint_source(text.format(mark, "")) == lint_source(text.format("", mark)) == []


def test_a_text_that_looks_like_the_comment_is_none():
    text = 'import torch.nn.functional as F\ns = "# st: ignore"; p = F.softmax(x)\n'
    assert names(lint_source(text)) == ["softmax-without-dim"]


def test_a_whole_file_is_silenced():
    assert lint_source("# st: ignore-file[softmax-without-dim]\n" + WRONG) == []


def test_checks_are_chosen_by_name_code_and_family():
    assert lint_source(WRONG, select=["LOP"]) == []
    assert names(lint_source(WRONG, select=["LOS104"])) == ["softmax-without-dim"]
    assert lint_source(WRONG, ignore=["softmax-without-dim"]) == []


def test_an_unknown_check_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean double-step"):
        lint_source(WRONG, select=["doubel-step"])


def test_a_folder_is_searched_and_what_is_nobodys_code_passed_over(tmp_path):
    for place in (
        "a.py",
        "sub/b.py",
        ".hidden/c.py",
        "venv/d.py",
        "node_modules/e.py",
        "x/pyvenv.cfg",
        "x/f.py",
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(WRONG)
    (tmp_path / "notes.txt").write_text("not code")
    report = lint_paths([tmp_path])
    assert [os.path.relpath(f.path, tmp_path) for f in report.findings] == ["a.py", "sub/b.py"]
    assert lint_paths([tmp_path], exclude=["sub/*"]).num_files == 1


def test_a_file_named_twice_is_linted_once(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(WRONG)
    assert len(lint_paths([path, tmp_path]).findings) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"for x in\n", "is not Python"),
        (b"x = '\xff\xfe'\n", "is not text in the encoding it declares"),
        (b"# coding: no-such-code\n", "is not text in the encoding it declares"),
        (b"x = 1\0\n", "is not Python"),
        (b"print 'old'\n", "is not Python"),
    ],
)
def test_what_cannot_be_read_is_said_once_and_the_rest_is_linted(tmp_path, data, says):
    (tmp_path / "bad.py").write_bytes(data)
    (tmp_path / "good.py").write_text(WRONG)
    report = lint_paths([tmp_path])
    assert len(report.problems) == 1
    assert says in report.problems[0].message
    assert names(report.findings) == ["softmax-without-dim"]


def test_an_expression_nested_too_deeply_is_a_problem_and_not_a_crash(tmp_path):
    (tmp_path / "deep.py").write_text("x = " + "-" * 5000 + "1\n")
    (problem,) = lint_paths([tmp_path]).problems
    assert "nested too deeply" in problem.message or "is not Python" in problem.message


def test_a_path_that_is_not_there_is_a_problem(tmp_path):
    (problem,) = lint_paths([tmp_path / "absent.py"]).problems
    assert "there is nothing here" in problem.message


def test_a_file_in_another_encoding_is_read(tmp_path):
    path = tmp_path / "latin.py"
    path.write_bytes("# -*- coding: latin-1 -*-\ns = 'é'\n".encode("latin-1") + WRONG.encode())
    assert names(lint_paths([path]).findings) == ["softmax-without-dim"]


def notebook(*cells):
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": cell} for cell in cells], "nbformat": 4}
    )


def test_a_notebook_is_linted_across_its_cells():
    text = notebook(
        ["!pip install torch\n", "import torch.nn.functional as F"], "%time x = 1\np = F.softmax(x)"
    )
    (finding,) = lint_source(text, "a.ipynb")
    assert (finding.cell, finding.line) == (2, 2)
    assert finding.place == "a.ipynb:cell 2:2:5"


def test_a_notebook_that_is_none_or_does_not_parse_is_a_problem(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    (tmp_path / "b.ipynb").write_text(notebook("x = 1", "for x in"))
    messages = [problem.message for problem in lint_paths([tmp_path]).problems]
    assert "has no list of cells" in messages[0]
    assert "code cell 2" in messages[1]


def test_a_check_that_raises_is_said_and_the_others_go_on(monkeypatch):
    def check(code):
        raise ZeroDivisionError("oh")

    info = _linter.known_checks()["double-step"]
    broken = type(info)(**{f: getattr(info, f) for f in info.__slots__} | {"check": check})
    found = _linter.Linter([broken, _linter.known_checks()["softmax-without-dim"]]).text(
        WRONG, "a.py"
    )
    assert [f.severity for f in found] == [Severity.NOTE, Severity.WARNING]
    assert "raised ZeroDivisionError" in found[0].message


def test_a_package_that_cannot_be_loaded_hides_nothing(monkeypatch):
    broken = Broken(name="theirs", reason="ImportError: no")
    monkeypatch.setattr(_linter, "_found", lambda: ({}, [broken]))
    assert _linter.broken_checks() == [broken]


def test_what_is_ignored_per_file_is_passed_over_there_alone(tmp_path):
    text = "import torch.nn.functional as F\np = F.softmax(x)\n"
    (tmp_path / "examples").mkdir()
    for name in ("train.py", "examples/demo.py"):
        (tmp_path / name).write_text(text)
    ignores = {"examples/*": ["softmax-without-dim"]}
    found = lint_paths([tmp_path], per_file_ignores=ignores).findings
    assert [Path(one.path).name for one in found] == ["train.py"]
    assert lint_paths([tmp_path], per_file_ignores={"*.py": ["LOS", "INI"]}).findings == []


def test_an_unknown_name_among_the_ignores_per_file_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="softmax-without-dim"):
        lint_paths([tmp_path], per_file_ignores={"*": ["softmax-without-dims"]})
