"""Rounded-away updates are counted, and the optimizers that keep them are used as they need it."""

import math
import sys

import pytest
import torch
from torch import nn

from steadytrain.core.errors import MissingExtraError, UsageError
from steadytrain.optim import lost_updates, low_precision_adamw


def ones(dtype, grads, value=1.0):
    """A module with one parameter of equal values and the given gradient."""
    module = nn.Module()
    module.weight = nn.Parameter(torch.full((len(grads),), value, dtype=dtype))
    module.weight.grad = torch.tensor(grads, dtype=dtype)
    return module


def lost_by_sgd(module, lr=1e-3):
    with lost_updates(module) as lost:
        torch.optim.SGD(module.parameters(), lr=lr).step()
    return float(lost.fraction)


def test_one_minus_a_thousandth_is_one_in_bf16():
    assert lost_by_sgd(ones(torch.bfloat16, [1.0, 1.0, 8.0, 1.0])) == 0.75


def test_elements_without_a_gradient_are_not_lost():
    assert lost_by_sgd(ones(torch.bfloat16, [0.0, 0.0, 1.0, 8.0])) == 0.5


@pytest.mark.parametrize(("lr", "lost"), [(1e-3, 0.0), (1e-4, 1.0)])
def test_fp16_is_measured_too(lr, lost):
    assert lost_by_sgd(ones(torch.float16, [1.0]), lr=lr) == lost


def test_float32_parameters_are_not_measured():
    assert math.isnan(lost_by_sgd(ones(torch.float32, [1.0])))


def test_a_step_without_any_gradient_measures_nothing():
    module = ones(torch.bfloat16, [0.0])
    assert math.isnan(lost_by_sgd(module))
    module.weight.grad = None
    assert math.isnan(lost_by_sgd(module))


def test_an_optimizer_that_overwrites_the_gradient_does_not_change_the_measure():
    module = ones(torch.bfloat16, [1.0, 8.0])
    with lost_updates(module) as lost:
        torch.optim.SGD(module.parameters(), lr=1e-3).step()
        module.weight.grad.zero_()
    assert float(lost.fraction) == 0.5
    assert {name: float(one) for name, one in lost.by_name.items()} == {"weight": 0.5}


def test_a_sparse_gradient_counts_its_rows():
    embedding = nn.Embedding(4, 2, sparse=True, dtype=torch.bfloat16)
    with torch.no_grad():
        embedding.weight.fill_(1)
    embedding(torch.tensor([0, 0, 2])).sum().backward()
    assert lost_by_sgd(embedding, lr=1e-3) == 1.0
    assert lost_by_sgd(embedding, lr=6e-3) == 0.0


def test_weights_are_the_same_with_and_without_the_measure():
    plain, measured = ones(torch.bfloat16, [1.0, 8.0]), ones(torch.bfloat16, [1.0, 8.0])
    torch.optim.SGD(plain.parameters(), lr=1e-3).step()
    lost_by_sgd(measured)
    assert torch.equal(plain.weight, measured.weight)


@pytest.mark.parametrize(
    ("rounding", "module", "package"),
    [("kahan", "optimi", "torch-optimi"), ("stochastic", "torchao.optim", "torchao")],
)
def test_a_missing_package_is_named_with_its_command(monkeypatch, rounding, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    told = rf"'{package}', .* pip install 'steadytrain\[{rounding}\]'$"
    with pytest.raises(MissingExtraError, match=told):
        low_precision_adamw(nn.Linear(2, 2).parameters(), lr=1e-3, rounding=rounding)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"params": []}, "no parameter"),
        ({"params": iter(())}, "a generator that was read before"),
        ({"lr": -1.0}, "lr must be"),
        ({"lr": math.nan}, "lr must be"),
        ({"rounding": "up"}, "got 'up'"),
    ],
)
def test_refuses_what_no_optimizer_can_use(options, match):
    params = nn.Linear(2, 2).parameters()
    with pytest.raises(UsageError, match=match):
        low_precision_adamw(**{"params": params, "lr": 1e-3} | options)


def ten_small_steps(rounding):
    """The mean of 4,096 weights of 1 in bf16 after ten steps of half what rounding needs."""
    module = ones(torch.bfloat16, [1.0] * 4096)
    optimizer = low_precision_adamw(
        [module.weight], lr=1e-3, rounding=rounding, weight_decay=0.0, betas=(0.0, 0.0)
    )
    for _ in range(10):
        module.weight.grad = torch.ones_like(module.weight)
        optimizer.step()
    return float(module.weight.detach().float().mean())


def test_plain_adamw_loses_every_small_update():
    module = ones(torch.bfloat16, [1.0])
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    for _ in range(10):
        module.weight.grad = torch.ones_like(module.weight)
        optimizer.step()
    assert module.weight.item() == 1.0


def test_kahan_summation_keeps_small_updates():
    pytest.importorskip("optimi")
    assert ten_small_steps("kahan") == pytest.approx(0.99, abs=0.003)


@pytest.mark.slow
def test_stochastic_rounding_keeps_small_updates_on_average():
    pytest.importorskip("torchao")
    torch.manual_seed(0)
    assert ten_small_steps("stochastic") == pytest.approx(0.99, abs=0.003)
