"""What holds for every rule that is found, whoever wrote it."""

from __future__ import annotations

import inspect
import itertools
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_histories import HOSTILE, LIVE_STATS, random_history, snapshot

from steadytrain import engine
from steadytrain.core.causes import CAUSES, FAMILIES, UNKNOWN
from steadytrain.core.errors import ConfigError
from steadytrain.core.history import History
from steadytrain.core.rule import MAX_LOOKBACK, SECTIONS

RULES = engine.known_rules()
NAMES = sorted(RULES)
every_rule = pytest.mark.parametrize("name", NAMES)

FIRST_RULES = {
    "clip-always-active", "dead-units", "divergence", "exploding-gradient", "loss-plateau",
    "loss-spike", "nonfinite-activation", "nonfinite-gradient", "nonfinite-loss",
    "nonfinite-parameter", "stale-gradients", "untrained-parameter", "update-ratio-too-large",
    "update-ratio-too-small", "vanishing-gradient",
}  # fmt: skip


def judge(name: str, history: History):
    return engine.judge(history, [RULES[name].rule()])


def test_the_first_rules_are_all_found():
    assert set(NAMES) >= FIRST_RULES


@every_rule
def test_fires_on_every_documented_example(name):
    assert RULES[name].fires_on
    for example in RULES[name].fires_on:
        assert {finding.rule for finding in judge(name, example)} == {name}


@every_rule
def test_stays_silent_on_every_documented_example(name):
    assert RULES[name].silent_on
    for example in RULES[name].silent_on:
        assert judge(name, example) == []


def test_codes_are_unique_and_name_a_family():
    codes = [info.code for info in RULES.values()]
    families = {"DAT", "INI", "LOS", "GRD", "ACT", "OPT", "PRE", "LOP", "DYN", "DST"}
    assert len(set(codes)) == len(codes)
    assert {code[:3] for code in codes} <= families
    assert all(re.fullmatch(r"[A-Z]{3}\d{3}", code) for code in codes)


@every_rule
def test_nominates_causes_of_the_vocabulary(name):
    spoken = [finding for example in RULES[name].fires_on for finding in judge(name, example)]
    nominated = set(RULES[name].causes).union(*(finding.causes for finding in spoken))
    assert RULES[name].causes
    assert nominated <= {*CAUSES, UNKNOWN}


@every_rule
def test_says_the_number_and_the_remedy_in_few_words(name):
    for example in RULES[name].fires_on:
        for finding in judge(name, example):
            assert re.search(r"\d", finding.message)
            assert finding.message.endswith(".")
            assert len(finding.message) < 420
            assert finding.evidence


@every_rule
def test_documents_every_section_and_option(name):
    info = RULES[name]
    text = inspect.getsource(info.rule)
    assert all(info.sections[title].strip() for title in SECTIONS)
    for option in info.options:
        assert re.search(rf'^    {option}: .*\n    """', text, re.MULTILINE), option


@every_rule
def test_looks_back_no_further_than_a_live_run_remembers(name):
    assert 0 <= RULES[name].rule().lookback <= MAX_LOOKBACK
    assert RULES[name].status in ("stable", "preview")


@every_rule
def test_refuses_options_that_cannot_mean_anything(name):
    for option, default in RULES[name].options.items():
        assert isinstance(default, int | float)
        for bad in (-1, float("nan")):
            with pytest.raises(ConfigError, match=option):
                engine.make_rules([name], options={name: {option: bad}})


@pytest.mark.parametrize("hostile", sorted(HOSTILE))
def test_no_rule_breaks_or_warns_on_a_hostile_history(hostile):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spoken = engine.judge(HOSTILE[hostile]())
    assert [f.message for f in spoken if f.rule == engine.BROKEN_RULE] == []
    assert all(np.isfinite(f.step) and f.message for f in spoken)


@pytest.mark.parametrize("hostile", ["empty", "all not measured"])
def test_no_rule_has_anything_to_say_where_nothing_was_measured(hostile):
    assert engine.judge(HOSTILE[hostile]()) == []


def talkative() -> engine.Judge:
    """A judge that lets every finding through, not only the news."""
    judge = engine.Judge()
    judge._repeat_after = dict.fromkeys(NAMES, 0)
    return judge


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_chunking_changes_no_finding_of_any_rule(seed, data):
    history = random_history(seed)
    whole = talkative().update(history)
    live, judge_live = History(capacity=1024), talkative()
    pieces, rows, at = [], snapshot(history), 0
    while at < len(rows):
        size = data.draw(st.sampled_from([1, 2, 7, 10, 64, 300]), label="chunk")
        for row in itertools.chain.from_iterable(rows[at : at + size]):
            live.append(*row)
        pieces += judge_live.update(live)
        at += size
    assert pieces == whole


def test_the_random_histories_give_most_rules_something_to_say():
    spoken = {finding.rule for seed in range(5) for finding in engine.judge(random_history(seed))}
    assert engine.BROKEN_RULE not in spoken
    assert len(spoken & set(NAMES)) >= 12, sorted(set(NAMES) - spoken)


@every_rule
def test_leaves_the_history_as_it_was(name):
    history = random_history(3)
    before = snapshot(history)
    judge(name, history)
    after = snapshot(history)
    assert repr(before) == repr(after)


@every_rule
def test_asks_only_for_statistics_that_exist(name):
    text = inspect.getsource(sys.modules[RULES[name].rule.__module__])
    asked = re.findall(r'history\.(?:between|measured|head|window|series|sites)\(\s*"(\w+)"', text)
    assert set(asked) <= set(LIVE_STATS)


def test_judging_needs_no_torch():
    code = (
        "import sys; from steadytrain import engine; engine.judge(__import__('steadytrain').History());"
        "assert len(engine.known_rules()) >= 15; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_family_of_causes_is_described():
    assert {cause.family for cause in CAUSES.values()} == set(FAMILIES)
    assert len({cause.code for cause in CAUSES.values()}) == len(CAUSES)
    assert all(cause.meaning.endswith(".") and np.size(cause.meaning) for cause in CAUSES.values())
