"""From measurements to findings: the only two ways.

`judge` says what the rules see in a history, `replay` does the same for a saved run. Both go
through `Judge`, which a live run feeds piece by piece. A rule that raises is muted and becomes
a finding itself: it never ends a run and never silences the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from os import PathLike
from typing import Any, Final, cast

import numpy as np
from numpy.typing import ArrayLike

from steadytrain.core.discovery import Broken, marked
from steadytrain.core.errors import ConfigError, UnknownNameError, UsageError
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import Rule, RuleInfo, info_of
from steadytrain.core.stats import SiteKind

CHUNK: Final = 4096
"""Steps judged at once: bounds the memory of a long replay."""

BROKEN_RULE: Final = "broken-rule"


@cache
def _found() -> tuple[dict[str, object], list[Broken]]:
    return marked("steadytrain.rules", "steadytrain.rules", "__rule__")


def known_rules() -> dict[str, RuleInfo]:
    """Every rule in the folder and from entry points, by name."""
    return {name: info_of(cast("type[Any]", rule)) for name, rule in sorted(_found()[0].items())}


def broken_rules() -> list[Broken]:
    """Rules of other packages that could not be loaded."""
    return list(_found()[1])


def make_rules(
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Rule]:
    """The chosen rules, built with their options.

    Args:
        select: names, codes or code families (`GRD`); all rules if None.
        ignore: names, codes or families to leave out.
        options: option values by rule name.

    Raises:
        UnknownNameError: no rule has that name, code or family.
        ConfigError: a rule has no such option, or refuses its value.
    """
    infos = known_rules()
    chosen = set(infos) if select is None else _names(select, infos)
    chosen -= _names(ignore, infos)
    for name in options or {}:
        _names([name], infos)
    return [_build(infos[name], dict((options or {}).get(name, {}))) for name in sorted(chosen)]


def _names(wanted: Iterable[str], infos: Mapping[str, RuleInfo]) -> set[str]:
    names: set[str] = set()
    for word in wanted:
        match = {n for n, i in infos.items() if word in (n, i.code, i.code.rstrip("0123456789"))}
        if not match:
            raise UnknownNameError.build("rule", word, infos)
        names |= match
    return names


def _build(info: RuleInfo, options: dict[str, Any]) -> Rule:
    unknown = sorted(set(options) - set(info.options))
    if unknown:
        known = ", ".join(info.options) or "none"
        msg = f"rule {info.name!r} has no option {unknown[0]!r}: its options are {known}."
        raise ConfigError(msg)
    try:
        return info.rule(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"rule {info.name!r} refuses its options {options}: {error}") from error


class Judge:
    """Feeds rules with a growing history and speaks once of each thing.

    Args:
        rules: the rules to ask; every known one at its defaults if None.

    Example:
        >>> history = History()
        >>> for step in range(60):
        ...     history.append(step, "loss", 2.0)
        >>> Judge().update(history)
        []
    """

    def __init__(self, rules: Sequence[Rule] | None = None) -> None:
        self.rules = list(make_rules() if rules is None else rules)
        self._repeat_after = {info_of(r).name: info_of(r).repeat_after for r in self.rules}
        self._muted: set[str] = set()
        self._next = 0
        self._last_seen: dict[str, int] = {}
        self._last_severity: dict[str, Severity] = {}

    def update(self, history: History) -> list[Finding]:
        """The new findings of the steps that were not judged yet, in order of step."""
        findings: list[Finding] = []
        start = max(self._next, history.start)
        while start <= history.step:
            stop = min(start + CHUNK, history.step + 1)
            findings += self._judge(history, start, stop)
            start = stop if stop > history.step else history.next_step(stop) or stop
        self._next = max(self._next, history.step + 1)
        return findings

    def rewind(self, step: int) -> None:
        """Steps from `step` on will be judged anew: the run was rolled back to it.

        What was said of the steps that no longer count is news if it is seen again.
        """
        self._next = min(self._next, step)
        for name in [name for name, last in self._last_seen.items() if last >= step]:
            del self._last_seen[name]

    def _judge(self, history: History, start: int, stop: int) -> list[Finding]:
        found: list[tuple[int, int, Finding]] = []
        for order, rule in enumerate(self.rules):
            name = info_of(rule).name
            if name in self._muted:
                continue
            try:
                view = HistoryView(history, start - rule.lookback, start, stop)
                with np.errstate(all="ignore"):  # measurements may be anything; rules look
                    said = list(rule.check(view))
                found += [(f.step, order, f) for f in said if start <= f.step < stop]
            except Exception as error:  # the one boundary: a rule must not end a run
                self._muted.add(name)
                found.append((stop - 1, order, _broken(name, error, stop - 1)))
        found.sort(key=lambda item: item[:2])
        return [finding for _, _, finding in found if self._is_news(finding)]

    def _is_news(self, finding: Finding) -> bool:
        """Whether the rule has been silent long enough, or speaks louder than before."""
        repeat_after = self._repeat_after.get(finding.rule, 0)
        last = self._last_seen.get(finding.rule)
        loudest = self._last_severity.get(finding.rule, Severity.NOTE)
        self._last_seen[finding.rule] = finding.step
        news = last is None or finding.step - last > repeat_after or finding.severity > loudest
        if news:
            self._last_severity[finding.rule] = finding.severity
        return news


class HistoryView(History):
    """The steps `start` to `stop` of another history, without a copy; it cannot be written.

    Args:
        history: the measurements.
        start: the oldest step that can be read.
        fresh: the first step to judge.
        stop: the first step that cannot be read.
    """

    def __init__(self, history: History, start: int, fresh: int, stop: int) -> None:
        self.capacity = None
        self._sites = history._sites
        self._names = history._names
        self._columns = history._columns
        self._first = history._first
        self._last = stop - 1
        self._start = max(start, history.start)
        self._fresh = fresh

    @property
    def start(self) -> int:
        return self._start

    @property
    def fresh(self) -> int:
        return self._fresh

    def add_sites(self, kind: SiteKind, names: Iterable[str]) -> None:
        raise _read_only(f"add_sites({kind!r}, {names})")

    def append(
        self, step: int, stat: str, values: ArrayLike, sites: Sequence[str] | None = None
    ) -> None:
        raise _read_only(f"append({step}, {stat!r}, {values}, {sites})")

    def truncate(self, step: int) -> None:
        raise _read_only(f"truncate({step})")


def _read_only(call: str) -> UsageError:
    return UsageError(f"a rule reads the history and cannot call {call}: yield findings instead.")


def _broken(name: str, error: Exception, step: int) -> Finding:
    return Finding(
        rule=BROKEN_RULE,
        code="LOP000",
        severity=Severity.NOTE,
        step=step,
        message=f"The rule {name!r} raised {type(error).__name__}: {error}. "
        "It is muted for the rest of this run; the other rules go on.",
        evidence={"muted_rule": name},
    )


def judge(history: History, rules: Sequence[Rule] | None = None) -> list[Finding]:
    """What the rules see in `history`, in order of step.

    Args:
        history: the measurements; left as they are.
        rules: every known rule at its defaults if None.

    Raises:
        UsageError: `history` is none.
    """
    if not isinstance(cast("object", history), History):
        msg = f"judge(history): got {type(history).__name__}, expected steadytrain.History"
        raise UsageError(f"{msg}: pass watch.history, or replay a run directory.")
    return Judge(rules).update(history)


def replay(
    run: str | PathLike[str] | History, rules: Sequence[Rule] | None = None
) -> list[Finding]:
    """Judge a saved run again: the findings it had live, or those of other rules. No torch.

    Args:
        run: a run directory, or a history.
        rules: every known rule at its defaults if None.

    Raises:
        RunNotFoundError: there is no run at the path.
        RunVersionError: it was written by another schema version.
        UsageError: `run` is neither.
    """
    if isinstance(run, History):
        return judge(run, rules)
    if not isinstance(cast("object", run), str | PathLike):
        msg = f"replay(run): got {type(run).__name__}, expected a run directory or a History"
        raise UsageError(f"{msg}: pass the path that was given as run_dir.")
    from steadytrain.store.reader import read_run

    return judge(read_run(run).history, rules)
