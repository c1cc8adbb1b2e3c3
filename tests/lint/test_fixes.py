"""Fixes touch what they must, change no numbers unless told, and are done after one go."""

import ast

import pytest

from steadytrain.lint import Edit, lint_source
from steadytrain.lint._edits import apply_edits
from steadytrain.lint._linter import choose_checks, known_checks
from steadytrain.lint._rewriting import fix_files, fix_text

FIXABLE = sorted(name for name, info in known_checks().items() if info.fix != "none")

AMP = """import torch
ä = "ü"; scaler = torch.cuda.amp.GradScaler(  # why
    init_scale=2.0)
with torch.cuda.amp.autocast():
    pass
"""


def fixed(text, *, unsafe=False):
    return fix_text(text, "a.py", choose_checks(), unsafe=unsafe)


@pytest.mark.parametrize("name", FIXABLE)
def test_every_fix_removes_its_finding_and_leaves_python(name):
    text, count = fixed(known_checks()[name].flagged, unsafe=True)
    assert count >= 1
    ast.parse(text)
    assert name not in [finding.name for finding in lint_source(text)]


@pytest.mark.parametrize("name", FIXABLE)
def test_fixing_twice_is_fixing_once(name):
    once, _ = fixed(known_checks()[name].flagged, unsafe=True)
    assert fixed(once, unsafe=True) == (once, 0)


def test_everything_else_stays_to_the_byte():
    text, count = fixed(AMP)
    assert count == 2
    assert text == AMP.replace(
        "torch.cuda.amp.GradScaler(", 'torch.amp.GradScaler("cuda", '
    ).replace("torch.cuda.amp.autocast()", 'torch.amp.autocast("cuda")')


def test_line_ends_and_encoding_stay(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbf" + AMP.replace("\n", "\r\n").encode())
    fix_files(lint_source(AMP, str(path)), choose_checks())
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfimport torch\r\n")
    assert data.count(b"\r\n") == data.count(b"\n") == AMP.count("\n")
    assert b'torch.amp.GradScaler("cuda"' in data


def test_a_fix_that_changes_what_is_computed_needs_to_be_asked_for():
    text = known_checks()["uncalled-method"].flagged
    assert fixed(text) == (text, 0)
    assert "optimizer.zero_grad()\n" in fixed(text, unsafe=True)[0]


def test_a_name_imported_by_itself_is_left_to_a_person():
    text = "from torch.cuda.amp import autocast\nwith autocast():\n    pass\n"
    assert fixed(text) == (text, 0)


def test_a_file_that_cannot_be_written_is_as_it_was(tmp_path):
    path = tmp_path / "gone" / "a.py"
    num_fixed, problems = fix_files(lint_source(AMP, str(path)), choose_checks())
    assert num_fixed == 0
    assert "cannot be read" in problems[0].message or "ordinary file" in problems[0].message


def test_edits_that_overlap_are_made_once():
    edits = [
        Edit(start=0, end=3, text="x"),
        Edit(start=1, end=2, text="y"),
        Edit(start=4, end=4, text="!"),
    ]
    assert apply_edits("abcdef", edits) == "xd!ef"
