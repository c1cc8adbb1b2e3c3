"""Whether a resumed run repeats what was logged after its checkpoint, to the bit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from steadytrain.core.errors import StoreError
from steadytrain.core.history import History
from steadytrain.store.reader import read_run

MAX_BYTES: Final = 1 << 28
"""A log larger than this is not read for it: it would keep the run from starting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """The losses that were logged after the checkpoint, which the resumed run does again."""

    losses: dict[int, float]
    """By row; as they were logged, in single precision."""

    @classmethod
    def after(cls, run_dir: Path, row: int) -> Repetition | None:
        """What the run in `run_dir` logged from `row` on; None where that is nothing."""
        with suppress(OSError, StoreError):  # a log that cannot be read is its reader's finding
            if sum(path.stat().st_size for path in run_dir.glob("segments/*")) > MAX_BYTES:
                return None
            rows, values = read_run(run_dir).history.measured("loss")
            pairs = zip(rows.tolist(), values.astype(np.float32).ravel().tolist(), strict=True)
            losses = {at: loss for at, loss in pairs if at >= row and np.isfinite(loss)}
            return cls(losses=losses) if losses else None
        return None

    @property
    def num_rows(self) -> int:
        """Rows from the checkpoint to the last one that was logged."""
        return max(self.losses) - min(self.losses) + 1

    def compare(self, history: History) -> tuple[int, str]:
        """How many rows are the same, and what to say of those that are not."""
        rows, values = history.measured("loss")
        again = dict(zip(rows.tolist(), values.astype(np.float32).ravel().tolist(), strict=True))
        both = sorted(self.losses.keys() & again.keys())
        differ = [row for row in both if again[row] != self.losses[row]]
        if not differ:
            return len(both), ""
        first = differ[0]
        return len(both) - len(differ), (
            f"the resumed run is another than the one that was logged: the loss of step {first} is "
            f"{again[first]:.9g}, logged was {self.losses[first]:.9g}; {len(differ)} of "
            f"{len(both)} steps differ. Expected the same bits: look for changed data, code, "
            "library versions, threads or devices, and for randomness that is not torch's, "
            "NumPy's or Python's. Training goes on."
        )
