"""Where a command writes: never into what an older run left."""

from __future__ import annotations

import itertools
from pathlib import Path

from steadytrain.core.errors import UsageError


def fresh_folder(given: Path | None, default: Path) -> Path:
    """The folder `given`, or the first of `default`, `default-2` ... where nothing is yet.

    Raises:
        UsageError: there is a run in the folder that was given.
    """
    if given is None:
        numbered = (default.with_name(f"{default.name}-{n}") for n in itertools.count(2))
        return next(path for path in itertools.chain([default], numbered) if not path.exists())
    from steadytrain.store.reader import find_runs

    if runs := find_runs(given):
        msg = f"{given}: expected a new or empty folder, found a run in {runs[0]}"
        raise UsageError(f"{msg}. Name another folder, or remove it; nothing was changed.")
    return given
