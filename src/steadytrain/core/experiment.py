"""What an experiment of the lab found, as plain data: tables, charts and claims held against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Cell = str | float | int | None
Verdict = Literal["holds", "contradicted", "not shown"]
ChartKind = Literal["line", "bar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table; numbers stay numbers, the renderer rounds them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line (or one set of bars) of a chart, with an optional band."""

    name: str
    x: tuple[float | str, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A titled chart of some series over one axis."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: ChartKind = "line"
    log_y: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement of a textbook or of ours, beside what was measured."""

    question: str
    expected: str
    measured: str
    verdict: Verdict
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The result of one experiment."""

    name: str
    title: str
    summary: str
    """One or two sentences on what was found."""
    data: str
    """Which data set was used, as one visible line."""
    settings: Mapping[str, Cell] = field(default_factory=dict[str, Cell])
    """Seeds, versions, machine class, steps, rates: what is needed to repeat it."""
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The experiment as JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Experiment:
        """The experiment that `to_json` wrote, also after a trip through a JSON file."""
        charts = tuple(
            replace(Chart(**chart), series=tuple(_series(line) for line in chart["series"]))
            for chart in data.get("charts", ())
        )
        tables = tuple(
            Table(
                title=table["title"],
                columns=tuple(table["columns"]),
                rows=tuple(tuple(row) for row in table["rows"]),
                note=table.get("note", ""),
            )
            for table in data.get("tables", ())
        )
        claims = tuple(Claim(**claim) for claim in data.get("claims", ()))
        plain = {name: data[name] for name in ("name", "title", "summary", "data")}
        settings = dict(data.get("settings", {}))
        return cls(**plain, settings=settings, claims=claims, tables=tables, charts=charts)


def _series(data: Mapping[str, Any]) -> Series:
    return Series(
        name=data["name"],
        **{part: tuple(data.get(part, ())) for part in ("x", "y", "low", "high")},
    )
