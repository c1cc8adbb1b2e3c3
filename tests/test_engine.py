from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from steadytrain import engine
from steadytrain.core.errors import ConfigError, UnknownNameError, UsageError
from steadytrain.core.finding import Severity
from steadytrain.core.history import History
from steadytrain.core.rule import RuleInfo, state


def info(name: str, repeat_after: int = 0) -> RuleInfo:
    return RuleInfo(
        name=name, code="DYN900", causes=("bad-batch",), status="preview",
        repeat_after=repeat_after, rule=object, summary="", sections={},
    )  # fmt: skip


@dataclass(frozen=True)
class Above:
    """Speaks of every step whose loss is above 1, reading as far as it may."""

    lookback: int = 3

    def check(self, history, /):
        for step in range(history.start, history.step + 1):
            value = history.between("loss", step, step + 1)[0, 0]
            if value > 1:
                loud = Severity.CRITICAL if value > 9 else Severity.WARNING
                yield state(self, step=step, severity=loud, message=str(value))


Above.__rule__ = info("above")


@dataclass(frozen=True)
class Patient(Above):
    pass


Patient.__rule__ = info("patient", repeat_after=10)


@dataclass(frozen=True)
class Broken(Above):
    def check(self, history, /):
        yield from super().check(history)
        if history.step >= 5:
            raise ZeroDivisionError("no spread")


Broken.__rule__ = info("broken")


@dataclass(frozen=True)
class Writing(Above):
    def check(self, history, /):
        history.append(history.step + 1, "loss", 0.0)
        yield from ()


Writing.__rule__ = info("writing")


def losses(*values: float) -> History:
    history = History()
    for step, value in enumerate(values):
        history.append(step, "loss", value)
    return history


def steps(findings) -> list[int]:
    return [finding.step for finding in findings]


def test_each_step_is_judged_once_however_far_the_rule_looks_back():
    history, judge, said = History(), engine.Judge([Above()]), []
    for step in range(20):
        history.append(step, "loss", 2.0)
        said += judge.update(history)
    assert steps(said) == list(range(20))


def test_a_rule_that_raises_is_muted_said_and_hides_no_other():
    said = engine.Judge([Broken(), Above()]).update(losses(*[2.0] * 8))
    assert [f.rule for f in said if f.step == 7] == ["broken-rule", "above"]
    assert (
        "ZeroDivisionError: no spread" in next(f for f in said if f.rule == "broken-rule").message
    )
    assert steps(f for f in said if f.rule == "above") == list(range(8))


def test_a_muted_rule_stays_muted():
    history, judge = losses(*[2.0] * 8), engine.Judge([Broken()])
    judge.update(history)
    history.append(8, "loss", 2.0)
    assert judge.update(history) == []


def test_the_same_thing_is_news_only_after_a_silence_or_when_it_is_louder():
    history = losses(2, 2, 2, 10, 2, 10, *[0] * 12, 2)
    said = engine.judge(history, [Patient()])
    assert [(f.step, f.severity.name) for f in said] == [
        (0, "WARNING"),
        (3, "CRITICAL"),
        (18, "WARNING"),
    ]


def test_after_a_rollback_the_steps_are_judged_anew():
    history, judge = losses(0, 0, 2, 0), engine.Judge([Patient()])
    assert steps(judge.update(history)) == [2]
    history.truncate(1)
    judge.rewind(1)
    for step in (1, 2, 3):
        history.append(step, "loss", 2.0)
    assert steps(judge.update(history)) == [1]


def test_a_rule_cannot_write_into_the_history():
    history = losses(1, 2, 3)
    said = engine.judge(history, [Writing()])
    assert "cannot call append" in said[0].message
    assert history.step == 2
    view = engine.HistoryView(history, 0, 0, 3)
    with pytest.raises(UsageError, match="truncate"):
        view.truncate(0)
    with pytest.raises(UsageError, match="add_sites"):
        view.add_sites("module", ["a"])


def test_a_view_shows_nothing_of_other_steps():
    history = losses(*range(20))
    view = engine.HistoryView(history, 5, 8, 12)
    assert (view.start, view.fresh, view.step) == (5, 8, 11)
    assert view.series("loss").tolist() == list(range(5, 12))
    assert np.isnan(view.between("loss", 0, 5)).all()
    assert np.isnan(view.between("loss", 12, 20)).all()
    assert view.head("loss", 64)[0].tolist() == list(range(12))


def test_a_long_gap_is_not_walked_through():
    history = History(capacity=None)
    for step in (0, 1, 2**40):
        history.append(step, "loss", 2.0)
    assert steps(engine.judge(history, [Above(lookback=0)])) == [0, 1, 2**40]


def test_a_run_longer_than_one_chunk_is_judged_whole():
    history = losses(*[2.0] * 20)
    history = History(capacity=None)
    for step in range(engine.CHUNK + 10):
        history.append(step, "loss", 2.0 if step % 1000 == 0 else 0.0)
    assert steps(engine.judge(history, [Above()])) == [0, 1000, 2000, 3000, 4000]


def test_arithmetic_of_a_rule_warns_nobody():
    @dataclass(frozen=True)
    class Dividing(Above):
        def check(self, history, /):
            np.array([1.0]) / np.array([0.0])
            yield from ()

    Dividing.__rule__ = info("dividing")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine.judge(losses(1.0), [Dividing()]) == []


def test_rules_are_chosen_by_name_code_or_family():
    def chosen(**words):
        return {type(r).__rule__.name for r in engine.make_rules(**words)}

    assert chosen(select=["loss-spike"]) == {"loss-spike"}
    assert chosen(select=["DYN002"]) == {"loss-spike"}
    assert "exploding-gradient" in chosen(select=["GRD"])
    assert "loss-spike" not in chosen(ignore=["DYN"])
    assert len(chosen()) == len(engine.known_rules())


def test_what_no_rule_is_called_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="loss-spike"):
        engine.make_rules(["loss-spikes"])
    with pytest.raises(UnknownNameError, match="rule"):
        engine.make_rules(options={"no-such": {}})


def test_options_are_checked_when_a_rule_is_built():
    with pytest.raises(ConfigError, match="min_deviations"):
        engine.make_rules(["loss-spike"], options={"loss-spike": {"deviations": 3}})
    with pytest.raises(ConfigError, match="refuses"):
        engine.make_rules(["loss-spike"], options={"loss-spike": {"window": 1}})
    rule = engine.make_rules(["loss-spike"], options={"loss-spike": {"window": 100}})[0]
    assert rule.lookback < 200


def test_a_history_is_replayed_as_it_was_judged():
    history = losses(0, 2, 0)
    assert engine.replay(history, [Above()]) == engine.judge(history, [Above()])


@pytest.mark.parametrize("wrong", [None, 3, [1.0, 2.0]])
def test_what_holds_no_measurements_is_refused(wrong):
    with pytest.raises(UsageError, match=r"replay\(run\): got .* expected a run directory"):
        engine.replay(wrong)
    with pytest.raises(UsageError, match=r"judge\(history\): got .* expected steadytrain.History"):
        engine.judge(wrong)
