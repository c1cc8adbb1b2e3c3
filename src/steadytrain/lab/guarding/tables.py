"""What came of the faults, as tables, a chart and claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from steadytrain.core.experiment import Cell, Chart, Claim, Series, Table
from steadytrain.lab.guarding.arms import GUARDED
from steadytrain.lab.guarding.injection import known_injections
from steadytrain.lab.guarding.one_run import MAX_EXTRA, MAX_RATIO, Outcome

Test = Callable[[Outcome], bool]


def tables(outcomes: Sequence[Outcome]) -> tuple[Table, ...]:
    """By arm and workload, by kind of fault, and every guarded run that did not pass."""
    return (_by_workload(outcomes), _by_kind(outcomes), _not_passed(outcomes))


def charts(outcomes: Sequence[Outcome]) -> tuple[Chart, ...]:
    """The share of runs that end as if there had been no fault."""
    workloads = tuple(_distinct(one.job.workload for one in outcomes))
    lines = tuple(
        Series(
            name=arm,
            x=workloads,
            y=tuple(
                _share([one for one in outcomes if _at(one, arm=arm, workload=place)])
                for place in workloads
            ),
        )
        for arm in arms_of(outcomes)
    )
    return (
        Chart(
            title="Runs that end as if there had been no fault",
            x_label="workload",
            y_label="share of runs",
            series=lines,
            kind="bar",
        ),
    )


def claims(outcomes: Sequence[Outcome]) -> tuple[Claim, ...]:
    """What people expect of clipping and of scalers, and what we expect of the guard."""
    arms = arms_of(outcomes)
    return (
        *(_protects(outcomes, arm) for arm in arms if arm not in GUARDED),
        *(claim for arm in arms if arm in GUARDED for claim in _guard_claims(outcomes, arm)),
    )


def arms_of(outcomes: Iterable[Outcome]) -> list[str]:
    """The arms, in the order they were run."""
    return _distinct(one.job.arm for one in outcomes)


def passed(outcomes: Iterable[Outcome]) -> str:
    """How many of the runs passed, as a fraction."""
    found = [one.has_passed for one in outcomes]
    return f"{sum(found)} of {len(found)}"


def _protects(outcomes: Sequence[Outcome], arm: str) -> Claim:
    runs = [one for one in outcomes if one.job.arm == arm]
    finite = sum(one.is_finite for one in runs)
    return Claim(
        question=f"Does a run survive what goes wrong with `{arm}`?",
        expected="yes: it is what loops are given against instability",
        measured=(
            f"{passed(runs)} end as without the fault; weights, buffers and averages are finite "
            f"in {finite}"
        ),
        verdict="holds" if all(one.has_passed for one in runs) else "contradicted",
    )


def _guard_claims(outcomes: Sequence[Outcome], arm: str) -> tuple[Claim, ...]:
    runs = [one for one in outcomes if one.job.arm == arm]
    finite = sum(one.is_finite for one in runs)
    worst = max((one.extra_fraction for one in runs), default=0.0)
    good = all(one.has_passed for one in runs)
    return (
        Claim(
            question=f"Is anything not finite at the end of a run with {arm}?",
            expected="never",
            measured=f"all of weights, buffers and averages finite in {finite} of {len(runs)}",
            verdict="holds" if finite == len(runs) else "contradicted",
        ),
        Claim(
            question=f"Does a run with {arm} end as if there had been no fault?",
            expected=(
                f"always: the cost at most {MAX_RATIO:g} of the run without it, at most "
                f"{MAX_EXTRA:.0%} of the steps done again, not given up"
            ),
            measured=f"{passed(runs)}; at most {worst:.1%} of the steps done again",
            verdict="holds" if good else "contradicted",
        ),
    )


def _by_workload(outcomes: Sequence[Outcome]) -> Table:
    workloads = _distinct(one.job.workload for one in outcomes)

    def row(arm: str) -> tuple[Cell, ...]:
        cells = [
            passed(one for one in outcomes if _at(one, arm=arm, workload=place))
            for place in workloads
        ]
        own = [one for one in outcomes if one.job.arm == arm]
        finite = sum(one.is_finite for one in own)
        return (arm, *cells, passed(own), f"{finite} of {len(own)}")

    return Table(
        title="Runs that end as if there had been no fault",
        columns=("step taken by", *workloads, "all", "all finite"),
        rows=tuple(row(arm) for arm in arms_of(outcomes)),
        note="Every fault under every seed; the reference is the same loop without the fault.",
    )


def _by_kind(outcomes: Sequence[Outcome]) -> Table:
    known, arms = known_injections(), arms_of(outcomes)

    def row(kind: str) -> tuple[Cell, ...]:
        found = [one for one in outcomes if one.job.kind == kind]
        cells = [passed(one for one in found if one.job.arm == arm) for arm in arms]
        guarded = [one for one in found if one.job.arm in GUARDED]
        actions = sorted({name for one in guarded for name, _ in one.events})
        return (kind, known[kind].at, *cells, ", ".join(actions) or "none needed")

    return Table(
        title="By kind of fault",
        columns=("fault", "strikes at", *arms, "what the guard did"),
        rows=tuple(row(kind) for kind in _distinct(one.job.kind for one in outcomes)),
    )


def _not_passed(outcomes: Sequence[Outcome]) -> Table:
    rows = tuple(
        (
            one.job.arm,
            one.job.kind,
            one.job.workload,
            one.job.seed,
            "finite" if one.is_finite else "not finite",
            f"{one.ratio:.3f}",
            f"{one.extra_fraction:.1%}",
            "" if one.has_ended else "given up",
        )
        for one in outcomes
        if one.job.arm in GUARDED and not one.has_passed
    )
    return Table(
        title="Guarded runs that did not pass",
        columns=(
            "step taken by",
            "fault",
            "workload",
            "seed",
            "state",
            "cost ratio",
            "done again",
            "end",
        ),
        rows=rows,
    )


def _at(one: Outcome, *, arm: str, workload: str) -> bool:
    return one.job.arm == arm and one.job.workload == workload


def _share(outcomes: Sequence[Outcome]) -> float | None:
    if not outcomes:
        return None
    return sum(one.has_passed for one in outcomes) / len(outcomes)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
