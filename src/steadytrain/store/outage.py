"""What happens while the disk cannot be written: one warning, then patience."""

from __future__ import annotations

import sys
import warnings
from typing import Final

MAX_WAIT: Final = 16
"""Flushes between two attempts, at most."""


class StoreWarning(UserWarning):
    """A run that is not recorded as asked; training goes on."""


class Outage:
    """Counts the flushes to wait between attempts: 1, 2, 4 ... `MAX_WAIT`; warns once per run.

    Counted in flushes and not in seconds, so that a frozen or jumping clock changes nothing.
    """

    def __init__(self) -> None:
        self.reason = ""
        self._wait = 0
        self._next_wait = 1
        self._warned = False

    @property
    def is_on(self) -> bool:
        """The last attempt failed."""
        return bool(self.reason)

    def waits(self) -> bool:
        """Whether this flush is one to sit out."""
        if self._wait == 0:
            return False
        self._wait -= 1
        return True

    def failed(self, what: str, error: BaseException) -> None:
        """An attempt failed: the first one is said, the next ones come less often."""
        self.reason = str(error) or type(error).__name__
        self._wait, self._next_wait = self._next_wait, min(2 * self._next_wait, MAX_WAIT)
        self.warn(
            f"{what}: {self.reason}. Training goes on; rows are kept in memory and written once "
            "it works again, the oldest are dropped and counted when they become too many."
        )

    def over(self) -> None:
        """An attempt worked."""
        self.reason = ""
        self._wait, self._next_wait = 0, 1

    def warn(self, message: str) -> None:
        """The first message of a run is warned, every further one stays silent."""
        if not self._warned:
            self._warned = True
            say(message)


def say(message: str) -> None:
    """A StoreWarning was issued; where warnings are errors, the message stands on stderr."""
    try:
        warnings.warn(message, StoreWarning, stacklevel=2)
    except StoreWarning:  # a user's filter must not turn our trouble into the end of a run
        print(f"StoreWarning: {message}", file=sys.stderr)
