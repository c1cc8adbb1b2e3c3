"""What holds of every root cause: its page is whole, its trial exists, its fix can be followed."""

import importlib
import pkgutil
import re

import pytest

import steadytrain
from steadytrain.core.causes import CAUSES
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.root_cause import SECTIONS, known_root_causes, root_cause, root_cause_named
from steadytrain.doctor.change import PLACEBO, RERUN, known_changes

CODE = re.compile(r"\w\(|\w=|\w\.\w|_|\d")
"""A call, an argument, a path or a number: something to type."""


def names_in(room):
    files = pkgutil.iter_modules([f"{steadytrain.__path__[0]}/{room}"])
    return {file.name.replace("_", "-") for file in files if not file.name.startswith("_")}


def test_every_word_of_the_vocabulary_has_its_file():
    assert known_root_causes().keys() == CAUSES.keys() == names_in("causes")


@pytest.mark.parametrize("cause", known_root_causes().values(), ids=lambda cause: cause.name)
def test_says_everything_in_its_own_words(cause):
    assert list(cause.sections) == list(SECTIONS)
    assert cause.code == CAUSES[cause.name].code
    said = [" ".join(cause.sections[title].split()) for title in SECTIONS]
    assert len(set(said)) == len(said)
    assert all(text.endswith((".", ")")) for text in said)


@pytest.mark.parametrize("cause", known_root_causes().values(), ids=lambda cause: cause.name)
def test_its_trials_are_changes_that_exist(cause):
    tried = (*cause.proofs, *cause.refutations)
    assert not set(tried) - known_changes().keys() - {PLACEBO, RERUN}
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize("cause", known_root_causes().values(), ids=lambda cause: cause.name)
def test_is_nominated_by_names_that_exist(cause):
    assert not cause.nominations.keys() - names_in("rules") - names_in("checks") - names_in("lint")


@pytest.mark.parametrize("cause", known_root_causes().values(), ids=lambda cause: cause.name)
def test_its_fix_is_something_to_type(cause):
    assert len(cause.fix) > 40
    assert "{" not in cause.fix.replace("{site}", "")
    assert CODE.search(cause.fix.replace("{site}", "")) or cause.name in SAID_IN_WORDS


SAID_IN_WORDS = {"bad-batch", "healthy", "overfitting", "underfitting-capacity", "hardware-fault"}
"""Nothing to type: what is to be done is outside the program."""


def test_only_what_no_change_repairs_has_no_trial():
    without = {name for name, cause in known_root_causes().items() if not cause.proofs}
    assert without == {"healthy", "label-noise", "overfitting", "rank-data-duplicate"}


def test_a_cause_outside_the_vocabulary_is_refused():
    with pytest.raises(UnknownNameError, match="lr-too-odd"):
        root_cause("causes.lr_too_odd", "", nominations={}, proofs=("lr-tenth",), fix="x")


def test_a_page_with_a_missing_section_is_refused():
    with pytest.raises(UsageError, match="What it is"):
        root_cause("causes.lr_too_high", "Short.", nominations={}, proofs=("lr-tenth",), fix="x")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="lr-too-high"):
        root_cause_named("lr-to-high")


@pytest.mark.parametrize("cause", known_root_causes().values(), ids=lambda cause: cause.name)
def test_what_its_fix_names_of_this_package_is_there(cause):
    for path in re.findall(r"steadytrain((?:\.\w+)+)", cause.fix):
        found = steadytrain
        for name in path.strip(".").split("."):
            found = getattr(importlib.import_module(found.__name__), name, None) or (
                importlib.import_module(f"{found.__name__}.{name}")
            )
