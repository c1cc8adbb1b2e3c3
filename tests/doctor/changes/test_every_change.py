"""What holds of every change: it acts on its copy only, what it gives back trains, it is exact."""

import math

import pytest
import torch
from changed_programs import ALL, applied, digest, own_step, trained, zoo_program

from steadytrain.core.root_cause import known_root_causes
from steadytrain.doctor.change import PLACEBO, RERUN, known_changes

CHANGES = sorted(known_changes())
FEW = ("tabular", "gan")


def check(name, program):
    """The change applied twice and trained; None where it does not apply."""
    before = digest(program)
    changed = applied(name, program)
    if changed is None:
        assert digest(program) == before
        return False
    losses = trained(changed, steps=2)
    assert digest(program) == before
    again = applied(name, program)
    assert trained(again, steps=2).tolist() == pytest.approx(losses.tolist(), nan_ok=True, abs=0)
    assert digest_of_state(again) == digest_of_state(changed)
    assert all(map(math.isfinite, losses))
    return True


def digest_of_state(program):
    return [(n, v.tolist()) for n, v in program.model.state_dict().items()]


@pytest.mark.parametrize("name", CHANGES)
def test_leaves_the_program_alone_and_trains_the_same_twice(name):
    for architecture in FEW:
        check(name, zoo_program(architecture))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [one for one in ALL if one not in FEW])
def test_trains_on_every_architecture_it_applies_to(architecture):
    program = zoo_program(architecture)
    assert sum(check(name, program) for name in CHANGES) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mlp", "cnn", "lstm", "vit"])
def test_trains_under_a_step_of_the_users_own(architecture):
    program = zoo_program(architecture).copy()
    program.step_fn = own_step
    assert sum(check(name, program) for name in CHANGES) >= 20


@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_of_what_it_gives_back_trains_alike(name):
    changed = applied(name, zoo_program("tabular"))
    if changed is None:
        return
    twin = changed.copy()
    assert trained(twin, 2).tolist() == trained(changed, 2).tolist()


def test_some_cause_names_every_change():
    named = {
        change
        for cause in known_root_causes().values()
        for change in (*cause.proofs, *cause.refutations)
    }
    assert not set(CHANGES) - named - NAMED_BY_NONE


NAMED_BY_NONE = {"usual-rate"}
"""A change that is no single cause's: a person asks for it."""


def test_every_text_is_one_that_a_person_would_say():
    texts = [one.text for one in known_changes().values()]
    assert len(set(texts)) == len(texts)
    assert not [text for text in texts if not text[0].isalpha() or text.endswith(".")]


def test_the_names_of_the_engine_are_not_taken():
    assert not {PLACEBO, RERUN} & set(CHANGES)


def test_nothing_is_left_behind_in_torch():
    before = torch.get_rng_state()
    applied("float32", zoo_program("mlp"))
    assert torch.overrides._get_current_function_mode() is None
    assert torch.equal(before, torch.get_rng_state())
