"""What the documents say exists, exists."""

import itertools
import re
from pathlib import Path

import pytest

import steadytrain
from steadytrain.cli._group import group

ROOT = Path(steadytrain.__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "changes/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
COMMANDS = set(group.list_commands(None))


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request):
    return request.param


def code_in(document):
    """What stands in code: fenced blocks of a console, and between single backticks."""
    text = document.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL))
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line.removeprefix("$ ") for line in blocks.splitlines() if line.startswith("$ ")]
    return [line.split("#")[0].split() for line in [*lines, *inline]]


def test_every_make_target_exists(document):
    named = {words[1] for words in code_in(document) if words[:1] == ["make"] and len(words) > 1}
    assert named <= TARGETS


def test_every_command_and_its_options_exist(document):
    for words in code_in(document):
        if words[:1] != ["steadytrain"] or len(words) < 2 or words[1].startswith("-"):
            continue
        assert words[1] in COMMANDS, words
        options = {name for p in group.get_command(None, words[1]).params for name in p.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}, words


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "changes/README.md"]
)
def test_every_link_inside_leads_somewhere(name):
    """Those of `docs` are checked by its strict build."""
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    inside = [link for link in links if not link.startswith(("http:", "https:", "mailto:"))]
    assert not [link for link in inside if not (document.parent / link).exists()]


def test_contributing_fits_on_a_page():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


def test_the_documents_name_what_the_fresh_machine_needs():
    readme = (ROOT / "README.md").read_text()
    assert "make demo" in readme
    assert "make test" in readme


def test_the_figures_of_the_readme_are_those_of_the_committed_table():
    results = (ROOT / "benchmarks" / "results" / "cookbook_digits.md").read_text()
    measured = results.partition("## Break test: which learning rates still converge")[2]
    rows = {row[0]: row[3:6] for row in table_rows(measured)}
    shown = table_rows((ROOT / "README.md").read_text().partition("## What the main job shows")[2])
    names = ("no tricks", "batchnorm", "GroupNorm(1, C)", "all tricks")
    assert [row[1:] for row in shown[1:]] == [rows[name] for name in names]


def table_rows(text):
    """The cells of the first table in `text`, row by row, without the line under its head."""
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), text.splitlines())
    table = itertools.takewhile(lambda line: line.startswith("|"), lines)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return [row for row in rows if set(row[0]) != {"-"}]
