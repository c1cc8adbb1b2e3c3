"""What the checks of the data say: scale, indices, splits, order, balance, leaks."""

import math

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy, regression, squared_error
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import steadytrain as st
from steadytrain.checks import _several
from steadytrain.checks._scene import Scene


def changed(program, change):
    """The program with its inputs changed."""
    program.batches = [(change(points), targets) for points, targets in program.batches]
    return program


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_counted(value):
    program = classifier()
    program.batches[2][0][1, 1] = value
    said = answer(program, "nonfinite-batches")
    assert (said.verdict, said.number) == ("failed", 1)
    assert answer(classifier(), "nonfinite-batches").verdict == "passed"


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "passed"), (20.0, "passed"), (50.0, "failed"), (1e-4, "failed")]
)
def test_features_far_from_unit_scale_are_seen(factor, verdict):
    program = changed(classifier(), lambda points: factor * points)
    assert answer(program, "feature-scale").verdict == verdict


def test_features_that_enter_through_a_norm_may_have_any_scale():
    program = changed(classifier(), lambda points: 1000 * points)
    program.model.insert(0, nn.BatchNorm1d(4))
    assert answer(program, "feature-scale").verdict == "not-applicable"


@pytest.mark.parametrize(("width", "verdict"), [(900.0, "passed"), (1200.0, "failed")])
def test_one_column_much_wider_than_the_others_is_seen(width, verdict):
    scale = torch.tensor([1e-2, 1e-2, 1e-2, 1e-2 * width])
    spread = torch.cat([points for points, _ in classifier().batches]).std(0)
    program = changed(classifier(), lambda points: points / spread * scale)
    assert answer(program, "feature-scale").verdict == verdict


def test_inputs_that_are_one_number_are_seen():
    assert answer(changed(classifier(), torch.ones_like), "feature-scale").verdict == "failed"


def texts(*, embedded):
    torch.manual_seed(0)
    first = nn.Sequential(nn.Embedding(100, 1), nn.Flatten()) if embedded else Numbers()
    model = nn.Sequential(first, nn.Linear(6, 3))
    return st.Program(
        model=model,
        optimizer=torch.optim.Adam(model.parameters()),
        batches=[(torch.randint(100, (16, 6)), torch.randint(3, (16,))) for _ in range(3)],
        loss_fn=cross_entropy,
    )


class Numbers(nn.Module):
    def forward(self, x):
        return x.float()


def test_indices_fed_as_numbers_are_seen():
    said = answer(texts(embedded=False), "token-ids-as-numbers")
    assert said.verdict == "failed"
    assert said.findings[0].site == "1"
    assert answer(texts(embedded=True), "token-ids-as-numbers").verdict == "not-applicable"


def test_labels_are_no_indices():
    assert answer(classifier(), "token-ids-as-numbers").verdict == "passed"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda x: x, "passed"),
        (lambda x: 2 * x, "passed"),
        (lambda x: x / 3, "failed"),
        (lambda x: 255 * x, "failed"),
        (lambda x: x + 2, "failed"),
    ],
)
@pytest.mark.parametrize("form", ["one batch", "batches", "loader"])
def test_validation_of_another_scale_is_seen(change, verdict, form):
    program = classifier()
    held_out = (change(torch.randn(64, 4)), torch.randint(3, (64,)))
    parts = list(zip(*(one.split(16) for one in held_out), strict=True))
    loader = DataLoader(TensorDataset(*held_out), batch_size=16)
    program.validation = {"one batch": held_out, "batches": parts, "loader": loader}[form]
    assert answer(program, "validation-statistics").verdict == verdict


def test_validation_of_another_form_is_not_judged():
    program = classifier(validation="a folder")
    assert answer(program, "validation-statistics").verdict == "not-applicable"


def test_batches_that_repeat_are_counted():
    program = classifier()
    assert answer(program, "duplicate-batches").number == 4
    program.batches = [program.batches[0]] * 6
    said = answer(program, "duplicate-batches")
    assert (said.verdict, said.number) == ("failed", 1)
    program.batches = program.batches[:1]
    assert answer(program, "duplicate-batches").verdict == "not-applicable"


def labelled(labels, **fields):
    """The classifier with these labels. Shape: [batches, size]."""
    program = classifier(batches=len(labels), size=labels.shape[1], **fields)
    program.batches = [(batch[0], own) for batch, own in zip(program.batches, labels, strict=True)]
    return program


def test_batches_ordered_by_class_are_seen():
    torch.manual_seed(1)
    labels = torch.arange(9).repeat_interleave(16).view(9, 16) % 3
    assert answer(labelled(labels), "ordered-labels").verdict == "failed"
    mixed = labels.flatten()[torch.randperm(labels.numel())].view(9, 16)
    said = answer(labelled(mixed), "ordered-labels")
    assert said.verdict == "passed"
    assert said.number < 2


@pytest.mark.parametrize(("is_sorted", "verdict"), [(True, "failed"), (False, "passed")])
def test_targets_ordered_by_size_are_seen(is_sorted, verdict):
    torch.manual_seed(2)
    targets = torch.randn(240, 1)
    targets = targets.sort(dim=0).values if is_sorted else targets
    program = regression()
    program.batches = [(torch.randn(24, 4), part) for part in targets.split(24)]
    assert answer(program, "ordered-labels").verdict == verdict


def test_a_first_stretch_of_one_class_is_an_order_too():
    said = answer(labelled(torch.ones(8, 16, dtype=torch.long)), "ordered-labels")
    assert said.verdict == "failed"


@pytest.mark.parametrize(
    ("rare", "verdict", "notes"), [(100, "passed", 0), (25, "passed", 1), (5, "failed", 1)]
)
def test_a_class_that_is_nearly_everything_is_seen(rare, verdict, notes):
    labels = torch.zeros(500, dtype=torch.long)
    labels[:: 500 // rare] = 1
    said = answer(labelled(labels.view(10, 50)), "class-balance")
    assert said.verdict == verdict
    assert len(said.findings) == notes


def test_weights_of_the_classes_excuse_their_imbalance():
    def loss_fn(model, batch):
        return functional.cross_entropy(
            model(batch[0]), batch[1], weight=torch.tensor([1.0, 99, 1])
        )

    labels = torch.zeros(10, 50, dtype=torch.long)
    labels[:, 0] = torch.tensor([1, 0] * 5)
    assert answer(labelled(labels, loss_fn=loss_fn), "class-balance").verdict == "passed"


def test_a_column_that_is_the_target_is_named():
    program = regression()
    assert answer(program, "target-leak").verdict == "passed"
    for points, target in program.batches:
        points[:, 2] = 7 - 3 * target.squeeze(1)
    said = answer(program, "target-leak")
    assert said.verdict == "failed"
    assert said.findings[0].evidence["column"] == 2


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "passed"), (1e4, "failed"), (1e-6, "failed")]
)
def test_targets_of_extreme_scale_are_seen(factor, verdict):
    program = regression()
    program.batches = [(points, factor * target) for points, target in program.batches]
    said = answer(program, "target-scale")
    assert said.verdict == verdict
    assert factor == 1.0 or said.findings[0].causes[0] == "target-not-normalized"


def test_targets_that_are_computed_are_rewards():
    def loss_fn(model, batch):
        return squared_error(model, (batch[0], 5000 * batch[1] + 100))

    said = answer(regression(loss_fn=loss_fn), "target-scale")
    assert said.findings[0].causes[0] == "reward-scale"


@pytest.mark.parametrize(("length", "verdict"), [(4, "passed"), (3, "failed")])
def test_ctc_targets_need_room_for_their_repeats(length, verdict):
    def loss_fn(model, batch):
        out = model(batch[0])[:length, None].expand(-1, 2, -1).log_softmax(-1)
        targets = torch.tensor([[1, 1, 2], [1, 2, 1]])
        return functional.ctc_loss(out, targets, [length, length], [3, 3], zero_infinity=True)

    said = answer(classifier(loss_fn=loss_fn), "unreachable-ctc-targets")
    assert said.verdict == verdict
    assert said.number == (4 if verdict == "failed" else 0)


def labelled_twice(share):
    """Each point occurs twice; a share of the pairs has two labels."""
    torch.manual_seed(3)
    points = torch.randn(160, 4).repeat_interleave(2, 0)
    labels = points[:, :3].argmax(-1)
    labels[: int(320 * share) : 2] = (labels[: int(320 * share) : 2] + 1) % 3
    order = torch.randperm(320)
    program = classifier(batches=10, size=32)
    parts = zip(points[order].split(32), labels[order].split(32), strict=True)
    program.batches = list(parts)
    return program


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "passed"), (0.1, "passed"), (0.5, "failed")])
def test_equal_inputs_with_different_labels_are_counted(share, verdict):
    said = answer(labelled_twice(share), "label-noise")
    assert said.verdict == verdict


def test_neighbours_that_contradict_a_label_give_a_note():
    torch.manual_seed(4)
    centres = torch.tensor([[5.0, 0, 0, 0], [0, 5, 0, 0], [0, 0, 5, 0]])
    labels = torch.randint(3, (512,))
    points = centres[labels] + 0.3 * torch.randn(512, 4)
    wrong = labels.clone()
    wrong[::4] = (wrong[::4] + 1) % 3
    for own, notes in ((labels, 0), (wrong, 1)):
        program = classifier(batches=16, size=32)
        program.batches = list(zip(points.split(32), own.split(32), strict=True))
        said = answer(program, "label-noise")
        assert (said.verdict, len(said.findings)) == ("passed", notes)


def test_whole_numbers_of_different_range_are_measures():
    program = texts(embedded=False)
    ranges = torch.tensor([1, 5, 20, 100, 100, 3])
    program.batches = [((ids * ranges) // 100, labels) for ids, labels in program.batches]
    assert answer(program, "token-ids-as-numbers").verdict == "passed"


def test_labels_of_few_possible_inputs_are_chance_and_no_noise():
    torch.manual_seed(5)
    points, labels = torch.eye(4)[torch.randint(4, (512,))], torch.randint(3, (512,))
    program = classifier(batches=16, size=32)
    program.batches = list(zip(points.split(32), labels.split(32), strict=True))
    assert answer(program, "label-noise").verdict == "passed"


def test_large_batches_are_read_two_at_least_and_no_more_than_memory_allows(monkeypatch):
    program = classifier(batches=64)
    size = sum(one.nbytes for one in program.batches[0])
    for room, count in ((0, 2), (5 * size, 5), (1000 * size, 64)):
        monkeypatch.setattr(_several, "BYTES", room)
        assert len(Scene(program).once(_several.several)) == count


def test_slow_data_are_not_waited_for(monkeypatch):
    monkeypatch.setattr(_several, "SECONDS", 0.0)
    assert len(Scene(classifier(batches=9)).once(_several.several)) == 1
