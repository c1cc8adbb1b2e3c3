"""The command line: one file in this folder is one command.

A command file exports `command`; what it needs beyond click it imports when it runs, so that
`steadytrain --help` answers at once. Files that start with an underscore are shared parts.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """The command line ran; the process ends with its exit status."""
    from steadytrain.cli._group import run
    from steadytrain.cli._streams import make_streams_safe

    make_streams_safe()
    sys.exit(run(sys.argv[1:]))
