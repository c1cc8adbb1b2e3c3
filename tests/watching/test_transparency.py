"""The watch changes nothing: everything is bit-identical with and without it."""

import pytest
from watched_runs import OPTIMIZERS, REFUSED, equal, train
from watched_zoo import KINDS

MATRIX = [
    pytest.param(kind, optimizer, id=f"{kind}-{optimizer}")
    for kind in KINDS
    for optimizer in OPTIMIZERS
    if (kind, optimizer) not in REFUSED
]


def is_unchanged(kind, optimizer="adamw", **options):
    clip = {name: options[name] for name in options.keys() & {"clip", "accumulate", "steps"}}
    without, _ = train(kind, optimizer, watched=False, **clip)
    watched, _ = train(kind, optimizer, watched=True, **options)
    return equal(without, watched)


def test_the_comparison_sees_one_flipped_bit():
    left, _ = train("mlp", watched=False)
    right, _ = train("mlp", watched=False)
    assert equal(left, right)
    right["models"][0]["0.weight"].view(-1).view(dtype=left["models"][0]["0.weight"].dtype)[0] += (
        1e-7
    )
    assert not equal(left, right)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_trains_as_without_it(kind):
    assert is_unchanged(kind, "adamw")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_steps_as_without_it(optimizer):
    assert is_unchanged("resnet", optimizer, every=2)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_every_step_changes_nothing(kind):
    assert is_unchanged(kind, "sgd", every=1, flush_every=1)


@pytest.mark.parametrize("clip", [None, 0.01, 1e9])
def test_no_clip_a_hard_clip_and_an_idle_clip_change_nothing(clip):
    assert is_unchanged("gpt", clip=clip, every=1)


@pytest.mark.parametrize("kind", ["cnn", "gpt"])
def test_accumulation_changes_nothing(kind):
    assert is_unchanged(kind, accumulate=3, every=2)


def test_writing_the_run_changes_nothing(tmp_path):
    assert is_unchanged("resnet", run_dir=tmp_path / "run", every=1, flush_every=1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "optimizer"), MATRIX)
def test_the_whole_matrix_is_unchanged(kind, optimizer):
    assert is_unchanged(kind, optimizer, steps=8, every=3)
    assert is_unchanged(kind, optimizer, clip=None, every=1)
