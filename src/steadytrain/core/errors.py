"""Every exception steadytrain raises, and where each stands.

    SteadytrainError
    ├── UsageError (also ValueError)        a call, option or file that cannot mean what was written
    │   ├── ProgramError                    a Program whose fields do not fit together
    │   ├── ConfigError                     a configuration file or an option in it
    │   ├── SnapshotError                   a snapshot that does not fit what it is restored into
    │   └── UnknownNameError (LookupError)  a rule, statistic, cause, experiment that does not exist
    ├── StoreError (also OSError)           a run directory
    │   ├── RunNotFoundError                nothing there that is a run
    │   ├── RunVersionError                 written by another schema version
    │   └── RunBusyError                    another process is writing in it
    ├── StoppedError                        a step was begun after the guard had stopped the run
    └── MissingExtraError (also ImportError) an optional dependency that is not installed

Every message says what was wrong, what was found, what was expected and what to do.
They are raised when something is built, never inside a user's training step, but for a run that
the guard has stopped.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

MAX_NAMES: Final = 30
"""Known names that an error lists; the rest is counted."""


class SteadytrainError(Exception):
    """The root of the tree above."""


class UsageError(SteadytrainError, ValueError):
    """A call, option or file that cannot mean what was written."""


class ProgramError(UsageError):
    """A Program whose fields do not fit together."""


class ConfigError(UsageError):
    """A configuration file, or an option in it, that cannot be read as meant."""


class SnapshotError(UsageError):
    """A snapshot that does not fit the parts it should be restored into."""


class UnknownNameError(UsageError, LookupError):
    """A name that is not in the vocabulary it was looked up in."""

    @classmethod
    def build(cls, what: str, found: str, known: Iterable[str]) -> UnknownNameError:
        """The error for `found`, with the nearest known names as a suggestion."""
        names = sorted(known)
        near = difflib.get_close_matches(found, names, n=3, cutoff=0.5)
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        listed = f"Known: {', '.join(names[:MAX_NAMES])}{more}."
        hint = f"Did you mean {' or '.join(near)}?" if near else listed
        return cls(f"unknown {what} {found!r}: expected one of {len(names)} names. {hint}")


class StoreError(SteadytrainError, OSError):
    """A run directory that cannot be used as asked."""


class RunNotFoundError(StoreError):
    """There is no run at the path."""


class RunVersionError(StoreError):
    """The run was written by a schema version this release does not read."""


class RunBusyError(StoreError):
    """Another live process is writing in the run directory."""


class StoppedError(SteadytrainError):
    """The guard has stopped the run, and the loop begins another step."""


class MissingExtraError(SteadytrainError, ImportError):
    """An optional dependency that is not installed."""

    @classmethod
    def build(cls, package: str, extra: str, purpose: str) -> MissingExtraError:
        """The error for a missing `package`, naming the extra that brings it."""
        return cls(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'steadytrain[{extra}]'"
        )
