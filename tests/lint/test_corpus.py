"""Mistakes are found and idioms are not taken for mistakes."""

from functools import cache

import pytest
from lint_corpus import expected, files

from steadytrain.core.finding import Severity
from steadytrain.lint import lint_source
from steadytrain.lint._linter import known_checks

MIN_RATE = 0.95


@cache
def found(path):
    return lint_source(path.read_text(encoding="utf-8"), path.name)


def spoken(path):
    """What is said at warning level, and the notes that were expected."""
    names = expected(path)
    return {f.name for f in found(path) if f.severity >= Severity.WARNING or f.name in names}


def test_the_corpus_is_large_enough():
    assert len(files("faulty")) >= 100
    assert len(files("faulty")) + len(files("healthy")) >= 150
    assert len(files("scripts")) >= 25


def test_every_faulty_file_says_what_is_wrong_with_it():
    assert all(expected(path) and expected(path) <= set(known_checks()) for path in files("faulty"))
    assert not any(expected(path) for path in [*files("healthy"), *files("scripts")])


def test_every_check_has_a_faulty_file():
    assert set(known_checks()) == {name for path in files("faulty") for name in expected(path)}


def test_precision_and_recall():
    every = [*files("faulty"), *files("healthy")]
    right = sum(len(expected(path) & spoken(path)) for path in every)
    said = sum(len(spoken(path)) for path in every)
    wanted = sum(len(expected(path)) for path in every)
    wrong = {path.name: expected(path) ^ spoken(path) for path in every}
    assert right / wanted >= MIN_RATE, wrong
    assert right / said >= MIN_RATE, wrong


@pytest.mark.parametrize("path", files("faulty"), ids=lambda path: path.stem)
def test_finds_what_is_wrong_and_nothing_else(path):
    assert spoken(path) == expected(path)


@pytest.mark.parametrize("path", files("healthy"), ids=lambda path: path.stem)
def test_warns_of_no_idiom(path):
    assert spoken(path) == set()


@pytest.mark.parametrize("path", files("scripts"), ids=lambda path: path.stem)
def test_warns_of_nothing_in_a_script_in_a_well_known_style(path):
    assert spoken(path) == set()


def test_a_comment_between_or_another_name_changes_nothing():
    """The same mistake under other names, as a guard against checks that know the corpus."""
    text = (
        "import torch as t\nimport torch.nn.functional as fn\n"
        "classifier = t.nn.Linear(4, 3)\nsolver = t.optim.Adagrad(classifier.parameters())\n"
        "for a, b in pairs:\n    # a comment\n    cost = fn.cross_entropy(classifier(a), b)\n"
        "    cost.backward()\n    solver.step()\n"
    )
    assert [f.name for f in lint_source(text)] == ["missing-zero-grad"]
    assert lint_source(text + "    solver.zero_grad()\n") == []
