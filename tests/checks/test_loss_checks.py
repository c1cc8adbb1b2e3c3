"""What reaches the loss: labels, shapes, forms and ranges of outputs, sign and reduction."""

import math

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy, regression
from torch import nn
from torch.nn import functional

import steadytrain as st


def labelled(change, **fields):
    program = classifier(**fields)
    program.batches = [(points, change(labels)) for points, labels in program.batches]
    return program


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda labels: labels + 1, "count from 1"),
        (lambda labels: labels - 1, "from -1"),
        (lambda labels: labels.int(), "torch.int32"),
        (lambda labels: labels.float(), "torch.float32"),
        (lambda labels: functional.one_hot(labels, 3), "one class index per row"),
        (lambda labels: labels.unsqueeze(1), "one class index per row"),
        (lambda labels: functional.one_hot(labels, 3) * 2.0, "add up to 2"),
        (lambda labels: torch.full_like(labels, -100), "leaves out"),
    ],
)
def test_labels_that_the_loss_cannot_read(change, said):
    found = answer(labelled(change), "label-encoding")
    assert found.verdict == "failed"
    assert said in found.findings[0].message
    assert found.findings[0].causes[0] == "label-encoding"


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: labels,
        lambda labels: functional.one_hot(labels, 3).float(),
        lambda labels: functional.one_hot(labels, 3).float() * 0.9 + 0.1 / 3,
        lambda labels: labels.masked_fill(torch.arange(len(labels)) % 2 == 0, -100),
    ],
)
def test_labels_that_the_loss_can_read(change):
    assert answer(labelled(change), "label-encoding").verdict == "passed"


def binary(targets):
    def loss_fn(model, batch):
        return functional.binary_cross_entropy_with_logits(model(batch[0]), targets(batch[1]))

    return classifier(classes=1, loss_fn=loss_fn)


def test_binary_targets_of_minus_one_have_no_lowest_loss():
    found = answer(binary(lambda labels: torch.ones(len(labels), 1) * -1), "label-encoding")
    assert "from -1 to -1" in found.findings[0].message
    assert answer(binary(lambda labels: torch.ones(len(labels), 1)), "label-encoding").seen


def test_labels_that_never_are_the_first_class_seem_to_count_from_one():
    def grown(labels):
        return labels % 3 + 1

    program = labelled(grown, classes=4, batches=4, size=64)
    found = answer(program, "class-zero-unlearned")
    assert found.verdict == "failed"
    assert "none of 256 labels" in found.findings[0].message
    few = labelled(grown, classes=4, batches=1, size=24)
    assert answer(few, "class-zero-unlearned").verdict == "passed"


def test_a_class_that_the_loss_leaves_out_is_not_learned():
    def loss_fn(model, batch):
        return functional.cross_entropy(model(batch[0]), batch[1], ignore_index=0)

    found = answer(classifier(loss_fn=loss_fn), "class-zero-unlearned")
    assert "leaves out index 0" in found.findings[0].message
    assert answer(classifier(), "class-zero-unlearned").verdict == "passed"


def spread(model, batch):
    return (model(batch[0]) - batch[1].squeeze(1)).square().mean()


def through_the_function(model, batch):
    return functional.l1_loss(model(batch[0]), batch[1].squeeze(1))


@pytest.mark.parametrize("loss_fn", [spread, through_the_function])
def test_a_column_against_a_row_is_spread_over_a_table(loss_fn):
    found = answer(regression(loss_fn=loss_fn), "shape-broadcast")
    assert found.verdict == "failed"
    assert "[24, 24]" in found.findings[0].message


def centred(model, batch):
    return (model(batch[0]) - batch[1] - torch.zeros(1)).square().mean()


def pairwise(model, batch):
    out = model(batch[0])
    return (out - out.squeeze(1)).square().mean()


@pytest.mark.parametrize("loss_fn", [centred, pairwise, None])
def test_what_is_meant_for_all_elements_or_pairs_is_left_alone(loss_fn):
    assert answer(regression(loss_fn=loss_fn), "shape-broadcast").verdict != "failed"


def test_a_softmax_before_the_cross_entropy_is_named_with_its_place():
    found = answer(classifier(tail=(nn.Softmax(dim=-1),)), "probabilities-for-logits")
    assert found.findings[0].causes == ("double-softmax",)
    assert found.findings[0].site == "3"
    assert f"{math.log(1 + 2 / math.e):.3g}" in found.findings[0].message


def test_a_softmax_in_the_loss_function_is_seen_too():
    def loss_fn(model, batch):
        return functional.cross_entropy(model(batch[0]).softmax(-1), batch[1])

    found = answer(classifier(classes=2, loss_fn=loss_fn), "probabilities-for-logits")
    assert found.verdict == "failed"


def test_a_sigmoid_before_the_binary_cross_entropy_with_logits():
    def loss_fn(model, batch):
        out = model(batch[0])
        return functional.binary_cross_entropy_with_logits(out, torch.ones_like(out))

    tail = (nn.Sigmoid(),)
    found = answer(classifier(loss_fn=loss_fn, tail=tail), "probabilities-for-logits")
    assert found.findings[0].site == "3"
    assert answer(classifier(loss_fn=loss_fn), "probabilities-for-logits").verdict == "passed"


def test_log_probabilities_are_logits_too():
    program = classifier(tail=(nn.LogSoftmax(dim=-1),))
    assert answer(program, "probabilities-for-logits").verdict == "passed"


@pytest.mark.parametrize(
    ("form", "cause", "said"),
    [
        (lambda out: out, "loss-input-mismatch", "logits"),
        (lambda out: out.softmax(-1), "loss-input-mismatch", "probabilities"),
        (lambda out: out.log_softmax(0), "wrong-axis", "another dimension"),
    ],
)
def test_a_likelihood_of_something_else(form, cause, said):
    def loss_fn(model, batch):
        return functional.nll_loss(form(model(batch[0])), batch[1])

    found = answer(classifier(loss_fn=loss_fn), "loss-input")
    assert found.findings[0].causes[0] == cause
    assert said in found.findings[0].message


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_likelihood_of_log_probabilities(dtype):
    def loss_fn(model, batch):
        return functional.nll_loss(model(batch[0]).to(dtype).log_softmax(-1), batch[1]).float()

    assert answer(classifier(loss_fn=loss_fn), "loss-input").verdict == "passed"


def test_a_divergence_of_probabilities():
    def loss_fn(model, batch):
        out = model(batch[0])
        return functional.kl_div(out.softmax(-1), torch.full_like(out, 1 / 3))

    assert answer(classifier(loss_fn=loss_fn), "loss-input").verdict == "failed"


@pytest.mark.parametrize("end", [nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(dim=-1)])
def test_an_end_that_cannot_reach_the_targets(end):
    found = answer(regression(tail=(end,)), "output-range")
    assert found.verdict == "failed"
    assert found.findings[0].site == "3"


def test_an_end_that_can():
    program = regression(tail=(nn.ReLU(),), shift=20.0)
    assert answer(program, "output-range").verdict == "passed"
    assert answer(regression(), "output-range").verdict == "not-applicable"


def with_head(factor):
    program = classifier(classes=10)
    with torch.no_grad():
        program.model[2].weight *= factor
    return program


@pytest.mark.parametrize(("factor", "verdict"), [(1, "passed"), (4, "passed"), (100, "failed")])
def test_the_first_loss_is_that_of_a_guess(factor, verdict):
    found = answer(with_head(factor), "initial-loss")
    assert found.verdict == verdict
    assert f"{math.log(10):.3g}" in found.seen


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_guess_knows_weights_smoothing_and_what_is_left_out(smoothing):
    weight = torch.tensor([1.0, 2.0, 5.0])
    options = {"weight": weight, "ignore_index": 1, "label_smoothing": smoothing}

    def loss_fn(model, batch):
        return functional.cross_entropy(model(batch[0]), batch[1], **options)

    program = classifier(loss_fn=loss_fn)
    guess = functional.cross_entropy(torch.zeros(24, 3), program.batches[0][1], **options)
    found = answer(program, "initial-loss")
    assert found.verdict == "passed"
    assert f"against {float(guess):.3g}" in found.seen


def test_inputs_that_are_too_large_are_named_as_the_cause():
    program = classifier()
    program.batches = [(1000 * points, labels) for points, labels in program.batches]
    found = answer(program, "initial-loss")
    assert found.findings[0].causes[0] == "data-not-normalized"


@pytest.mark.parametrize(
    ("loss_fn", "verdict"),
    [
        (cross_entropy, "passed"),
        (lambda model, batch: -cross_entropy(model, batch), "failed"),
        (lambda model, batch: 2 - cross_entropy(model, batch), "failed"),
    ],
)
def test_a_loss_that_is_maximised(loss_fn, verdict):
    assert answer(classifier(loss_fn=loss_fn), "loss-direction").verdict == verdict


@pytest.mark.parametrize(("sign", "verdict"), [(1, "failed"), (-1, "passed")])
def test_a_likelihood_by_hand_needs_its_minus(sign, verdict):
    def loss_fn(model, batch):
        return sign * model(batch[0]).log_softmax(-1).gather(1, batch[1][:, None]).mean()

    assert answer(classifier(loss_fn=loss_fn), "loss-direction").verdict == verdict


def test_what_two_optimizers_play_is_left_alone():
    program = classifier(loss_fn=lambda model, batch: -cross_entropy(model, batch))
    program.extra["other"] = torch.optim.SGD(program.model.parameters(), lr=0.1)
    assert answer(program, "loss-direction").verdict == "not-applicable"


def summed(model, batch):
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")


@pytest.mark.parametrize(
    ("rate", "clip", "verdict"),
    [(0.1, None, "failed"), (0.01, None, "passed"), (0.1, 1.0, "passed")],
)
def test_a_sum_at_the_rate_of_a_mean(rate, clip, verdict):
    program = classifier(loss_fn=summed, clip=clip)
    program.optimizer = torch.optim.SGD(program.model.parameters(), lr=rate)
    found = answer(program, "summed-loss")
    assert found.verdict == verdict
    assert found.number == pytest.approx(2.0, rel=0.2)


def test_a_mean_is_no_sum():
    program = classifier()
    program.optimizer = torch.optim.SGD(program.model.parameters(), lr=0.5)
    found = answer(program, "summed-loss")
    assert (found.verdict, st.preflight(program, select=["LOS206"], progress=False).healthy) == (
        "passed",
        True,
    )
