"""Changes of the loss: its terms, its form, its arithmetic, and the targets it sees."""

import math

import pytest
import torch
from changed_programs import applied, final_loss, own_step, regression, squared, trained
from torch import nn
from torch.nn import functional

from steadytrain.doctor.changes._calls import intercepted
from steadytrain.doctor.changes._terms import Arithmetic


def classes(loss_fn, head=None, step_fn=None):
    """Three classes that a linear layer tells apart."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(96, 6, generator=generator)
    labels = inputs[:, :3].argmax(1)
    torch.manual_seed(0)
    layers = [nn.Linear(6, 3), *([head] if head else [])]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    batches = list(zip(inputs.split(16), labels.split(16), strict=True))
    return regression(step_fn, model=model, optimizer=optimizer, batches=batches, loss_fn=loss_fn)


def cross_entropy(model, batch):
    return functional.cross_entropy(model(batch[0]), batch[1])


def likelihood_of_scores(model, batch):
    return functional.nll_loss(model(batch[0]), batch[1])


def with_penalty(model, batch):
    return 0.5 * squared(model, batch) - 0.1 * model[0].weight.square().sum() + 3.0


def heavy_penalty(model, batch):
    return squared(model, batch) + 1e4 * model[2].weight.square().sum()


def right(step_fn=None):
    return final_loss(classes(cross_entropy, step_fn=step_fn))


def test_terms_are_read_with_their_weights():
    x = torch.tensor(2.0, requires_grad=True)
    arithmetic = Arithmetic()
    with intercepted(None, arithmetic.handlers()):
        a, b = x.square(), x.exp()
        loss = 0.5 * (a - 3 * b) + 1.0
        loss += a / 4
    terms = arithmetic.terms(loss)
    assert [weight for _, weight in terms] == [0.5, -1.5, 0.25]
    assert sum(w * float(t.detach()) for t, w in terms) + 1.0 == pytest.approx(float(loss.detach()))


@pytest.mark.parametrize("step_fn", [None, own_step])
def test_a_term_with_the_wrong_sign_is_turned_and_the_others_stay(step_fn):
    changed = applied("flip-term-2", regression(step_fn, loss_fn=with_penalty))
    norms = [float(p.detach().norm()) for p in changed.model.parameters()]
    trained(changed, 60)
    assert float(changed.model[0].weight.detach().norm()) < norms[0]


def test_a_loss_of_one_term_has_no_other_sign_of_a_term():
    assert applied("flip-term-1", regression()) is None
    assert applied("lighter-term", regression()) is None


@pytest.mark.parametrize("name", ["lighter-term", "lighter-term-2"])
def test_a_term_that_drowns_the_others_weighs_less(name):
    changed = applied(name, regression(loss_fn=heavy_penalty))
    trained(changed, 60)
    losses = [float(squared(changed.model, batch).detach()) for batch in changed.batches]
    assert sum(losses) / len(losses) < 1.0


def test_every_term_begins_with_a_gradient_of_norm_one_at_the_most():
    changed = applied("limit-terms", regression(loss_fn=heavy_penalty))
    changed.loss_fn(changed.model, changed.batches[0]).backward()
    norms = [float(p.grad.detach().norm()) for p in changed.model.parameters()]
    assert sum(norm**2 for norm in norms) ** 0.5 < 2.01


@pytest.mark.parametrize("step_fn", [None, own_step])
def test_what_was_maximised_is_minimised(step_fn):
    def negative(model, batch):
        return -cross_entropy(model, batch)

    changed = applied("flip-loss", classes(negative, step_fn=step_fn))
    trained(changed, 40)
    losses = [float(cross_entropy(changed.model, batch).detach()) for batch in changed.batches]
    assert sum(losses) / len(losses) == pytest.approx(right(step_fn), rel=0.2)


def test_a_sum_becomes_a_mean():
    def summed(model, batch):
        return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")

    changed = applied("mean-loss", classes(summed))
    assert trained(changed).tolist() == trained(classes(cross_entropy)).tolist()


@pytest.mark.parametrize(
    ("loss_fn", "head"), [(cross_entropy, nn.Softmax(-1)), (likelihood_of_scores, None)]
)
def test_a_loss_gets_the_form_of_output_it_expects(loss_fn, head):
    changed = applied("logits-head", classes(loss_fn, head))
    assert final_loss(changed) == pytest.approx(right(), rel=0.05)
    assert final_loss(classes(loss_fn, head)) != pytest.approx(right(), rel=0.05)


def test_logits_are_left_as_they_are():
    assert applied("logits-head", classes(cross_entropy)) is None


def test_the_last_activation_goes_and_a_hidden_one_stays():
    changed = applied("no-final-activation", classes(cross_entropy, nn.Softmax(-1)))
    assert isinstance(changed.model[1], nn.Identity)
    assert applied("no-final-activation", regression()) is None


def test_one_shape_ends_the_comparison_of_all_with_all():
    def table(model, batch):
        return (model(batch[0]) - batch[1].squeeze(1)).square().mean()

    changed = applied("shape-match", regression(loss_fn=table))
    assert trained(changed).tolist() == pytest.approx(trained(regression()).tolist())


def test_a_softmax_over_the_batch_runs_over_the_classes():
    def over_the_batch(model, batch):
        return functional.nll_loss(model(batch[0]).log_softmax(dim=0), batch[1])

    changed = applied("last-axis", classes(over_the_batch))
    assert final_loss(changed) == pytest.approx(right(), rel=0.01)
    assert applied("last-axis", classes(cross_entropy)) is None


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("safe-log", lambda x: (x - x).log().mean()),
        ("safe-sqrt", lambda x: (x - x).square().sum(-1).sqrt().sum()),
        ("safe-sqrt", lambda x: (x - x).pow(0.5).sum()),
        ("safe-div", lambda x: (x / (x - x)).mean()),
        ("safe-div", lambda x: (1 / (x - x)).mean()),
        ("safe-exp", lambda x: (1e3 + x).exp().mean().log()),
    ],
)
@pytest.mark.parametrize("step_fn", [None, own_step])
def test_an_operation_is_finite_with_its_slope_at_its_border(name, function, step_fn):
    def loss_fn(model, batch):
        return squared(model, batch) + 1e-9 * function(model(batch[0]))

    changed = applied(name, regression(step_fn, loss_fn=loss_fn))
    assert all(map(math.isfinite, trained(changed, 5)))
    weights = list(changed.model.parameters())
    assert all(bool(p.isfinite().all()) for p in weights)
    broken = regression(step_fn, loss_fn=loss_fn)
    trained(broken, 5)
    assert not all(bool(p.isfinite().all()) for p in broken.model.parameters())


def test_padding_is_found_by_how_the_rows_end_and_left_out():
    from steadytrain.doctor.changes.padding import filler_of

    rows = torch.randint(1, 9, (32, 12), generator=torch.Generator().manual_seed(0))
    padded = rows.clone()
    for place, row in enumerate(padded):
        row[4 + place % 8 :] = 9
    assert filler_of([padded]) == 9
    assert filler_of([rows]) is None


def test_a_class_that_the_loss_ignored_is_counted():
    def ignores(model, batch):
        return functional.cross_entropy(model(batch[0]), batch[1], ignore_index=0)

    changed = applied("count-every-class", classes(ignores))
    assert trained(changed).tolist() == trained(classes(cross_entropy)).tolist()
    assert applied("count-every-class", classes(cross_entropy)) is None
