import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

import steadytrain

ROOT = Path(steadytrain.__file__).parents[2]


def test_exports_at_most_thirty_sorted_names():
    assert steadytrain.__all__ == sorted(steadytrain.__all__)
    assert len(steadytrain.__all__) <= 30


@pytest.mark.parametrize("name", steadytrain.__all__)
def test_every_exported_name_exists_and_is_documented(name):
    assert getattr(steadytrain, name).__doc__.strip()


def test_the_exported_names_are_the_documented_ones():
    place = ROOT / "docs" / "hooks" / "generated_pages.py"
    spec = importlib.util.spec_from_file_location("generated_pages", place)
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    documented = [
        line.rpartition(".")[2] for line in hook.pages()["python.md"].splitlines() if ":::" in line
    ]
    assert sorted(documented) == steadytrain.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'wacth'"):
        steadytrain.wacth  # noqa: B018


def test_dir_lists_the_exported_names():
    assert dir(steadytrain) == steadytrain.__all__


@pytest.mark.parametrize("room", ["blocks", "optim", "recipes"])
def test_a_star_import_brings_the_public_names_of_a_room(room):
    names = {}
    exec(f"from steadytrain.{room} import *", names)
    public = dir(importlib.import_module(f"steadytrain.{room}"))
    assert set(public) == {name for name in names if not name.startswith("__")}


def test_no_submodule_hides_a_function():
    for info in pkgutil.iter_modules(steadytrain.__path__):
        importlib.import_module(f"steadytrain.{info.name}")
    hidden = [name for name in steadytrain.__all__ if inspect.ismodule(getattr(steadytrain, name))]
    assert not hidden
