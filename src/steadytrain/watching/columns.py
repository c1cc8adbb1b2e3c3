"""Which column a named site has: known to the history and the file as soon as it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.history import History
from steadytrain.core.stats import SiteKind
from steadytrain.store.writer import RunWriter


class SiteColumns:
    """The columns of every kind of site.

    Args:
        history: the run's table.
        writer: what writes it, or None.
    """

    def __init__(self, history: History, writer: RunWriter | None) -> None:
        self._history = history
        self._writer = writer
        self._place: dict[SiteKind, dict[str, int]] = {
            kind: {name: at for at, name in enumerate(history.sites_of(kind))}
            for kind in get_args(SiteKind)
        }
        if writer is not None:
            for kind, known in self._place.items():
                if kind != "run" and known:
                    writer.add_sites(kind, known)

    def __call__(self, kind: SiteKind, names: Sequence[str]) -> NDArray[np.int64]:
        """The columns of `names`, which are sites from now on; all columns if none is named."""
        known = self._place[kind]
        if not names:
            return np.arange(len(known))
        new = [name for name in dict.fromkeys(names) if name not in known]
        if new:
            self._history.add_sites(kind, new)
            if self._writer is not None:
                self._writer.add_sites(kind, new)
            known.update({name: at for at, name in enumerate(new, start=len(known))})
        return np.array([known[name] for name in names], dtype=np.int64)
