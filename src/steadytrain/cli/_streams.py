"""Standard output and error as they are found: closed, of few characters, on a full disk."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def make_streams_safe() -> None:
    """Both streams can be written to, and a character they do not have is a question mark.

    A stream that was closed leads nowhere: the exit status is the answer then.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def silence_stdout() -> None:
    """What is left in the buffer of standard output goes nowhere: nobody can take it.

    The interpreter flushes it once more on its way out.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
