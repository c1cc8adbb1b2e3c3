"""Programs with a step of their own on one batch, single terms with a minus, draws by dropout."""

import pytest
import torch
from own_loop_programs import never_steps, right_step, with_step
from preflight_programs import answer, classifier, cross_entropy
from torch import nn

import steadytrain as st
from steadytrain.core.errors import ProgramError


def test_a_step_of_the_users_own_that_learns_passes():
    said = answer(with_step(right_step), "own-step-learns")
    assert (said.verdict, said.findings) == ("passed", ())


def test_a_step_of_the_users_own_that_learns_nothing_is_seen():
    said = answer(with_step(never_steps), "own-step-learns")
    assert said.verdict == "failed"
    assert "missing-optimizer-step" in said.findings[0].causes


def test_a_step_whose_loss_is_not_known_is_not_judged():
    def step(program, batch):
        loss = program.model(batch[0]).square().mean()
        program.optimizer.zero_grad()
        loss.backward()
        return loss.detach()

    assert answer(with_step(step), "own-step-learns").verdict == "not-applicable"


def test_the_canonical_step_is_asked_by_the_tiny_batch():
    assert answer(classifier(), "own-step-learns").verdict == "not-applicable"


def two_terms(sign):
    def loss_fn(model, batch):
        outputs = model(batch[0])
        second = nn.functional.mse_loss(outputs[:, 0], batch[2])
        return cross_entropy(model, batch) + sign * 0.1 * second

    program = classifier(loss_fn=loss_fn)
    program.batches = [(points, labels, points[:, 0]) for points, labels in program.batches]
    return program


@pytest.mark.parametrize(("sign", "verdict"), [(1, "passed"), (-1, "failed")])
def test_a_single_term_with_targets_of_the_data_and_a_minus_is_seen(sign, verdict):
    said = answer(two_terms(sign), "loss-direction")
    assert said.verdict == verdict
    assert verdict == "passed" or said.findings[0].evidence["term"] == "mse_loss"


def test_a_bonus_for_being_apart_may_have_a_minus():
    def loss_fn(model, batch):
        outputs = model(batch[0])
        apart = nn.functional.mse_loss(outputs, outputs.detach().roll(1, 0))
        return cross_entropy(model, batch) - 0.01 * apart

    assert answer(classifier(loss_fn=loss_fn), "loss-direction").verdict == "passed"


def drawing(*, times, model_mode=True):
    """A step that looks every fourth time, by draws of dropout or by one pass in the wrong mode."""

    def step(program, batch):
        if program.step % 4 == 3:
            program.model.train(model_mode)
            with torch.no_grad():
                for _ in range(times):
                    program.model(batch[0])
            program.model.train()
        return right_step(program, batch)

    program = with_step(step)
    program.model.insert(1, nn.Dropout(0.2))
    program.optimizer = torch.optim.Adam(program.model.parameters(), lr=1e-3)
    return program


@pytest.mark.parametrize(("times", "verdict"), [(1, "failed"), (8, "passed")])
def test_draws_of_dropout_are_told_from_a_forgotten_mode(times, verdict):
    assert answer(drawing(times=times), "training-mode-in-evaluation").verdict == verdict


def test_data_that_raise_are_one_error_and_not_one_note_per_check():
    def batches():
        yield from classifier(batches=2).batches
        raise OSError("disk gone")

    with pytest.raises(ProgramError, match="OSError at batch 2: disk gone"):
        st.preflight(classifier(data=batches()), quick=True, progress=False)
