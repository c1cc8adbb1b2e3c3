"""A weight of which only the direction is used."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from steadytrain.blocks import scale_free
from steadytrain.core.errors import UsageError


def stored(layer):
    return layer.parametrizations.weight.original


def trained(stored_rms, rate):
    torch.manual_seed(0)
    layer = scale_free(nn.Linear(16, 16, bias=False), stored_rms=stored_rms)
    before = layer.weight.detach().clone()
    inputs = torch.randn(64, 16)
    optimizer = torch.optim.Adam(layer.parameters(), lr=rate, eps=1e-12)
    for _ in range(10):
        (layer(inputs) - inputs.flip(1)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return layer, before


def test_the_model_computes_what_it_did():
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    inputs = torch.randn(5, 8)
    before = model(inputs)
    assert torch.allclose(scale_free(model, stored_rms=0.01)(inputs), before, atol=1e-6)


def test_rate_and_stored_length_mean_the_same_together():
    first, _ = trained(stored_rms=0.1, rate=0.01)
    second, _ = trained(stored_rms=0.001, rate=0.0001)
    assert torch.allclose(first.weight, second.weight, atol=1e-5)


def test_the_stored_weight_grows_and_the_used_one_keeps_its_length():
    layer, before = trained(stored_rms=0.01, rate=0.1)
    assert stored(layer).norm() > 4 * 0.01 * 16
    assert torch.allclose(layer.weight.norm(), before.norm())
    assert not torch.allclose(layer.weight, before, atol=0.01)


def test_the_gradient_is_at_right_angles_to_the_weight():
    layer = scale_free(nn.Linear(6, 4))
    layer(torch.randn(3, 6)).square().sum().backward()
    weight, grad = stored(layer).detach(), stored(layer).grad
    assert abs(float((weight * grad).sum())) < 1e-5 * float(weight.norm() * grad.norm())


def test_an_embedding_is_taken_row_by_row_and_its_padding_stays_zero():
    embedding = scale_free(nn.Embedding(5, 8, padding_idx=2), rms=1.0)
    sizes = embedding.weight.detach().square().mean(dim=1)
    assert torch.allclose(sizes, torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0]))
    embedding(torch.tensor([0, 2])).sum().backward()
    assert torch.isfinite(stored(embedding).grad).all()


def test_half_precision_does_not_lose_a_short_weight():
    layer = scale_free(nn.Linear(8, 8), rms=1.0, stored_rms=1e-4).half()
    assert torch.allclose(layer.weight.float().square().mean(), torch.ones(()), atol=0.01)


def test_it_can_be_taken_off_again():
    layer = scale_free(nn.Linear(8, 4), stored_rms=0.01)
    inputs = torch.randn(2, 8)
    before = layer(inputs)
    parametrize.remove_parametrizations(layer, "weight")
    assert torch.equal(layer(inputs), before)


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    return model


def zero():
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    return layer


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (tied, "shared"),
        (zero, "no direction"),
        (nn.ReLU, "no parameter"),
        (lambda: nn.LayerNorm(4), "two dimensions"),
        (lambda: nn.LazyLinear(4), "not built yet"),
        (lambda: scale_free(nn.Linear(4, 4)), "already"),
    ],
)
def test_what_cannot_be_a_direction_is_refused(build, words):
    with pytest.raises(UsageError, match=words):
        scale_free(build())


def test_a_tied_head_is_refused_before_anything_changes():
    model = nn.ModuleDict({"embedding": nn.Embedding(6, 4), "head": nn.Linear(4, 6)})
    model["head"].weight = model["embedding"].weight
    with pytest.raises(UsageError, match=r"embedding\.weight"):
        scale_free(model)
    assert not parametrize.is_parametrized(model["head"])


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_lengths_must_be_positive(wrong):
    for name in ("rms", "stored_rms"):
        with pytest.raises(UsageError, match=name):
            scale_free(nn.Linear(2, 2), **{name: wrong})
