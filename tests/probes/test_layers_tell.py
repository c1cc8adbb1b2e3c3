"""What layers, optimizers and attention tell beside outputs and gradients."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from steadytrain.probes import attention, layers, moments
from steadytrain.probes.staleness import Sentinel


def told(module, source):
    return dict(layers.told(module, source, source.detach()))


def test_data_that_comes_from_outside_is_measured_where_it_is_read():
    data = torch.tensor([[2.0, 0.5], [4.0, -0.5]]).repeat(8, 1)
    mean, rms, largest, whole, ratio = told(nn.Linear(2, 3), data)[layers.DATA].tolist()
    assert mean == pytest.approx(1.5)
    assert rms == pytest.approx(math.sqrt((4 + 16 + 0.5) / 4))
    assert (largest, whole) == (4.0, 0.5)
    assert ratio == pytest.approx(math.sqrt(10) / 0.5)


def test_what_comes_from_inside_the_network_is_no_data():
    inner = torch.ones(4, 2, requires_grad=True) * 1.0
    assert layers.DATA not in told(nn.Linear(2, 3), inner)


def test_a_batch_norm_says_of_how_many_values_it_takes_its_statistics():
    samples, gap = told(nn.BatchNorm2d(3), torch.randn(2, 3, 4, 4))[layers.NORM].tolist()
    assert samples == 32
    assert gap >= 0
    assert layers.NORM not in told(nn.BatchNorm2d(3).eval(), torch.randn(2, 3, 4, 4))


def test_running_statistics_that_caught_up_have_no_gap():
    torch.manual_seed(0)
    norm, data = nn.BatchNorm1d(2, momentum=0.5), 5 + 3 * torch.randn(256, 2)
    before = told(norm, data)[layers.NORM][1]
    for _ in range(30):
        norm(data)
    after = told(norm, data)[layers.NORM][1]
    assert before > 1
    assert after < 0.05


def test_dropout_says_its_rate_in_training_only():
    assert told(nn.Dropout(0.9), torch.ones(2))[layers.DROPOUT].item() == pytest.approx(0.9)
    assert layers.DROPOUT not in told(nn.Dropout(0.9).eval(), torch.ones(2))


def test_equal_logits_spread_evenly_and_a_masked_one_does_not_count():
    logits = torch.zeros(1, 1, 4, 4)
    logits[..., 3] = -math.inf
    largest, entropy = attention.statistics(logits).tolist()
    assert largest == 0
    assert entropy == pytest.approx(1.0)


def test_one_large_logit_leaves_no_entropy():
    logits = torch.zeros(1, 1, 2, 5)
    logits[..., 1] = 80.0
    largest, entropy = attention.statistics(logits).tolist()
    assert largest == 80
    assert entropy < 1e-6


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_under_the_sight_is_the_same_to_the_bit_and_is_told(is_causal):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 2, 6, 4)
    plain = functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal)
    rows = []
    with attention.AttentionSight(rows.append):
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal)
    scores = query @ key.transpose(-1, -2) / 2
    counted = scores.tril() if is_causal else scores
    assert torch.equal(plain, seen)
    assert rows[0][0].item() == pytest.approx(counted.abs().max().item(), rel=1e-5)
    assert 0 < rows[0][1] <= 1


def test_a_softmax_by_hand_over_positions_is_seen_and_one_over_classes_is_not():
    rows = []
    with attention.AttentionSight(rows.append):
        torch.randn(2, 5, 5).softmax(dim=-1)
        torch.randn(8, 10).softmax(dim=-1)
    assert len(rows) == 1


def test_multihead_attention_is_measured_from_its_inputs():
    module, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(2, 5, 8)
    row = attention.of_module(module, (x, x, x))
    assert row is not None
    assert 0 < row[1] <= 1
    assert attention.of_module(nn.Linear(2, 2), (x,)) is None


def test_the_second_moment_of_a_steady_gradient_is_its_size():
    weight = nn.Parameter(torch.zeros(5, 4))
    optimizer = torch.optim.Adam([weight], lr=1e-3, eps=1e-3)
    for _ in range(3):
        weight.grad = torch.full_like(weight, 0.25)
        optimizer.step()
    found = {stat: value for stat, value, _ in moments.second_moments(optimizer, [weight], [0])}
    assert found["second_moment_rms"].item() == pytest.approx(0.25, rel=1e-4)
    assert found["eps_ratio"].item() == pytest.approx(4e-3, rel=1e-4)


def test_plain_gradient_descent_has_no_second_moment():
    weight = nn.Parameter(torch.zeros(2, 2))
    assert list(moments.second_moments(torch.optim.SGD([weight], lr=0.1), [weight], [0])) == []


def test_decay_is_told_by_how_it_is_applied():
    params = [nn.Parameter(torch.zeros(2))]
    coupled = torch.optim.Adam(params, weight_decay=0.1)
    decoupled = torch.optim.AdamW(params, weight_decay=0.1)
    assert moments.decay_of(coupled, coupled.param_groups[0]) == (0.1, 0.0)
    assert moments.decay_of(decoupled, decoupled.param_groups[0]) == (0.0, 0.1)


def test_rows_that_are_equal_are_counted():
    same, drawn = torch.ones(6, 3), torch.arange(18.0).view(6, 3)
    measured = moments.equal_rows([same, drawn, torch.ones(6)], [0, 1, 2])
    assert measured is not None
    assert (measured[1].tolist(), measured[2]) == ([1.0, 0.0], [0, 1])


def test_gradients_that_are_cleared_between_two_arrivals_are_noticed():
    param = nn.Parameter(torch.ones(2))
    sentinel = Sentinel(param)
    for _ in range(3):
        sentinel.arrive()
        param.grad = None
    assert sentinel.take_cleared() == 1.0
    sentinel.take()
    sentinel.arrive()
    param.grad = torch.ones(2)
    sentinel.arrive()
    assert sentinel.take_cleared() == 0.0
