"""What the checks of the training loop say of loops that are right, and of each that is not."""

from functools import partial

import pytest
import torch
from own_loop_programs import (
    clears_before_the_step,
    clips_after_the_step,
    in_pieces,
    keeps_its_losses,
    never_clears,
    never_steps,
    right_step,
    with_step,
)
from preflight_programs import answer, classifier, cross_entropy
from torch import nn

import steadytrain as st

LOOP = (
    "gradients-not-cleared",
    "optimizer-never-steps",
    "gradients-thrown-away",
    "clip-after-step",
    "graph-retained",
    "detached-parameters",
    "accumulation-not-divided",
)


def causes(answered):
    return answered.findings[0].causes


def verdicts(program):
    """What all of them say; one look at the steps serves them all."""
    return {one.verdict for one in st.preflight(program, select=LOOP, progress=False).answers}


def test_a_right_loop_fails_nothing():
    assert "failed" not in verdicts(with_step(right_step))


def test_a_right_window_of_microbatches_fails_nothing():
    assert "failed" not in verdicts(with_step(partial(in_pieces, divisor=4)))


def test_the_canonical_loop_fails_nothing():
    assert "failed" not in verdicts(classifier(accumulate=2))


def test_gradients_that_are_never_cleared_are_seen():
    said = answer(with_step(never_clears), "gradients-not-cleared")
    assert said.verdict == "failed"
    assert said.number == 4
    assert causes(said)[0] == "missing-zero-grad"


def test_gradients_of_another_loss_may_lie_about_if_they_are_cleared_before_use():
    def step(program, batch):
        loss = right_step(program, batch)
        cross_entropy(program.model, batch).backward()
        return loss

    assert answer(with_step(step), "gradients-not-cleared").verdict == "passed"


def test_a_missing_step_is_seen():
    said = answer(with_step(never_steps), "optimizer-never-steps")
    assert said.verdict == "failed"
    assert causes(said) == ("missing-optimizer-step",)


def test_a_window_longer_than_what_was_looked_at_is_no_missing_step():
    def step(program, batch):
        loss = cross_entropy(program.model, batch)
        (loss / 50).backward()
        if program.step % 50 == 49:
            program.optimizer.step()
            program.optimizer.zero_grad()
        return loss.detach()

    assert answer(with_step(step, batches=60), "optimizer-never-steps").verdict != "failed"


def test_clearing_between_backward_and_step_is_seen():
    said = answer(with_step(clears_before_the_step), "optimizer-never-steps")
    assert said.verdict == "failed"
    assert causes(said) == ("step-order",)


def test_one_of_two_optimizers_that_never_steps_is_named():
    program = with_step(right_step)
    first, last = program.model[0], program.model[2]
    program.optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
    program.extra["other"] = torch.optim.SGD(last.parameters(), lr=0.1)
    said = answer(program, "optimizer-never-steps")
    assert said.verdict == "failed"
    assert said.findings[0].site == "2.weight"


def test_microbatches_that_are_thrown_away_are_counted():
    said = answer(
        with_step(partial(in_pieces, divisor=4, clear_always=True)), "gradients-thrown-away"
    )
    assert said.verdict == "failed"
    assert said.number == 3


def test_a_closure_that_clears_is_no_loss_of_gradients():
    def step(program, batch):
        def closure():
            program.optimizer.zero_grad()
            loss = cross_entropy(program.model, batch)
            loss.backward()
            return loss

        return program.optimizer.step(closure).detach()

    program = with_step(step)
    program.optimizer = torch.optim.LBFGS(program.model.parameters(), max_iter=3)
    assert "failed" not in verdicts(program)


def test_a_clip_after_the_step_is_seen():
    said = answer(with_step(clips_after_the_step), "clip-after-step")
    assert said.verdict == "failed"
    assert said.findings[0].evidence["smallest_factor"] < 0.1


def test_losses_kept_with_their_graphs_are_seen_and_numbers_are_not():
    kept = answer(with_step(keeps_its_losses, extra={"losses": []}), "graph-retained")
    assert kept.verdict == "failed"
    assert kept.number > 0

    def step(program, batch):
        loss = right_step(program, batch)
        program.extra["losses"].append(loss)
        return loss

    assert answer(with_step(step, extra={"losses": []}), "graph-retained").verdict == "passed"


def test_a_sum_over_microbatches_is_told_from_a_mean():
    said = answer(with_step(partial(in_pieces, divisor=1)), "accumulation-not-divided")
    assert said.verdict == "failed"
    assert said.number == pytest.approx(4, rel=0.3)


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


def test_layers_behind_a_detach_are_named():
    program = classifier()
    program.model.insert(1, Cut())
    said = answer(program, "detached-parameters")
    assert said.verdict == "failed"
    assert said.findings[0].evidence["parameters"] == ("0.weight", "0.bias")


def test_a_head_that_nobody_uses_is_not_detached():
    program = classifier()
    program.model.add_module("3", nn.Linear(3, 3))
    program.loss_fn = lambda model, batch: cross_entropy(model[:3], batch)
    program.optimizer = torch.optim.Adam(program.model.parameters())
    assert answer(program, "detached-parameters").verdict == "passed"


@pytest.mark.parametrize("tail", [(), (nn.Dropout(0.1),), (nn.BatchNorm1d(3),)])
@pytest.mark.parametrize("training", [True, False])
def test_evaluation_mode_matters_where_something_depends_on_it(tail, training):
    program = classifier(tail=tail)
    program.model.train(training)
    verdict = answer(program, "training-in-evaluation-mode").verdict
    assert (verdict == "failed") == (bool(tail) and not training)


def test_single_norms_may_rest_in_evaluation_mode():
    program = classifier(tail=(nn.BatchNorm1d(3),))
    program.model[-1].eval()
    assert answer(program, "training-in-evaluation-mode").verdict == "passed"


def evaluated(*, before, after):
    """A metric that sets the mode before it is computed, and after."""

    def metric(model, batch):
        model.train(before)
        with torch.no_grad():
            value = -float(cross_entropy(model, batch).detach())
        model.train(after)
        return value

    program = classifier(tail=(nn.Dropout(0.1),), metric_fn=metric)
    program.validation = program.batches[0]
    return answer(program, "training-mode-in-evaluation")


def test_a_metric_is_computed_in_evaluation_mode_and_puts_it_back():
    assert evaluated(before=False, after=True).verdict == "passed"
    assert causes(evaluated(before=True, after=True))[0] == "train-mode-in-eval"
    assert causes(evaluated(before=False, after=False)) == ("eval-mode-in-training",)


def test_an_evaluation_within_the_loop_is_judged_by_its_mode():
    def step(program, batch, *, training):
        if program.step % 5 == 4:
            program.model.train(training)
            with torch.no_grad():
                cross_entropy(program.model, batch)
            program.model.train()
        return right_step(program, batch)

    for training in (True, False):
        program = with_step(partial(step, training=training), tail=(nn.Dropout(0.1),))
        said = answer(program, "training-mode-in-evaluation")
        assert (said.verdict == "failed") == training


def test_what_the_loop_raises_is_no_finding_of_these_checks():
    def step(program, batch):
        raise RuntimeError("mine")

    assert verdicts(with_step(step)) == {"not-applicable"}


def test_a_graph_that_is_carried_into_the_next_step_is_named():
    def step(program, batch):
        program.optimizer.zero_grad()
        logits = program.model(batch[0])
        loss = nn.functional.cross_entropy(logits + program.extra["kept"], batch[1])
        loss.backward()
        program.optimizer.step()
        program.extra["kept"] = logits
        return loss.detach()

    said = answer(with_step(step, extra={"kept": 0.0}), "later-steps")
    assert said.verdict == "failed"
    assert causes(said) == ("graph-retained",)


def test_what_the_first_step_raises_is_for_another_check_to_say():
    def step(program, batch):
        raise RuntimeError("mine")

    assert answer(with_step(step), "later-steps").verdict == "not-applicable"


@pytest.mark.parametrize(
    ("term", "cause"),
    [
        (lambda out: (out - out).square().sum().sqrt(), "sqrt-zero-grad"),
        (lambda out: (out * 0).log().clamp(-1).mean(), "log-of-zero"),
        (lambda out: (out / (out - out)).clamp(-1, 1).mean(), "div-by-zero"),
        (lambda out: (out.abs() * 1e4).exp().clamp(max=1.0).mean(), "exp-overflow"),
        (lambda out: out.square().sum().sqrt(), None),
    ],
)
def test_the_operation_that_gives_nan_is_named(term, cause):
    def loss_fn(model, batch):
        return cross_entropy(model, batch) + term(model(batch[0]))

    said = answer(classifier(loss_fn=loss_fn), "later-steps")
    assert (said.findings[0].causes[0] if said.findings else None) == cause


def test_an_optimizer_outside_of_the_program_is_no_missing_one():
    program = classifier()
    outside = torch.optim.SGD(classifier().model.parameters(), lr=0.1)

    def step(program, batch):
        program.optimizer.zero_grad()
        loss = cross_entropy(program.model, batch)
        loss.backward()
        program.optimizer.step()
        outside.step()
        return loss.detach()

    program.step_fn = step
    program.optimizer = torch.optim.SGD(program.model[0].parameters(), lr=0.1)
    assert answer(program, "parameters-not-in-optimizer").verdict == "not-applicable"


def test_sharpness_aware_steps_throw_away_one_gradient_for_each_they_use():
    def step(program, batch):
        program.optimizer.zero_grad()
        cross_entropy(program.model, batch).backward()
        program.optimizer.zero_grad()
        return right_step(program, batch)

    assert answer(with_step(step), "gradients-thrown-away").verdict == "passed"
