"""The commands of this folder as one program, and the one place where its errors end."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Sequence

import click

from steadytrain.cli._output import print_json, say
from steadytrain.cli._status import INTERRUPTED, NO_READER, UNANSWERED
from steadytrain.cli._streams import silence_stdout
from steadytrain.core.errors import SteadytrainError, UnknownNameError

_PACKAGE = "steadytrain.cli"


class CommandFolder(click.Group):
    """A group whose commands are the files of this folder, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        folder = importlib.import_module(_PACKAGE).__path__
        names = (module.name for module in pkgutil.iter_modules(folder))
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        known = self.list_commands(ctx)
        if cmd_name not in known:
            ctx.fail(str(UnknownNameError.build("command", cmd_name, known)))
        return importlib.import_module(f"{_PACKAGE}.{cmd_name.replace('-', '_')}").command


@click.group(
    cls=CommandFolder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 healthy, 1 findings at or above --fail-on, 2 the command could not answer.",
)
@click.version_option(package_name="steadytrain", message="steadytrain %(version)s")
def group() -> None:
    """Find out why a network will not train."""


def run(args: Sequence[str]) -> int:
    """Run the command line on `args`; the exit status is returned, and nothing is raised."""
    try:
        status = group.main(list(args), prog_name="steadytrain", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return _unanswered(error, error.format_message(), args)
    except SteadytrainError as error:
        say(f"Error: {error}")
        return _unanswered(error, str(error), args)
    except (KeyboardInterrupt, click.Abort):
        say("stopped by the keyboard.")
        return INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return NO_READER
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _ours(error)
        silence_stdout()
        say(f"Error: the output could not be written: {error.strerror}. Free some space.")
        return UNANSWERED
    except Exception as error:  # the outermost boundary: status 1 would read as "findings"
        return _ours(error)


def _ours(error: Exception) -> int:
    traceback.print_exception(error)
    say("This is an error in steadytrain, not in your run. Please report it with the lines above.")
    return UNANSWERED


def _unanswered(error: Exception, message: str, args: Sequence[str]) -> int:
    if "--json" in args:
        print_json({"error": {"type": type(error).__name__, "message": message}})
    return UNANSWERED
