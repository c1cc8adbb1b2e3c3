"""Queries and keys: normalised, measured, clipped, reparametrised."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from steadytrain.blocks import QKNorm, max_attention_logit, qk_clip_, qk_norm, sigma_reparam
from steadytrain.core.errors import UsageError


def heads(queries=5, keys=7, num_heads=4, kv_heads=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(2, num_heads, queries, 8, generator=generator),
        torch.randn(2, kv_heads, keys, 8, generator=generator),
    )


def all_logits(query, key):
    key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    return query @ key.mT / math.sqrt(query.shape[-1])


# ---- qk-norm


@pytest.mark.parametrize(
    ("kind", "torchs"), [("rms", functional.rms_norm), ("layer", functional.layer_norm)]
)
def test_qk_norm_is_torchs_norm_over_the_width_of_a_head(kind, torchs):
    query, key = heads()
    for given_, normalized in zip((query, key), qk_norm(query, key, kind=kind), strict=True):
        assert torch.equal(normalized, torchs(given_, (8,), eps=1e-6))


def test_logits_stay_bounded_however_large_the_projections_grow():
    query, key = qk_norm(*(1e4 * tensor for tensor in heads()))
    assert all_logits(query, key).abs().max() <= math.sqrt(8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_half_precision_queries_whose_squares_overflow_are_normalised(dtype, kind):
    query, key = (3e3 * tensor for tensor in heads())
    normalized, _ = QKNorm(8, kind=kind)(query.to(dtype), key.to(dtype))
    assert normalized.dtype == dtype
    expected, _ = qk_norm(query.to(dtype).float(), key, kind=kind)
    torch.testing.assert_close(normalized.float(), expected, rtol=1e-2, atol=1e-2)


def test_under_autocast_the_dtype_stays_and_gains_learn_in_float32():
    norm = QKNorm(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        query, key = norm(*(tensor.bfloat16() for tensor in heads()))
    assert query.dtype == key.dtype == torch.bfloat16
    (query[:, :, 0].float().sum() + key[:, :, 0].float().sum()).backward()
    assert norm.query_gain.grad.dtype == torch.float32
    assert norm.query_gain.grad.isfinite().all()


def test_a_key_of_zeros_stays_zero_with_a_finite_gradient():
    query, key = heads()
    key = torch.zeros_like(key).requires_grad_()
    normalized = qk_norm(query, key)[1]
    normalized.sum().backward()
    assert not normalized.any()
    assert key.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"head_dim": 0}, "head_dim must be"),
        ({"head_dim": 8, "eps": 0.0}, "eps must be"),
        ({"head_dim": 8, "eps": math.nan}, "eps must be"),
        ({"head_dim": 8, "kind": "batch"}, "'rms' or 'layer'"),
    ],
)
def test_a_norm_that_cannot_be_is_refused_when_built(options, says):
    with pytest.raises(UsageError, match=says):
        QKNorm(**options)


def test_queries_that_were_not_split_into_heads_are_refused():
    with pytest.raises(UsageError, match="split them into heads"):
        QKNorm(8)(torch.randn(2, 5, 32), torch.randn(2, 5, 32))


# ---- the largest logit


@given(st.integers(1, 9), st.booleans())
def test_the_largest_logit_does_not_depend_on_the_chunks(chunk_size, is_causal):
    query, key = heads()
    logits = all_logits(query, key)
    if is_causal:
        logits = logits.masked_fill(~torch.ones(5, 7, dtype=torch.bool).tril(), -math.inf)
    found = max_attention_logit(query, key, is_causal=is_causal, chunk_size=chunk_size)
    torch.testing.assert_close(found, logits.amax(dim=(0, 2, 3)))


def test_the_largest_logit_of_a_masked_key_does_not_count():
    query, key = heads(kv_heads=4)
    query[..., 0], key[..., 3, :], key[..., 3, 0] = 1e3, 0.0, 1e3
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[:, 3] = True
    assert (max_attention_logit(query, key) > 1e5).all()
    expected = all_logits(query, key[..., [0, 1, 2, 4, 5, 6], :]).amax(dim=(0, 2, 3))
    found = max_attention_logit(query, key, key_padding_mask=padding)
    torch.testing.assert_close(found, expected)


def test_a_bias_counts_as_part_of_the_logit():
    query, key = heads()
    bias = torch.zeros(4, 1, 1)
    bias[2] = 50.0
    raised = max_attention_logit(query, key, bias=bias) - max_attention_logit(query, key)
    torch.testing.assert_close(raised, torch.tensor([0.0, 0.0, 50.0, 0.0]))


def test_a_head_with_nothing_to_see_has_no_largest_logit_and_nan_shows():
    query, key = heads()
    query[0, 3, 0, 0] = math.nan
    mask = torch.ones(4, 1, 1, dtype=torch.bool)
    mask[1] = False
    found = max_attention_logit(query, key, mask=mask)
    assert found[1] == -math.inf
    assert found.isnan().tolist() == [False, False, False, True]


def test_half_precision_logits_are_measured_beyond_their_range():
    query, key = (torch.full((1, 4, 8), 300.0, dtype=torch.float16) for _ in range(2))
    assert max_attention_logit(query, key, scale=1.0).item() == 8 * 300.0**2


@pytest.mark.parametrize("shape", [(5, 8), (3, 5, 8)])
def test_heads_that_cannot_share_keys_are_refused(shape):
    with pytest.raises(UsageError, match="heads"):
        max_attention_logit(torch.randn(shape), torch.randn(2, 5, 8)[: shape[0] - 1])


# ---- QK-clip


def projected(layer, x, num_heads):
    return layer(x).unflatten(-1, (num_heads, -1)).transpose(-2, -3)


def measured(query, key, x, num_heads, kv_heads):
    return max_attention_logit(
        projected(query, x, num_heads), projected(key, x, kv_heads), is_causal=True
    )


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
@torch.no_grad()
def test_after_the_clip_no_head_exceeds_the_threshold(kv_heads, balance):
    torch.manual_seed(0)
    x = torch.randn(2, 6, 10)
    query, key = nn.Linear(10, 32), nn.Linear(10, 8 * kv_heads)
    query.weight[8:24] *= 30
    before = measured(query, key, x, 4, kv_heads)
    threshold = before.sort().values[1].item()
    gamma = qk_clip_(
        query, key, before, num_kv_heads=kv_heads, threshold=threshold, balance=balance
    )
    after = measured(query, key, x, 4, kv_heads)
    torch.testing.assert_close(after, before * gamma)
    torch.testing.assert_close(after, before.clamp_max(threshold))


def test_a_head_below_the_threshold_keeps_its_weights_to_the_bit():
    query, key = torch.randn(8, 6), torch.randn(8, 6)
    kept = query[:4].clone(), key[:4].clone()
    qk_clip_(query, key, torch.tensor([100.0, 100.1]))
    assert torch.equal(query[:4], kept[0])
    assert torch.equal(key[:4], kept[1])


def test_keys_shared_by_several_heads_get_one_joint_factor_and_nothing_grows():
    query, key = torch.ones(8, 3), torch.ones(4, 3)
    gamma = qk_clip_(
        query, key, torch.tensor([50.0, 400.0, 400.0, 1600.0]), num_kv_heads=2, threshold=100.0
    )
    assert gamma.tolist() == [1.0, 0.25, 0.25, 0.0625]
    assert key[:, 0].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert query[:, 0].tolist() == [1.0, 1.0, 0.25, 0.25, 0.5, 0.5, 0.125, 0.125]


@pytest.mark.parametrize("largest", [math.nan, math.inf, -math.inf])
def test_a_largest_logit_that_is_not_finite_leaves_the_weights_alone(largest):
    query, key = torch.randn(8, 6), torch.randn(8, 6)
    kept = query.clone(), key.clone()
    gamma = qk_clip_(query, key, torch.tensor([largest, 1.0]))
    assert torch.equal(gamma, torch.ones(2))
    assert torch.equal(query, kept[0])
    assert torch.equal(key, kept[1])


def test_rows_of_a_fused_projection_are_clipped_in_place():
    fused = nn.Linear(6, 24)
    before = fused.weight.detach().clone()
    rows = [(fused.weight[part], fused.bias[part]) for part in (slice(0, 8), slice(8, 16))]
    qk_clip_(*rows, torch.tensor([400.0, 400.0]))
    torch.testing.assert_close(fused.weight[:16].detach(), before[:16] / 2)
    assert torch.equal(fused.weight[16:], before[16:])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"query": torch.ones(9, 6)}, "multiple of 2 heads"),
        ({"num_kv_heads": 3}, "multiple of 3 heads"),
        ({"max_logits": torch.ones(2, 2)}, r"got \[2, 2\]"),
        ({"threshold": math.nan}, "threshold must be"),
        ({"threshold": -1.0}, "threshold must be"),
        ({"balance": 1.5}, "balance must be"),
    ],
)
def test_a_clip_that_cannot_be_is_refused(change, says):
    arguments = {"query": torch.ones(8, 6), "key": torch.ones(8, 6), "max_logits": torch.ones(2)}
    with pytest.raises(UsageError, match=says):
        qk_clip_(**(arguments | change))


# ---- sigma reparametrisation


def sigma(layer):
    weight = layer.weight.detach()
    rows = weight.movedim(1, 0) if isinstance(layer, nn.ConvTranspose2d) else weight
    return torch.linalg.matrix_norm(rows.flatten(1).double(), 2).item()


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(30, 50), nn.Linear(1, 7), nn.Conv2d(5, 9, 3), nn.ConvTranspose2d(5, 9, 3)],
    ids=lambda layer: type(layer).__name__,
)
def test_the_largest_singular_value_is_the_gain_before_any_step(layer):
    sigma_reparam(layer.eval(), gain=2.5)
    assert sigma(layer) == pytest.approx(2.5, rel=1e-3)


def test_the_singular_value_is_followed_while_training():
    torch.manual_seed(0)
    layer = sigma_reparam(nn.Linear(20, 20))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.3)
    for _ in range(60):
        x = torch.randn(16, 20)
        (layer(x) - 3 * x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    gain = layer.parametrizations.weight[0].gain.item()
    assert gain > 1.5
    assert sigma(layer) == pytest.approx(gain, rel=0.02)


def test_evaluation_leaves_the_power_iteration_where_training_left_it():
    layer = sigma_reparam(nn.Linear(20, 20)).eval()
    with torch.no_grad():
        layer.parametrizations.weight.original.normal_()
    kept = layer.parametrizations.weight[0].v.clone()
    layer(torch.randn(3, 20))
    assert torch.equal(layer.parametrizations.weight[0].v, kept)
    layer.train()(torch.randn(3, 20))
    assert not torch.equal(layer.parametrizations.weight[0].v, kept)


def test_no_gain_given_keeps_what_the_model_computes():
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    x = torch.randn(4, 6)
    before = model(x)
    assert len(list(sigma_reparam(model, gain=None).parameters())) == 6
    torch.testing.assert_close(model(x), before)


def test_two_forwards_share_one_backward():
    layer = sigma_reparam(nn.Linear(6, 6))
    (layer(torch.randn(2, 6)) - layer(torch.randn(2, 6))).square().sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_scaling_the_weight_changes_nothing():
    layer = sigma_reparam(nn.Linear(6, 6)).eval()
    x = torch.randn(2, 6)
    before = layer(x)
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(1e3)
    torch.testing.assert_close(layer(x), before)


def test_a_weight_that_turned_zero_is_not_nan_and_comes_back():
    layer = sigma_reparam(nn.Linear(6, 6))
    weight = layer.parametrizations.weight.original
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.zero_()
        assert layer(torch.randn(2, 6)).isfinite().all()
        weight.copy_(kept)
    layer(torch.randn(2, 6)).sum().backward()
    assert sigma(layer) == pytest.approx(1.0, rel=1e-2)
    assert weight.grad.isfinite().all()


def test_it_can_be_taken_off_again():
    layer = sigma_reparam(nn.Linear(6, 6)).eval()
    x = torch.randn(2, 6)
    before = layer(x)
    parametrize.remove_parametrizations(layer, "weight")
    assert torch.equal(layer(x), before)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sigma_reparam(nn.ReLU()), "no parameter 'weight'"),
        (lambda: sigma_reparam(sigma_reparam(nn.Linear(2, 2))), "already"),
        (lambda: sigma_reparam(nn.LazyLinear(2)), "run one batch"),
        (lambda: sigma_reparam(nn.LayerNorm(4)), "two dimensions"),
        (lambda: sigma_reparam(nn.Linear(2, 2), gain=math.nan), "gain must be"),
        (lambda: sigma_reparam(nn.Linear(2, 2), num_iterations=0), "num_iterations must be"),
    ],
)
def test_what_cannot_be_reparametrised_is_refused(make, says):
    with pytest.raises(UsageError, match=says):
        make()


def test_a_zero_weight_is_refused_by_its_name_and_nothing_is_changed():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    nn.init.zeros_(model[1].weight)
    with pytest.raises(UsageError, match=r"1\.weight is zero"):
        sigma_reparam(model)
    assert not parametrize.is_parametrized(model[0])
