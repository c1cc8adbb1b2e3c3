"""The range test finds a rate that trains, on a copy, and survives what diverges."""

import copy
import itertools
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from steadytrain.core.errors import UsageError
from steadytrain.core.program import Program
from steadytrain.optim import lr_range_test, warmup_cosine
from steadytrain.optim.range_test import has_diverged, suggestion


def regression(optimizer=torch.optim.Adam, dropout=0.2, **options):
    """A model with buffers and dropout, its optimizer, shuffled data and its loss."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(dropout), nn.Linear(32, 1)
    )
    inputs = torch.randn(256, 6)
    data = TensorDataset(inputs, torch.tanh(inputs.sum(dim=1, keepdim=True)))
    loader = DataLoader(data, batch_size=32, shuffle=True, generator=torch.Generator())
    return model, optimizer(model.parameters(), **{"lr": 0.1} | options), loader, loss_of


def loss_of(model, batch):
    return mse_loss(model(batch[0]), batch[1])


def snapshot(model, optimizer, loader):
    """All that could change, deeply copied."""
    return copy.deepcopy(
        {
            "model": model.state_dict(),
            "grads": [p.grad for p in model.parameters()],
            "modes": [module.training for module in model.modules()],
            "optimizer": optimizer.state_dict(),
            "random": (random.getstate(), np.random.get_state(legacy=False)),
            "torch": (torch.get_rng_state(), loader.generator.get_state()),
        }
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return all(same(*pair) for pair in zip(one, other, strict=True))
    return one == other


@pytest.mark.parametrize("mode", [True, False])
def test_model_optimizer_buffers_modes_and_generators_are_untouched(mode):
    model, optimizer, loader, loss_fn = regression()
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, warmup_cosine(warmup_steps=2, total_steps=9)
    )
    loss_fn(model, next(iter(loader))).backward()
    optimizer.step()
    scheduler.step()
    model.train(mode)
    before = snapshot(model, optimizer, loader)
    lr_range_test(model, optimizer, loader, loss_fn, steps=30)
    assert same(before, snapshot(model, optimizer, loader))


def test_a_diverged_test_leaves_everything_as_it_was_too():
    model, optimizer, loader, loss_fn = regression(torch.optim.SGD)
    before = snapshot(model, optimizer, loader)
    result = lr_range_test(model, optimizer, loader, loss_fn, max_lr=1e9)
    assert result.diverged_at is not None
    assert same(before, snapshot(model, optimizer, loader))


def test_an_error_in_the_loss_leaves_everything_as_it_was_too():
    model, optimizer, loader, _ = regression()
    before = snapshot(model, optimizer, loader)
    calls = itertools.count()

    def broken(model, batch):
        random.random()
        return loss_of(model, batch) if next(calls) < 3 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        lr_range_test(model, optimizer, loader, broken)
    assert same(before, snapshot(model, optimizer, loader))


@pytest.mark.parametrize("make", [torch.optim.Adam, torch.optim.SGD])
def test_the_suggested_rate_trains_and_the_diverged_one_does_not(make):
    model, optimizer, loader, loss_fn = regression(make, dropout=0.0)
    result = lr_range_test(model, optimizer, loader, loss_fn, max_lr=1e3)
    assert result.suggested < result.diverged_at
    losses = {}
    for rate in (result.suggested / 1000, result.suggested, 10 * result.diverged_at):
        trained, fresh, loader, _ = regression(make, dropout=0.0, lr=rate)
        for _ in range(15):
            for batch in loader:
                fresh.zero_grad()
                loss_fn(trained, batch).backward()
                fresh.step()
        whole = loader.dataset.tensors
        losses[rate] = float(loss_fn(trained.eval(), whole).detach())
    slow, good, bad = losses.values()
    assert good < 0.7 * slow
    assert not bad <= 2 * good


def test_rates_rise_evenly_in_the_logarithm():
    model, optimizer, loader, loss_fn = regression()
    result = lr_range_test(model, optimizer, loader, loss_fn, min_lr=1e-6, max_lr=1e-4, steps=31)
    assert result.lrs[0] == 1e-6
    assert result.lrs[15] == pytest.approx(1e-5)
    assert result.lrs[-1] == pytest.approx(1e-4)
    assert result.diverged_at is None
    assert len(result.lrs) == len(result.losses) == 31


def test_two_tests_of_the_same_program_agree():
    program = regression()
    torch.manual_seed(5)
    assert lr_range_test(*program) == lr_range_test(*program)


def test_groups_keep_their_proportions_also_in_a_warmup():
    model = nn.Linear(2, 1, bias=False)
    other = nn.Parameter(torch.zeros(1))
    groups = [{"params": model.parameters(), "lr": 0.1}, {"params": [other], "lr": 0.001}]
    optimizer = torch.optim.SGD(groups)
    torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(warmup_steps=9, total_steps=99))
    model.other = other
    seen = []

    def loss_fn(model, batch):
        seen.append((model.weight.detach().clone(), model.other.detach().clone()))
        return model.weight.sum() + model.other.sum()

    result = lr_range_test(model, optimizer, [torch.ones(1)], loss_fn, max_lr=1e-3, steps=30)
    weight_step = float(seen[0][0][0, 0] - seen[-1][0][0, 0])
    assert weight_step == pytest.approx(sum(result.lrs[:-1]), rel=1e-3)
    assert float(seen[0][1] - seen[-1][1]) == pytest.approx(weight_step / 100, rel=1e-3)


def test_a_rate_in_a_tensor_is_set_in_place():
    model, optimizer, loader, loss_fn = regression(lr=torch.tensor(0.1), foreach=False)
    result = lr_range_test(model, optimizer, loader, loss_fn)
    assert result.suggested is not None
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_program_is_tested_as_it_trains(precision):
    model, optimizer, loader, loss_fn = regression(dropout=0.0)
    program = Program(
        model=model,
        optimizer=optimizer,
        batches=loader,
        loss_fn=loss_fn,
        precision=precision,
        accumulate=2,
    )
    before = snapshot(model, optimizer, loader)
    assert 1e-4 < lr_range_test(program).suggested < 1
    assert same(before, snapshot(model, optimizer, loader))


def test_a_programs_recorded_generator_can_still_be_read():
    model, optimizer, loader, loss_fn = regression()
    program = Program(model=model, optimizer=optimizer, batches=iter(list(loader)), loss_fn=loss_fn)
    lr_range_test(program, steps=30)
    assert len(list(program.batches)) == len(loader)


def test_nan_from_the_first_step_ends_the_test_and_suggests_nothing():
    model, optimizer, loader, _ = regression()
    result = lr_range_test(model, optimizer, loader, lambda m, b: loss_of(m, b) * math.nan)
    assert len(result.losses) == 1
    assert result.suggested is None
    assert result.diverged_at == result.lrs[0]
    assert "nan" in str(result)


def test_pure_noise_suggests_nothing():
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn((), generator=generator) for _ in range(100)]
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    def loss_fn(model, batch):
        return 0 * model.weight.sum() + 2 + 0.1 * batch

    result = lr_range_test(model, optimizer, batches, loss_fn)
    assert result.suggested is None
    assert result.diverged_at is None
    assert "No suggestion" in str(result)


def test_one_bad_batch_is_no_divergence():
    losses = [2.0, 2.1, 1.9] * 10
    assert not has_diverged([*losses, 4.0], 100)
    assert has_diverged([*losses, *[4.0] * 5], 100)
    assert has_diverged([*losses, math.inf], 100)


def test_a_negative_loss_diverges_upwards_too():
    assert has_diverged([*[-2.0] * 30, *[-1.0] * 5], 100)
    assert not has_diverged([*[-2.0] * 30, *[-3.0] * 5], 100)


def test_the_suggestion_is_a_tenth_of_the_lowest():
    lrs = [10.0 ** (k / 10 - 7) for k in range(100)]
    losses = [2.0] * 40 + [1.0 - 0.01 * k for k in range(20)] + [5.0] * 5
    assert suggestion(lrs, losses, 100) == pytest.approx(lrs[58] / 10, rel=0.3)


def test_the_table_shows_both_ends_and_the_suggestion():
    model, optimizer, loader, loss_fn = regression(torch.optim.SGD)
    result = lr_range_test(model, optimizer, loader, loss_fn, max_lr=1e3)
    lines = str(result).splitlines()
    assert lines[1].split()[0] == "1.0e-07"
    assert lines[-2].split()[0] == f"{result.diverged_at:.1e}"
    assert f"{result.suggested:.1e}" in lines[-1]
    assert 15 <= len(lines) <= 40


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"min_lr": 0.0}, "min_lr"),
        ({"min_lr": math.nan}, "min_lr"),
        ({"min_lr": 1.0, "max_lr": 0.1}, "min_lr"),
        ({"max_lr": math.inf}, "max_lr"),
        ({"steps": 29}, "got 29"),
        ({"steps": 50.0}, r"got 50\.0"),
    ],
)
def test_refuses_a_range_that_is_none(options, match):
    with pytest.raises(UsageError, match=match):
        lr_range_test(*regression(), **options)


def test_refuses_a_generator_that_reading_would_use_up():
    model, optimizer, loader, loss_fn = regression()
    with pytest.raises(UsageError, match="which reading uses up"):
        lr_range_test(model, optimizer, iter(loader), loss_fn)


def test_refuses_half_a_program_and_one_and_a_half():
    model, optimizer, loader, loss_fn = regression()
    with pytest.raises(UsageError, match="lacks batches, loss_fn"):
        lr_range_test(model, optimizer)
    program = Program(model=model, optimizer=optimizer, batches=loader, loss_fn=loss_fn)
    with pytest.raises(UsageError, match="Program and batches"):
        lr_range_test(program, batches=loader)
    program.step_fn = loss_fn
    with pytest.raises(UsageError, match="step_fn sets rates"):
        lr_range_test(program)


@pytest.mark.parametrize("wrong", [lambda m, b: 1.0, lambda m, b: m(b[0]), lambda m, b: b[1].sum()])
def test_refuses_a_loss_that_cannot_be_differentiated(wrong):
    model, optimizer, loader, _ = regression()
    with pytest.raises(UsageError, match="expected a scalar"):
        lr_range_test(model, optimizer, loader, wrong)


def test_says_why_a_model_cannot_be_copied():
    model, optimizer, loader, loss_fn = regression()
    model.kept = iter(x for x in ())
    with pytest.raises(UsageError, match="could not copy"):
        lr_range_test(model, optimizer, loader, loss_fn)


def test_classification_with_integer_targets_works():
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    batches = [(torch.randn(16, 4), torch.arange(16) % 3)]
    optimizer = torch.optim.AdamW(model.parameters())
    result = lr_range_test(model, optimizer, batches, lambda m, b: cross_entropy(m(b[0]), b[1]))
    assert 1e-3 < result.suggested < 1
