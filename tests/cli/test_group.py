import click
import pytest

from steadytrain.cli import _group
from steadytrain.core.errors import ConfigError


@pytest.fixture
def raising(monkeypatch):
    """The command `rules` raises what it is given."""

    def replace(error):
        def callback(**_):
            raise error

        monkeypatch.setattr(_group.group.get_command(None, "rules"), "callback", callback)

    return replace


def test_help_lists_every_file_of_the_folder(steadytrain):
    done = steadytrain("--help")
    assert done.status == 0
    for name in ("demo", "explain", "export", "lab", "replay", "report", "rules", "train"):
        assert f"  {name} " in done.out


@pytest.mark.parametrize("name", _group.group.list_commands(None))
def test_every_command_has_help_and_json(steadytrain, name):
    done = steadytrain(name, "--help")
    assert done.status == 0
    assert "--json" in done.out


def test_without_arguments_shows_the_help_as_a_usage_error(steadytrain):
    done = steadytrain()
    assert done.status == 2
    assert "Commands:" in done.err


def test_an_unknown_command_suggests_the_nearest(steadytrain):
    done = steadytrain("replya")
    assert done.status == 2
    assert "Did you mean replay" in done.err
    assert done.out == ""


def test_an_unknown_option_is_a_usage_error(steadytrain):
    assert steadytrain("rules", "--jsn").status == 2


def test_our_errors_are_one_line_on_stderr(steadytrain, raising):
    raising(ConfigError("it is so."))
    done = steadytrain("rules")
    assert (done.status, done.out, done.err) == (2, "", "Error: it is so.\n")


def test_our_errors_are_a_document_with_json(steadytrain, raising):
    raising(ConfigError("it is so."))
    done = steadytrain("rules", "--json")
    assert done.status == 2
    assert done.json == {"error": {"type": "ConfigError", "message": "it is so."}}


def test_text_in_an_error_cannot_steer_the_terminal(steadytrain, raising):
    raising(ConfigError("a\x1b[2Jb\u202ec"))
    assert steadytrain("rules").err == "Error: a\\x1b[2Jb\\u202ec\n"


def test_a_fault_of_ours_does_not_read_as_findings(steadytrain, raising):
    raising(ZeroDivisionError("ours"))
    done = steadytrain("rules")
    assert done.status == 2
    assert "ZeroDivisionError: ours" in done.err
    assert "an error in steadytrain" in done.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_the_keyboard_stops_it_with_its_own_status(steadytrain, raising, error):
    raising(error)
    done = steadytrain("rules")
    assert done.status == 130
    assert "Traceback" not in done.err
