"""What the preflight promises whatever the checks say."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy, digest, same
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steadytrain as st
from steadytrain.checks import _preflight, _registry
from steadytrain.checks._preflight import answer_of
from steadytrain.checks._scene import Scene
from steadytrain.core.check import Unseen, check, passed
from steadytrain.core.errors import ProgramError, UnknownNameError, UsageError
from steadytrain.lab.zoo.case import ARCHITECTURES, Case, parts_of


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_changes_no_bit_of_the_program(architecture):
    program = parts_of(Case(architecture=architecture, seed=1)).program()
    before = digest(program)
    st.preflight(program, quick=True, progress=False)
    assert same(digest(program), before)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_changes_no_bit_of_the_program_with_the_slow_checks(architecture):
    program = parts_of(Case(architecture=architecture, seed=2)).program()
    before = digest(program)
    st.preflight(program, progress=False)
    assert same(digest(program), before)


def test_changes_nothing_when_the_programs_own_code_raises_in_the_middle():
    def loss_fn(model, batch):
        model.eval()
        random.random()
        np.random.rand()
        cross_entropy(model, batch).backward()
        raise RuntimeError("in the middle")

    program = classifier(loss_fn=loss_fn)
    before = digest(program)
    diagnosis = st.preflight(program, quick=True, progress=False)
    assert not diagnosis.healthy
    assert same(digest(program), before)


def test_changes_nothing_when_the_data_raise():
    def batches():
        yield from classifier().batches
        raise OSError("disk gone")

    program = classifier(data=batches())
    before = digest(program)
    with pytest.raises(ProgramError, match="OSError at batch 4: disk gone"):
        Scene(program).batches(8)
    assert same(digest(program), before)


def test_a_loaders_order_is_as_if_it_had_not_been_read():
    def loader():
        data = TensorDataset(torch.randn(32, 4, generator=torch.Generator().manual_seed(0)))
        return DataLoader(data, batch_size=8, shuffle=True)

    def loss_fn(model, batch):
        return model(batch[0]).square().mean()

    orders = []
    for is_checked in (False, True):
        program = classifier(data=loader(), loss_fn=loss_fn)
        torch.manual_seed(5)
        if is_checked:
            st.preflight(program, quick=True, progress=False)
        orders.append(torch.cat([batch[0] for batch in program.batches]))
    assert torch.equal(*orders)


def test_a_one_shot_iterator_still_has_all_of_its_batches():
    own = classifier().batches
    program = classifier(data=iter(own))
    st.preflight(program, quick=True, progress=False)
    assert len(list(program.batches)) == len(own)


def test_a_step_of_the_users_own_is_tried_on_copies_of_everything():
    program = classifier()
    program.extra["second"] = torch.optim.SGD(program.model.parameters(), lr=0.1)
    program.extra["teacher"] = nn.Linear(4, 3)

    def step_fn(program, batch):
        loss = cross_entropy(program.model, batch)
        loss.backward()
        program.optimizer.step()
        program.extra["second"].step()
        program.extra["teacher"].weight.data.zero_()
        program.optimizer.zero_grad()
        return loss.detach()

    program.step_fn, program.loss_fn = step_fn, None
    before, teacher = digest(program), program.extra["teacher"].weight.clone()
    diagnosis = st.preflight(program, quick=True, progress=False)
    assert same(digest(program), before)
    assert torch.equal(teacher, program.extra["teacher"].weight)
    assert any(one.verdict == "passed" for one in diagnosis.answers)


def test_refuses_a_loss_that_uses_the_model_from_outside():
    program = classifier()
    net = program.model
    program.loss_fn = lambda model, batch: cross_entropy(net, batch)
    with pytest.raises(ProgramError, match="by the name 'net'"):
        st.preflight(program, progress=False)


def test_takes_a_method_whose_object_holds_the_model():
    class Trainer:
        def __init__(self, model):
            self.model = model

        def loss(self, model, batch):
            assert self.model is model
            return cross_entropy(self.model, batch)

    program = classifier()
    program.loss_fn = Trainer(program.model).loss
    before = digest(program)
    assert answer(program, "first-step").verdict == "passed"
    assert same(digest(program), before)


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("cannot be copied")


def make_uncopied(seed):
    program = classifier()
    program.model.append(Uncopied(3, 3))
    program.optimizer = torch.optim.Adam(program.model.parameters())
    return program


def test_builds_the_program_anew_where_it_cannot_be_copied():
    program = st.Program.from_factory(make_uncopied)
    with torch.no_grad():
        program.model[-1].weight.fill_(0.25)
    with Scene(program).trial() as trial:
        assert torch.equal(trial.model[-1].weight, program.model[-1].weight)
        assert trial.model is not program.model


def test_says_what_to_do_where_there_is_neither_copy_nor_factory():
    program = make_uncopied(0)
    with pytest.raises(ProgramError, match=r"Program\.from_factory"):
        st.preflight(program, progress=False)


def test_says_that_a_model_on_meta_has_no_values():
    program = classifier()
    program.model.to("meta")
    with pytest.raises(ProgramError, match="to_empty"):
        st.preflight(program, progress=False)


def test_says_that_there_is_no_batch():
    class Empty:
        def __iter__(self):
            return iter(())

    with pytest.raises(ProgramError, match="no batch"):
        st.preflight(classifier(data=Empty()), progress=False)


def test_takes_data_that_end_after_one_batch():
    diagnosis = st.preflight(classifier(batches=1), quick=True, progress=False)
    assert {one.verdict for one in diagnosis.answers} == {"passed", "not-applicable"}


def test_refuses_what_is_no_program_and_what_is_no_check():
    with pytest.raises(UsageError, match=r"expected steadytrain\.Program"):
        st.preflight(nn.Linear(2, 2))
    with pytest.raises(UnknownNameError, match="initial-loss"):
        st.preflight(classifier(), select=["intial-loss"], progress=False)


@pytest.mark.parametrize("word", ["label-encoding", "DAT201", "DAT", "shapes"])
def test_checks_are_chosen_by_name_code_family_and_step(word):
    diagnosis = st.preflight(classifier(), select=[word], quick=True, progress=False)
    assert "label-encoding" in {one.check for one in diagnosis.answers}
    left = st.preflight(classifier(), ignore=[word], quick=True, progress=False)
    assert "label-encoding" not in {one.check for one in left.answers}


@pytest.fixture
def own_check(monkeypatch):
    """Makes a check of a function of the scene."""
    sections = "".join(f"\n## {title}\nSomething.\n" for title in check.__globals__["SECTIONS"])

    def make(judge):
        @dataclass(frozen=True)
        class Own:
            def judge(self, scene):
                return judge(self, scene)

        monkeypatch.setattr("inspect.getdoc", lambda _: f"A check of a test.\n{sections}")
        return check(code="LOS299", causes=("unknown",), stage="start")(Own)()

    return make


def test_a_check_that_raises_is_muted_and_said(own_check):
    scene = Scene(classifier())
    muted = answer_of(own_check(lambda *_: 1 / 0), scene)
    assert muted.verdict == "not-applicable"
    assert "ZeroDivisionError" in muted.findings[0].message
    assert muted.findings[0].severity == st.Severity.NOTE


def test_a_check_that_sees_nothing_does_not_apply(own_check):
    def judge(own, scene):
        raise Unseen("too dark")

    said = answer_of(own_check(judge), Scene(classifier()))
    assert (said.verdict, said.seen, said.findings) == ("not-applicable", "too dark", ())


def test_every_trial_begins_with_the_same_weights_and_random_numbers(own_check):
    def draw(scene):
        with scene.trial() as trial:
            trial.step(scene.batch())
            return torch.rand(3).tolist(), trial.model[0].weight.sum().item()

    scene = Scene(classifier())
    assert draw(scene) == draw(scene)
    assert answer_of(own_check(lambda own, _: passed(own, "well", 1.0)), scene).number == 1.0


def test_the_progress_is_told_to_a_function():
    told = []
    st.preflight(classifier(), select=["shapes"], progress=lambda *report: told.append(report))
    assert told[-1][0] == told[-1][1] == len(told) - 1


def test_quick_leaves_out_what_trains():
    slow = [name for name, info in _registry.known_checks().items() if info.slow]
    assert slow
    diagnosis = st.preflight(classifier(), select=slow, quick=True, progress=False)
    assert {one.verdict for one in diagnosis.answers} == {"not-applicable"}


def test_a_failure_makes_causes_and_a_sentence():
    program = classifier(tail=(nn.Softmax(dim=-1),))
    diagnosis = st.preflight(program, select=["outputs"], progress=False)
    assert not diagnosis.healthy
    assert diagnosis.causes[0].name == "double-softmax"
    assert diagnosis.causes[0].site == "3"
    assert "probabilities-for-logits" in diagnosis.summary
    assert _preflight.diagnosis_of(diagnosis.answers) == diagnosis
