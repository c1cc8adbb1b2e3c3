import importlib.util
from pathlib import Path

import pytest

import steadytrain

ROOT = Path(steadytrain.__file__).parents[2]


@pytest.fixture(scope="module")
def assemble():
    spec = importlib.util.spec_from_file_location("assemble", ROOT / "changes" / "assemble.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "README.md").write_text("how")
    (tmp_path / "b.added.md").write_text("The second\nthing.\n")
    (tmp_path / "a.added.md").write_text("The first thing.\n")
    (tmp_path / "c.fixed.md").write_text("A fault.\n")
    return tmp_path


def test_the_fragments_of_this_repository_are_readable(assemble):
    assert assemble.section("Unreleased", assemble.fragments(ROOT / "changes"))


def test_fragments_stand_by_kind_and_name_one_line_each(assemble, folder):
    assert assemble.section("1.0", assemble.fragments(folder)) == (
        "## 1.0\n\n### Added\n\n- The first thing.\n- The second thing.\n\n### Fixed\n\n- A fault.\n"
    )


def test_a_release_stands_above_the_older_one_and_takes_the_fragments(assemble, folder):
    changelog = folder / "CHANGELOG.txt"
    changelog.write_text("# Changelog\n\n## 0.9 (2020-01-01)\n")
    assemble.release("1.0", folder, changelog)
    text = changelog.read_text()
    assert text.startswith("# Changelog\n\n## 1.0 (")
    assert text.index("A fault.") < text.index("## 0.9")
    assert [path.name for path in folder.glob("*.md")] == ["README.md"]


def test_a_file_of_no_kind_is_refused(assemble, folder):
    (folder / "d.improved.md").write_text("?")
    with pytest.raises(SystemExit, match="found the kind 'improved', expected one of added"):
        assemble.fragments(folder)
