"""Terms of the loss, batches that stand out, gates, post-norm stacks and rates that differ."""

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy, regression
from torch import nn

import steadytrain as st


def penalised(weight):
    def loss_fn(model, batch):
        penalty = sum(p.square().sum() for p in model.parameters())
        return cross_entropy(model, batch) + weight * penalty

    return classifier(loss_fn=loss_fn)


@pytest.mark.parametrize(("weight", "verdict"), [(0.01, "passed"), (30.0, "failed")])
def test_a_penalty_that_drowns_the_error_is_seen(weight, verdict):
    said = answer(penalised(weight), "uneven-loss-terms")
    assert said.verdict == verdict
    assert verdict == "passed" or said.findings[0].causes[0] == "loss-term-scale"


def test_the_terms_are_found_through_factors_and_signs():
    def loss_fn(model, batch):
        return 0.5 * (cross_entropy(model, batch) - 0.01 * model(batch[0]).square().mean()) / 3

    assert answer(classifier(loss_fn=loss_fn), "uneven-loss-terms").verdict == "passed"


def test_one_term_is_no_sum():
    said = answer(classifier(), "uneven-loss-terms")
    assert (said.verdict, said.findings) == ("not-applicable", ())


def with_one_batch(change, place=7):
    program = classifier(batches=12)
    points, labels = program.batches[place]
    program.batches[place] = (change(points), labels)
    return program


@pytest.mark.parametrize(("factor", "verdict"), [(10.0, "passed"), (200.0, "failed")])
def test_a_batch_in_another_unit_is_named(factor, verdict):
    said = answer(with_one_batch(lambda points: factor * points), "outlier-batches")
    assert said.verdict == verdict
    assert verdict == "passed" or said.findings[0].evidence["batch"] == 7


def test_a_batch_in_another_unit_that_a_norm_takes_back_passes():
    program = with_one_batch(lambda points: 200 * points)
    program.model.insert(0, nn.LayerNorm(4))
    assert answer(program, "outlier-batches").verdict == "passed"


def test_a_batch_with_the_weight_of_a_hundred_is_named():
    program = regression()
    program.batches = [
        (*batch, 100.0 if k == 3 else 1.0) for k, batch in enumerate(program.batches * 3)
    ]
    program.loss_fn = lambda model, batch: (
        batch[2] * nn.functional.mse_loss(model(batch[0]), batch[1])
    )
    said = answer(program, "outlier-batches")
    assert (said.verdict, said.findings[0].causes[0]) == ("failed", "bad-batch")


class Reader(nn.Module):
    def __init__(self, kind, bias):
        super().__init__()
        self.cell, self.head = kind(4, 8, batch_first=True), nn.Linear(8, 3)
        with torch.no_grad():
            part = slice(8, 16) if kind is nn.GRU else slice(0, 8)
            self.cell.bias_ih_l0[part] = bias

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def reading(kind, bias):
    torch.manual_seed(0)
    model = Reader(kind, bias)
    return st.Program(
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        batches=[(torch.randn(8, 12, 4), torch.randint(3, (8,))) for _ in range(3)],
        loss_fn=cross_entropy,
    )


@pytest.mark.parametrize(
    ("kind", "bias", "verdict"),
    [
        (nn.LSTM, -3.0, "passed"),
        (nn.LSTM, -9.0, "failed"),
        (nn.GRU, -9.0, "passed"),
        (nn.GRU, 9.0, "failed"),
    ],
)
def test_gates_that_let_nothing_in_are_seen(kind, bias, verdict):
    assert answer(reading(kind, bias), "shut-gates").verdict == verdict


def stack(*, norm_first, depth=6, rate=1e-3, warmup=False):
    torch.manual_seed(0)
    layers = [
        nn.TransformerEncoderLayer(8, 2, 16, norm_first=norm_first, batch_first=True, dropout=0.0)
        for _ in range(depth)
    ]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(40, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    ramp = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 50))
    return st.Program(
        model=model,
        optimizer=optimizer if warmup else torch.optim.Adam(model.parameters(), lr=rate),
        scheduler=ramp if warmup else None,
        batches=[(torch.randn(6, 5, 8), torch.randint(3, (6,))) for _ in range(3)],
        loss_fn=cross_entropy,
    )


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"norm_first": False}, "failed"),
        ({"norm_first": True}, "not-applicable"),
        ({"norm_first": False, "depth": 5}, "not-applicable"),
        ({"norm_first": False, "rate": 1e-4}, "passed"),
        ({"norm_first": False, "warmup": True}, "passed"),
    ],
)
def test_a_deep_post_norm_stack_needs_a_warmup(options, verdict):
    assert answer(stack(**options), "post-norm-stack").verdict == verdict


@pytest.mark.parametrize(("ratio", "verdict"), [(20.0, "passed"), (500.0, "failed")])
def test_optimizers_of_one_kind_with_rates_far_apart_are_seen(ratio, verdict):
    program = classifier()
    own, other = program.model[0].parameters(), program.model[2].parameters()
    program.optimizer = torch.optim.Adam(own, lr=1e-2 / ratio)
    program.extra["second"] = torch.optim.Adam(other, lr=1e-2)
    said = answer(program, "uneven-rates")
    assert said.verdict == verdict
    assert verdict == "passed" or said.findings[0].causes[0] == "lr-too-low"


def test_optimizers_of_two_kinds_are_not_compared():
    program = classifier()
    program.extra["second"] = torch.optim.SGD(program.model.parameters(), lr=1.0)
    assert answer(program, "uneven-rates").verdict == "not-applicable"


@pytest.mark.parametrize(("kept", "verdict"), [(0.5, "passed"), (0.01, "failed")])
def test_classes_that_the_validation_has_and_the_batches_lack_are_named(kept, verdict):
    torch.manual_seed(0)
    program = classifier(batches=20)
    batches = []
    for points, labels in program.batches:
        rare = (labels == 2) & (torch.rand(len(labels)) > kept)
        batches.append((points[~rare], labels[~rare]))
    program.batches = batches
    program.validation = (torch.randn(300, 4), torch.arange(300) % 3)
    said = answer(program, "class-balance")
    assert said.verdict == verdict
    assert verdict == "passed" or said.findings[0].evidence["classes"] == (2,)


def test_a_root_of_zero_in_a_later_batch_is_found_by_its_gradient():
    def loss_fn(model, batch):
        outputs = model(batch[0])
        return cross_entropy(model, batch) + 0.01 * (outputs[0] - outputs[1]).square().sum().sqrt()

    program = classifier(batches=6, loss_fn=loss_fn)
    assert answer(program, "nonfinite-later").verdict == "passed"
    program.batches[4][0][1] = program.batches[4][0][0]
    said = answer(program, "nonfinite-later")
    assert (said.verdict, said.findings[0].causes) == ("failed", ("sqrt-zero-grad",))


def test_a_hand_made_standardisation_over_the_batch_is_only_noted():
    class Standardise(nn.Module):
        def forward(self, x):
            return (x - x.mean(0)) / (x.std(0, correction=0) + 1e-5)

    program = classifier()
    program.model.insert(0, Standardise())
    said = answer(program, "batch-dependence")
    assert (said.verdict, [one.severity for one in said.findings]) == ("passed", [st.Severity.NOTE])


def test_several_passes_over_a_list_are_no_duplicates():
    program = classifier(batches=12)
    program.batches = program.batches * 4
    assert answer(program, "duplicate-batches").verdict == "passed"
