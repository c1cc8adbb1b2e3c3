import pytest

from steadytrain.core.causes import CAUSES
from steadytrain.core.stats import STATS
from steadytrain.engine import known_rules


@pytest.mark.parametrize("name", known_rules())
def test_every_rule_has_a_page_with_all_it_says(steadytrain, name):
    done = steadytrain("explain", name)
    assert done.status == 0
    assert known_rules()[name].code in done.out
    for heading in ("What it sees", "Fires on", "What to do", "Source", "Options"):
        assert heading in done.out


@pytest.mark.parametrize("name", [*list(CAUSES)[:3], *list(STATS)[:3]])
def test_causes_and_statistics_have_a_page(steadytrain, name):
    done = steadytrain("explain", name)
    assert done.status == 0
    assert name in done.out


@pytest.mark.parametrize("name", ["lr-too-high", "double-softmax", "missing-zero-grad"])
def test_a_cause_has_a_page_with_its_proof_and_its_fix(steadytrain, name):
    out = steadytrain("explain", name).out
    for heading in ("How it shows", "What proves it", "What refutes it", "The fix", "Nominated"):
        assert heading in out


def test_a_cause_as_json_has_what_its_file_says(steadytrain):
    entry = steadytrain("explain", "stale-optimizer-params", "--json").json["entries"][-1]
    assert entry["proofs"] == ["rebuild-optimizer"]
    assert "{site}" not in entry["fix"]


@pytest.mark.parametrize("spelling", ["DYN002", "dyn002", "loss_spike", "LOSS-SPIKE"])
def test_a_name_is_known_by_its_code_and_in_other_spellings(steadytrain, spelling):
    entries = steadytrain("explain", spelling, "--json").json["entries"]
    assert "loss-spike" in [entry["name"] for entry in entries]


def test_a_rule_and_a_cause_of_one_name_are_both_explained(steadytrain):
    entries = steadytrain("explain", "exploding-gradient", "--json").json["entries"]
    assert [entry["kind"] for entry in entries] == ["rule", "cause"]


def test_the_options_of_a_rule_are_explained(steadytrain):
    out = steadytrain("explain", "loss-spike").out
    assert "min_deviations = 8.0" in out
    assert "Robust standard deviations" in out


def test_an_unknown_name_suggests_the_nearest(steadytrain):
    done = steadytrain("explain", "los-spike")
    assert done.status == 2
    assert "Did you mean loss-spike" in done.err


def test_a_name_that_would_act_on_the_terminal_is_only_shown(steadytrain):
    done = steadytrain("explain", "\x1b[2J")
    assert "\x1b" not in done.err


def test_rules_lists_every_rule(steadytrain):
    out = steadytrain("rules").out
    assert all(name in out for name in known_rules())


def test_rules_as_json_has_options_and_causes(steadytrain):
    listed = {rule["name"]: rule for rule in steadytrain("rules", "--json").json["rules"]}
    assert listed.keys() == known_rules().keys()
    assert listed["loss-spike"]["options"]["min_deviations"] == 8.0
    assert "bad-batch" in listed["loss-spike"]["causes"]
