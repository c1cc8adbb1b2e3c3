from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from steadytrain.core import discovery


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A package with two marked things, a private module and something imported."""
    folder = tmp_path / "little_room"
    folder.mkdir()
    marked = "class Thing:\n    pass\nThing.__rule__ = type('Info', (), {'name': '%s'})\n"
    (folder / "__init__.py").write_text("")
    (folder / "second.py").write_text(
        marked % "second" + "from little_room.first import Thing as Other\n"
    )
    (folder / "first.py").write_text(marked % "first")
    (folder / "_private.py").write_text(marked % "private")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "little_room"
    for name in [name for name in sys.modules if name.startswith("little_room")]:
        del sys.modules[name]


def entry_points(monkeypatch, *points: EntryPoint) -> None:
    monkeypatch.setattr(
        discovery, "entry_points", lambda group: [p for p in points if p.group == group]
    )


def test_everything_marked_in_the_folder_is_found_once(room, monkeypatch):
    entry_points(monkeypatch)
    found, broken = discovery.marked(room, "little.things", "__rule__")
    assert sorted(found) == ["first", "second"]
    assert found["first"].__module__ == "little_room.first"
    assert broken == []


def test_modules_come_in_order_of_name_without_the_private_ones(room):
    assert [module.__name__ for module in discovery.modules(room)] == [
        "little_room.first",
        "little_room.second",
    ]


def test_a_broken_package_hides_no_other(room, monkeypatch):
    entry_points(
        monkeypatch,
        EntryPoint("bad", "no_such_package:Thing", "little.things"),
        EntryPoint("unmarked", "collections:OrderedDict", "little.things"),
    )
    found, broken = discovery.marked(room, "little.things", "__rule__")
    assert sorted(found) == ["first", "second"]
    assert [item.name for item in broken] == ["bad", "unmarked"]
    assert "ModuleNotFoundError" in broken[0].reason


def test_another_package_cannot_take_the_name_of_ours(room, monkeypatch):
    entry_points(monkeypatch, EntryPoint("x", "little_room._private:Thing", "little.things"))
    import little_room._private as private

    private.Thing.__rule__.name = "first"
    found, _ = discovery.marked(room, "little.things", "__rule__")
    assert found["first"].__module__ == "little_room.first"
