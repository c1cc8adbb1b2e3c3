"""What a run says about itself, without what should not travel with a report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from steadytrain.report.figures import shown
from steadytrain.report.names import visible, visible_name

HIDDEN: Final = "(hidden)"

MAX_SETTINGS: Final = 300
"""Lines of settings that are shown."""

_SECRET = re.compile(
    r"token|secret|passw|credential|api.?key|access.?key|private.?key|^(user|username|host|hostname|home)$",
    re.IGNORECASE,
)


def settings(meta: Mapping[str, object]) -> list[tuple[str, str]]:
    """The run's settings as lines of name and value, safe to show and to send.

    Values whose name speaks of a secret, a user or a host are hidden, and the home directory is
    written `~`.
    """
    lines = list(_flat("", meta))
    over = len(lines) - MAX_SETTINGS
    return lines[:MAX_SETTINGS] + ([("…", f"{over:,} more settings")] if over > 0 else [])


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in cast("Mapping[object, object]", value).items():
            if _SECRET.search(str(name)):
                yield visible_name(f"{prefix}{name}"), HIDDEN
            else:
                yield from _flat(f"{prefix}{name}.", inner)
    else:
        yield visible_name(prefix.removesuffix(".")), visible(_homeless(_written(value)))


def _written(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_written(item) for item in cast("list[object]", value))
    return str(value) if isinstance(value, int) else shown(value)


def _homeless(text: str) -> str:
    """`text` with the home directory written `~`."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text
