import sys

import click
import pytest

from steadytrain.cli._factory import UserCodeError, load_program
from steadytrain.core.errors import ProgramError, UnknownNameError

PROGRAM = """
import torch
from torch import nn
import steadytrain as st

def program(width=2):
    model = nn.Linear(width, 1)
    return st.Program(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        batches=[torch.ones(4, width)],
        loss_fn=lambda model, batch: model(batch).square().mean(),
    )

def seeded(seed):
    torch.manual_seed(seed)
    return program()

def seedless():
    return program()

def needs_two(seed, width):
    return program(width)

def returns_none(seed):
    program()

def raises(seed):
    raise ValueError("my own mistake")

def leaves(seed):
    raise SystemExit(3)

value = 3
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "my_training.py"
    path.write_text(PROGRAM)
    yield path
    for name in [name for name in sys.modules if name.startswith("my_training")]:
        del sys.modules[name]


def weight(program):
    return program.model.weight.tolist()


def test_says_that_it_executes_the_file(file, capsys):
    load_program(f"{file}:seeded", 0)
    err = capsys.readouterr().err
    assert f"executes {file}" in err


@pytest.mark.parametrize("factory", ["seeded", "seedless"])
def test_the_seed_decides_the_weights(file, factory):
    place = f"{file}:{factory}"
    assert weight(load_program(place, 1)) == weight(load_program(place, 1))
    assert weight(load_program(place, 1)) != weight(load_program(place, 2))


def test_the_program_can_build_itself_under_another_seed(file):
    program = load_program(f"{file}:seedless", 1)
    assert weight(program.factory(2)) == weight(load_program(f"{file}:seedless", 2))


def test_the_file_imports_its_neighbours(file):
    (file.parent / "neighbour_of_mine.py").write_text("width = 2\n")
    file.write_text("import neighbour_of_mine\n" + PROGRAM)
    assert load_program(f"{file}:seeded", 0)


def test_a_file_called_like_a_known_module_replaces_nothing(file):
    import json

    twin = file.parent / "json.py"
    twin.write_text(PROGRAM)
    assert load_program(f"{twin}:seeded", 0)
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("train.py", "expected FILE:FACTORY"),
        ("train.py:", "expected FILE:FACTORY"),
        (":make", "expected FILE:FACTORY"),
        ("train.py:a.b", "expected FILE:FACTORY"),
        ("absent.py:make", "absent.py: found nothing there, expected a Python file"),
        (".:make", ".: found a folder there"),
    ],
)
def test_a_place_that_is_none_is_a_usage_error(place, says):
    with pytest.raises(click.UsageError) as error:
        load_program(place, 0)
    assert says in error.value.message


def test_a_file_that_is_no_python_is_a_usage_error(tmp_path):
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(click.UsageError, match=r"found a \.txt file, expected \.py"):
        load_program(f"{tmp_path / 'data.txt'}:make", 0)


def test_a_missing_function_suggests_the_nearest_of_the_file(file):
    with pytest.raises(UnknownNameError, match="Did you mean seeded"):
        load_program(f"{file}:seded", 0)


@pytest.mark.parametrize(
    ("name", "says"),
    [("value", "found int there, expected a function"), ("returns_none", "returned NoneType")],
)
def test_what_builds_no_program_is_named(file, name, says):
    with pytest.raises(ProgramError, match=says):
        load_program(f"{file}:{name}", 0)


@pytest.mark.parametrize("name", ["raises", "needs_two"])
def test_the_users_own_error_is_shown_from_the_users_file_on(file, capsys, name):
    with pytest.raises(UserCodeError, match=r"raised (Value|Type)Error, see above"):
        load_program(f"{file}:{name}", 0)
    err = capsys.readouterr().err
    assert "importlib" not in err


def test_the_traceback_names_the_line(file, capsys):
    with pytest.raises(UserCodeError):
        load_program(f"{file}:raises", 0)
    assert 'raise ValueError("my own mistake")' in capsys.readouterr().err


@pytest.mark.parametrize("text", ["def f(:\n", "import absent_module_xyz\n", "1 / 0\n"])
def test_a_file_that_cannot_be_imported_shows_why(file, capsys, text):
    file.write_text(text)
    with pytest.raises(UserCodeError):
        load_program(f"{file}:seeded", 0)
    assert "my_training.py" in capsys.readouterr().err


def test_a_file_that_ends_the_process_is_told_how_not_to(file):
    file.write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(UserCodeError, match=r"if __name__ == '__main__'"):
        load_program(f"{file}:seeded", 0)


def test_a_factory_that_ends_the_process_is_an_error_of_the_user(file):
    with pytest.raises(UserCodeError, match=r"sys\.exit\(3\)"):
        load_program(f"{file}:leaves", 0)
