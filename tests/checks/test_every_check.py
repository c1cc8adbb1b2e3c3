"""What holds for every check that is found, whoever wrote it."""

from __future__ import annotations

import inspect
import re

import pytest
from preflight_programs import classifier

import steadytrain as st
from steadytrain import engine
from steadytrain.checks._registry import known_checks, make_checks
from steadytrain.core.answer import STAGES
from steadytrain.core.causes import CAUSES, UNKNOWN
from steadytrain.core.check import SECTIONS
from steadytrain.core.errors import ConfigError
from steadytrain.core.finding import Severity
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, parts_of

CHECKS = known_checks()
NAMES = sorted(CHECKS)
every_check = pytest.mark.parametrize("name", NAMES)

FIRST_CHECKS = {
    "batch-dependence", "class-zero-unlearned", "first-step", "initial-loss", "label-encoding",
    "looks-ahead", "loss-direction", "loss-input", "output-range", "probabilities-for-logits",
    "shape-broadcast", "signal-flow", "silent-units", "summed-loss", "symmetric-units", "tiny-batch",
}  # fmt: skip


def test_the_first_checks_are_all_found():
    assert set(NAMES) >= FIRST_CHECKS


def test_codes_are_unique_and_no_rules():
    codes = [info.code for info in CHECKS.values()]
    assert len(set(codes)) == len(codes)
    assert not set(codes) & {info.code for info in engine.known_rules().values()}
    assert all(re.fullmatch(r"[A-Z]{3}[2-9]\d\d", code) for code in codes)


@every_check
def test_nominates_causes_of_the_vocabulary(name):
    assert CHECKS[name].causes
    assert set(CHECKS[name].causes) <= {*CAUSES, UNKNOWN}


@every_check
def test_documents_every_section_and_option(name):
    info = CHECKS[name]
    text = inspect.getsource(info.check)
    assert all(info.sections[title].strip() for title in SECTIONS)
    for option in info.options:
        assert re.search(rf'^    {option}: .*\n    """', text, re.MULTILINE), option


@every_check
def test_names_what_holds_in_a_full_sentence(name):
    assert CHECKS[name].summary.endswith(".")
    assert len(CHECKS[name].summary.split()) >= 5


@every_check
def test_refuses_an_option_that_it_does_not_have(name):
    with pytest.raises(ConfigError, match="no_such_option"):
        make_checks([name], options={name: {"no_such_option": 1}})


def test_the_checks_stand_in_the_order_of_the_ten_steps():
    stages = [info.stage for info in CHECKS.values()]
    assert stages == sorted(stages, key=list(STAGES).index)
    assert {"shapes", "outputs", "overfit", "start", "optimizer", "data"} <= set(stages)


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def diagnosis(request):
    program = parts_of(Case(architecture=request.param)).program()
    return st.preflight(program, quick=True, progress=False)


def test_nothing_is_found_in_a_healthy_program(diagnosis):
    serious = [one for one in diagnosis.findings if one.severity >= Severity.WARNING]
    assert serious == []
    assert diagnosis.healthy


def test_every_check_answers_with_what_it_saw(diagnosis):
    assert {answer.check for answer in diagnosis.answers} == set(NAMES)
    assert all(answer.seen.strip() for answer in diagnosis.answers)


def test_no_check_raises(diagnosis):
    assert [one.seen for one in diagnosis.answers if "itself raised" in one.seen] == []


def test_the_diagnosis_is_read_back_from_json(diagnosis):
    assert st.Diagnosis.from_json(diagnosis.to_json()) == diagnosis


@every_check
def test_says_no_more_of_a_program_that_cannot_take_a_step(name):
    program = classifier(loss_fn=lambda model, batch: model(batch[0][:, :2]).mean())
    diagnosis = st.preflight(program, select=[name], quick=True, progress=False)
    (answer,) = diagnosis.answers
    assert "itself raised" not in answer.seen
    assert (answer.verdict == "failed") == (name == "first-step")
