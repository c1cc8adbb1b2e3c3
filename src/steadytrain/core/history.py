"""The table of measurements: step x (statistic, site) -> number. Nothing else carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steadytrain.core.columns import Column, Floats, Steps
from steadytrain.core.errors import UsageError
from steadytrain.core.stats import STATS, SiteKind, declared

DEFAULT_CAPACITY: Final = 1024
"""Steps kept in memory: twice the longest look-back any rule may ask for."""


class History:
    """A run's measurements, newest steps in memory.

    A statistic has one column per site of its kind: the whole run (one column), a parameter
    group, a parameter, a module. NaN means *not measured*.

    Args:
        sites: site names by kind, or one sequence for both parameters and modules. Sites may
            also appear later, by `append(..., sites=...)`; they were not measured before.
        capacity: steps kept in memory; None keeps all.

    Shape: `window(stat, steps)` is [steps, sites].
    Dtype: float64 outside; parameter and module columns are stored as float32.

    Example:
        >>> history = History(sites=["a.weight", "b.weight"])
        >>> history.append(0, "grad_norm", [1.0, 2.0])
        >>> history.append(1, "grad_norm", [3.0, 4.0])
        >>> history.window("grad_norm", 2).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(
        self,
        sites: Mapping[SiteKind, Sequence[str]] | Sequence[str] | None = None,
        *,
        capacity: int | None = DEFAULT_CAPACITY,
    ) -> None:
        if capacity is not None and capacity < 2:
            msg = f"capacity must be at least 2 steps or None, got {capacity}: rules compare steps."
            raise UsageError(f"{msg} Leave it out for {DEFAULT_CAPACITY}.")
        self.capacity = capacity
        self._sites: dict[SiteKind, dict[str, int]] = {kind: {} for kind in get_args(SiteKind)}
        self._sites["run"][""] = 0
        self._names: dict[SiteKind, tuple[str, ...]] = {}
        self._columns: dict[str, Column] = {}
        self._first = self._last = -1
        both: dict[SiteKind, Any] = {"parameter": sites or (), "module": sites or ()}
        for kind, names in (sites if isinstance(sites, Mapping) else both).items():
            self.add_sites(kind, names)

    def __repr__(self) -> str:
        return f"History(steps {self.start} to {self.step}, {len(self.stats)} statistics)"

    # what is there

    @property
    def step(self) -> int:
        """The newest step measured, -1 before the first."""
        return self._last

    @property
    def first_step(self) -> int:
        """The first step ever measured, -1 before the first."""
        return self._first

    @property
    def start(self) -> int:
        """The oldest step that `window` still reaches."""
        if self.capacity is None:
            return max(self._first, 0)
        return max(self._first, self._last - self.capacity + 1, 0)

    @property
    def fresh(self) -> int:
        """The first step to judge: findings of earlier ones are known, they are only context."""
        return self.start

    @property
    def steps(self) -> Steps:
        """Every step from `start` to `step`: the rows of a full `window`."""
        return np.arange(self.start, self._last + 1, dtype=np.int64)

    @property
    def stats(self) -> tuple[str, ...]:
        """Names of the statistics that were measured at least once, in vocabulary order."""
        return tuple(name for name in STATS if name in self._columns)

    def __len__(self) -> int:
        return len(self.steps)

    def __contains__(self, stat: str) -> bool:
        return stat in self._columns

    def sites(self, stat: str) -> tuple[str, ...]:
        """The site names of a statistic's columns, in order."""
        return self.sites_of(declared(stat).kind)

    def sites_of(self, kind: SiteKind) -> tuple[str, ...]:
        """The site names of a kind, in order."""
        if len(self._names.get(kind, ())) != len(self._sites[kind]):
            self._names[kind] = tuple(self._sites[kind])
        return self._names.get(kind, ())

    # writing

    def add_sites(self, kind: SiteKind, names: Iterable[str]) -> None:
        """Every name in `names` is a site of `kind` from now on; known ones keep their place."""
        known = self._sites[kind]
        for name in names:
            known.setdefault(name, len(known))
        for stat, column in self._columns.items():
            if STATS[stat].kind == kind:
                column.widen(len(known))

    def append(
        self, step: int, stat: str, values: ArrayLike, sites: Sequence[str] | None = None
    ) -> None:
        """The values of `stat` at `step` are in the table.

        Args:
            step: the optimizer step, counted from 0.
            stat: a declared name of `STATS`.
            values: a number, or one per site; NaN leaves a site unmeasured.
            sites: which sites the values belong to; all sites of the kind in order if None.

        Raises:
            UnknownNameError: `stat` is not declared.
            UsageError: the number of values is not the number of sites, or `step` is negative.
        """
        kind = declared(stat).kind
        row = np.atleast_1d(np.asarray(values, dtype=np.float64))
        if step < 0 or row.ndim != 1:
            msg = f"append({stat!r}) takes a step from 0 on and a number or one vector over sites"
            raise UsageError(f"{msg}, got step {step} and an array of shape {row.shape}.")
        if sites is not None:
            row = self._spread(kind, stat, row, sites)
        elif not self._sites[kind]:
            self.add_sites(kind, (f"{kind}{index}" for index in range(len(row))))
        if len(row) != len(self._sites[kind]):
            msg = f"{stat} takes one value per {kind} site: expected {len(self._sites[kind])}, got"
            raise UsageError(
                f"{msg} {len(row)}. Pass sites=[...] to name those that were measured."
            )
        self._put(step, stat, row)

    def extend(self, stat: str, steps: Steps, rows: NDArray[np.floating]) -> None:
        """Many rows of `stat` are in the table, as if they had been appended one by one.

        Args:
            stat: a declared name of `STATS`.
            steps: the steps of the rows.
            rows: [rows, sites], over all sites of the kind in order.

        Raises:
            UnknownNameError: `stat` is not declared.
            UsageError: the shape is another one, or a step is negative.
        """
        expected = len(steps), len(self._sites[declared(stat).kind])
        if rows.shape != expected or (steps < 0).any():
            msg = f"extend({stat!r}) takes steps from 0 on and an array of shape {expected}"
            raise UsageError(f"{msg}, got one of shape {rows.shape}.")
        # What a bounded table forgets between two rows depends on their order.
        if self.capacity is not None and not (steps[1:] > steps[:-1]).all():
            for step, row in zip(steps, rows, strict=True):
                self._put(int(step), stat, row)
        elif len(steps):
            column = self._column(stat)
            column.extend(steps, rows)
            self._reach(column, int(steps.min()), int(steps.max()))

    def truncate(self, step: int) -> None:
        """Nothing from `step` on is left: the run was rolled back to it."""
        for stat in list(self._columns):
            self._columns[stat].drop_from(step)
            if not len(self._columns[stat].steps) and not len(self._columns[stat].head(1)[0]):
                del self._columns[stat]
        if self._last >= step:
            self._last = max((c.last_step for c in self._columns.values()), default=-1)
        self._first = self._first if self._last >= 0 else -1

    # reading

    def window(self, stat: str, steps: int | None = None) -> Floats:
        """The last `steps` steps of `stat`: [steps, sites], NaN where not measured.

        Fewer rows where the run is younger. A statistic that was never measured gives NaN.
        """
        start = self.start if steps is None else max(self.start, self._last - steps + 1)
        return self.between(stat, start, self._last + 1)

    def between(self, stat: str, start: int, stop: int) -> Floats:
        """The steps `start` to `stop` (not included) of `stat`: [stop - start, sites].

        Steps before `self.start` and after `self.step` were not measured as far as it goes.
        """
        kind = declared(stat).kind
        table = np.full((max(0, stop - start), len(self._sites[kind])), np.nan)
        column = self._columns.get(stat)
        if column is not None:
            steps, values = column.between(max(start, self.start), min(stop - 1, self._last))
            table[steps - start] = values
        return table

    def series(self, stat: str, steps: int | None = None) -> Floats:
        """`window` of a statistic of the whole run as one vector: [steps]."""
        return self.window(stat, steps)[:, 0]

    def measured(self, stat: str, rows: int | None = None) -> tuple[Steps, Floats]:
        """The last `rows` rows of `stat` that were measured: their steps, and [rows, sites]."""
        column = self._columns.get(stat)
        if column is None:
            return np.empty(0, dtype=np.int64), np.empty((0, len(self.sites(stat))))
        steps, values = column.between(self.start, self._last)
        first = 0 if rows is None else max(0, len(steps) - rows)
        return steps[first:].copy(), values[first:].astype(np.float64)

    def measured_steps(self, stat: str) -> Steps:
        """The steps in reach at which `stat` was measured, ascending."""
        column = self._columns.get(stat)
        if column is None:
            return np.empty(0, dtype=np.int64)
        return column.between(self.start, self._last)[0].copy()

    def head(self, stat: str, rows: int) -> tuple[Steps, Floats]:
        """The first `rows` rows of `stat` in the run (at most 64): their steps, [rows, sites]."""
        column = self._columns.get(stat)
        if column is None:
            return np.empty(0, dtype=np.int64), np.empty((0, len(self.sites(stat))))
        steps, values = column.head(rows)
        past = int(np.searchsorted(steps, self._last, side="right"))
        return steps[:past], values[:past]

    def tail(self, steps: int) -> History:
        """A copy that holds only the last `steps` steps."""
        sites: dict[SiteKind, tuple[str, ...]] = {k: tuple(n) for k, n in self._sites.items()}
        copy = History(sites, capacity=self.capacity)
        for stat in self.stats:
            copy.extend(stat, *self._columns[stat].between(self._last - steps + 1, self._last))
        return copy

    def to_arrow(self) -> Any:
        """The measured numbers as a `pyarrow.Table` with `step`, `stat`, `site` and `value`.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        from steadytrain.core.arrow import history_table

        return history_table(self)

    @property
    def num_bytes(self) -> int:
        """Memory the table holds."""
        return sum(column.num_bytes for column in self._columns.values())

    def next_step(self, step: int) -> int | None:
        """The first step from `step` on where anything was measured, None after the last."""
        found = (column.next_step(step) for column in self._columns.values())
        return min((step for step in found if step is not None), default=None)

    # inside

    def _spread(self, kind: SiteKind, stat: str, row: Floats, sites: Sequence[str]) -> Floats:
        if len(row) != len(sites):
            msg = f"{stat} got {len(row)} values for {len(sites)} sites: expected one each."
            raise UsageError(msg)
        self.add_sites(kind, sites)
        known = self._sites[kind]
        full = np.full(len(known), np.nan)
        full[[known[name] for name in sites]] = row
        return full

    def _put(self, step: int, stat: str, row: NDArray[np.floating]) -> None:
        column = self._column(stat)
        column.put(step, row)
        self._reach(column, step, step)

    def _column(self, stat: str) -> Column:
        column = self._columns.get(stat)
        if column is None:
            kind = STATS[stat].kind
            dtype = np.float64 if kind in ("run", "group") else np.float32
            column = self._columns[stat] = Column(len(self._sites[kind]), dtype)
        return column

    def _reach(self, column: Column, low: int, high: int) -> None:
        """The table goes from step `low` to `high` at least; a bounded one forgets."""
        self._first = low if self._first < 0 else min(self._first, low)
        self._last = max(self._last, high)
        if self.capacity is not None:
            column.drop_before(self._last - self.capacity + 1)
