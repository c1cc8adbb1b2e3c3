"""Changes of the data: what is left out, moved, mixed, scaled, and what is left alone."""

import math

import pytest
import torch
from changed_programs import applied, final_loss, regression, scene_of, trained

from steadytrain.doctor.change import known_changes


def mapped(function):
    """The regression with every batch put through `function(place, features, target)`."""
    program = regression()
    program.batches = [
        function(k, x.clone(), y.clone()) for k, (x, y) in enumerate(program.batches)
    ]
    return program


def of_classes(labels):
    """The regression's inputs with these labels, 64 in all."""
    program = regression(loss_fn=lambda model, batch: model(batch[0]).square().mean())
    parts = zip(program.batches, labels.split(8), strict=True)
    program.batches = [(x, some) for (x, _), some in parts]
    return program


def with_nan(place, x, y):
    if place == 2:
        x[0, 0] = math.nan
    return x, y


def all_nan(_place, x, y):
    x[0, 1] = math.nan
    return x, y


def huge(place, x, y):
    return (1e4 * x, y) if place == 5 else (x, y)


def test_only_the_batches_that_are_not_finite_are_left_out():
    changed = applied("drop-nonfinite", mapped(with_nan))
    assert len(list(changed.batches)) == 7
    assert len(list(changed.batches)) == 7
    assert applied("drop-nonfinite", regression()) is None


def test_data_is_never_left_without_a_batch():
    assert applied("drop-nonfinite", mapped(all_nan)) is None
    filled = applied("fill-nonfinite", mapped(all_nan))
    assert all(bool(x.isfinite().all()) for x, _ in filled.batches)
    assert math.isfinite(final_loss(filled, 8))


def test_a_batch_unlike_the_others_is_suspected_by_its_size():
    changed = applied("drop-suspects", mapped(huge))
    assert max(float(x.abs().max()) for x, _ in changed.batches) < 10
    assert applied("drop-suspects", regression()) is None


def test_a_suspect_of_the_scene_is_left_out_by_what_it_holds():
    program = regression()
    scene = scene_of(program, suspects=frozenset({3}))
    changed = known_changes()["drop-suspects"].apply(program.copy(), scene)
    assert len(list(changed.batches)) == 7
    assert not any(x is program.batches[3][0] for x, _ in changed.batches)


def test_a_repeated_batch_is_read_once():
    program = regression()
    program.batches = [program.batches[0]] * 4 + program.batches[1:]
    assert len(list(applied("deduplicate", program).batches)) == 8
    assert applied("deduplicate", regression()) is None


def test_inputs_are_standardised_by_column_with_the_training_datas_numbers():
    program = mapped(lambda _k, x, y: (x * torch.tensor([1e3, 1.0, 1e-3, 5.0]) + 7.0, y))
    program.validation = program.batches[0]
    changed = applied("normalise-inputs", program)
    rows = torch.cat([x for x, _ in changed.batches])
    assert rows.mean(0).tolist() == pytest.approx([0.0] * 4, abs=1e-3)
    assert rows.std(0, correction=0).tolist() == pytest.approx([1.0] * 4, rel=1e-2)
    assert torch.equal(changed.validation[0], next(iter(changed.batches))[0])
    assert torch.equal(program.validation[0], program.batches[0][0])


def test_a_scale_that_is_right_is_left_alone():
    program = applied("normalise-inputs", mapped(lambda _k, x, y: (9 * x, y)))
    assert known_changes()["normalise-inputs"].apply(program, scene_of(program)) is None


def test_targets_are_standardised_and_inputs_left():
    program = mapped(lambda _k, x, y: (x, 1e4 * y))
    changed = applied("normalise-targets", program)
    assert float(torch.cat([y for _, y in changed.batches]).std()) == pytest.approx(1, rel=0.05)
    assert torch.equal(next(iter(changed.batches))[0], program.batches[0][0])


@pytest.mark.parametrize("by", [-2, 1, 3])
def test_labels_are_moved_back_to_the_inputs_that_predict_them(by):
    changed = applied("realign-labels", mapped(lambda _k, x, y: (x, y.roll(by, 0))))
    wanted = [y for _, y in regression().batches]
    assert all(torch.equal(a[1], b) for a, b in zip(changed.batches, wanted, strict=True))
    assert applied("realign-labels", regression()) is None


def test_labels_from_one_on_are_counted_from_zero():
    changed = applied("labels-from-zero", of_classes(torch.arange(64) % 3 + 1))
    assert {int(label) for _, y in changed.batches for label in y} == {0, 1, 2}


def test_samples_are_mixed_over_all_batches_and_none_is_lost():
    program = mapped(lambda k, x, y: (x, torch.full_like(y, k)))
    changed = applied("shuffle", program)
    assert all(len(y.unique()) > 2 for _, y in changed.batches)
    mixed = torch.cat([y for _, y in changed.batches]).flatten().sort().values
    assert torch.equal(mixed, torch.cat([y for _, y in program.batches]).flatten())


def test_a_rare_class_is_drawn_as_often_as_the_others():
    changed = applied("balance-classes", of_classes((torch.arange(64) >= 60).long()))
    share = torch.cat([y for _, y in changed.batches]).float().mean()
    assert 0.3 < float(share) < 0.7


def test_a_column_that_is_the_target_is_emptied():
    program = mapped(lambda _k, x, y: (torch.cat([x[:, :3], 2 * y], 1), y))
    program.validation = program.batches[0]
    changed = applied("without-leaking-columns", program)
    rows = torch.cat([x for x, _ in changed.batches])
    assert float(rows[:, 3].abs().max()) == 0
    assert float(rows[:, 0].abs().max()) > 0
    assert applied("without-leaking-columns", regression()) is None


def test_validation_gets_the_scale_of_the_training_data():
    program = regression()
    program.validation = (0.01 * program.batches[0][0] + 3.0, program.batches[0][1])
    changed = applied("validate-as-trained", program)
    assert float(changed.validation[0].std()) == pytest.approx(1, rel=0.2)
    program.validation = program.batches[0]
    assert applied("validate-as-trained", program) is None


def test_a_one_shot_iterator_is_read_again_in_every_pass():
    program = regression()
    changed = applied("shuffle", regression(batches=iter(program.batches)))
    assert len(trained(changed, 20)) == 20
