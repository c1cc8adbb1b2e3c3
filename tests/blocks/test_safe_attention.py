"""Attention with masks: zeros where nothing may be seen, torch's own numbers everywhere else."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from steadytrain.blocks import combine_masks, safe_attention
from steadytrain.core.errors import UsageError

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TOLERANCE = {torch.float16: 4e-3, torch.bfloat16: 4e-2, torch.float32: 2e-6, torch.float64: 1e-14}


def tensors(dtype=torch.float32, heads=2, kv_heads=2, queries=5, keys=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, heads, queries, 8), (2, kv_heads, keys, 8), (2, kv_heads, keys, 8)]
    made = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    return [tensor.requires_grad_() for tensor in made]


def gradients(output, inputs):
    return torch.autograd.grad(output.float().square().sum(), inputs)


def by_the_formula(query, key, value, mask, cap=None):
    """In float64, row by row, from the definition."""
    query, key, value = (tensor.detach().double() for tensor in (query, key, value))
    logits = query @ key.mT / math.sqrt(query.shape[-1])
    if cap is not None:
        logits = cap * (logits / cap).tanh()
    weights = logits.exp() * mask
    total = weights.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, weights / torch.where(total > 0, total, 1.0), 0.0) @ value


def textbook_attention(query, key, value, mask, *_, **__):
    """As its documentation writes it: 0 / 0 where a row is empty."""
    added = (
        mask if mask.is_floating_point() else torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
    )
    return (query @ key.mT / math.sqrt(query.shape[-1]) + added).softmax(dim=-1) @ value


@st.composite
def masks(draw):
    shape = draw(st.sampled_from([(5, 6), (1, 6), (2, 1, 5, 6), (2, 2, 5, 6), (2, 2, 1, 6)]))
    size = math.prod(shape)
    return torch.tensor(draw(st.lists(st.booleans(), min_size=size, max_size=size))).view(shape)


@given(masks())
def test_is_torch_to_the_bit_where_a_key_is_seen_and_zero_elsewhere(mask):
    query, key, value = tensors()
    output = safe_attention(query, key, value, mask=mask)
    sees = mask.any(dim=-1, keepdim=True)
    torchs = scaled_dot_product_attention(query, key, value, mask | ~sees)
    assert torch.equal(output, torch.where(sees, torchs, 0.0))


@given(masks(), st.sampled_from(DTYPES), st.sampled_from([None, 3.0]))
def test_is_the_formula_in_every_dtype(mask, dtype, cap):
    query, key, value = tensors(dtype)
    output = safe_attention(query, key, value, mask=mask, soft_cap=cap)
    expected = by_the_formula(query, key, value, mask, cap)
    assert output.dtype == dtype
    assert (output - expected).abs().max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cap", [None, 30.0])
def test_a_fully_masked_row_gives_exact_zero_and_zero_gradients(dtype, cap):
    query, key, value = inputs = tensors(dtype)
    mask = torch.ones(2, 1, 5, 6, dtype=torch.bool)
    mask[0, :, 2] = False
    output = safe_attention(query, key, value, mask=mask, soft_cap=cap)
    grads = gradients(output, inputs)
    assert not output[0, :, 2].any()
    assert not grads[0][0, :, 2].any()
    assert all(grad.isfinite().all() and grad.any() for grad in grads)


def test_the_zeros_do_not_depend_on_what_torchs_kernel_makes_of_an_empty_row(monkeypatch):
    """Kernels and versions differ there: zero, NaN, the mean of all values."""
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", textbook_attention)
    query, key, value = inputs = tensors()
    mask = torch.ones(5, 6, dtype=torch.bool).tril(-1)
    assert textbook_attention(query, key, value, mask)[:, :, 0].isnan().all()
    hiding = torch.zeros(5, 6).masked_fill(~mask, -math.inf)
    for options in ({"mask": mask}, {"mask": mask, "bias": torch.ones(5, 6)}, {"bias": hiding}):
        output = safe_attention(*inputs, **options)
        assert not output[:, :, 0].any()
        assert all(grad.isfinite().all() for grad in gradients(output, inputs))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sequence_of_padding_alone_sends_no_gradient_anywhere(dtype):
    inputs = tensors(dtype)
    padding = torch.tensor([[False] * 6, [True] * 6])
    output = safe_attention(*inputs, key_padding_mask=padding)
    assert not output[1].any()
    assert not any(grad[1].any() for grad in gradients(output, inputs))
    assert all(grad[0].any() for grad in gradients(safe_attention(*inputs), inputs))


@pytest.mark.parametrize("cap", [None, 30.0])
def test_nan_in_padding_does_not_spread(cap):
    clean = tensors()
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[0, 4:] = padding[1] = True
    query, key, value = dirty = [tensor.detach().clone() for tensor in clean]
    key[0, :, 4:] = value[0, :, 4:] = key[1] = query[1] = math.nan
    value[1] = math.inf
    outputs, grads = [], []
    for inputs in (clean, [tensor.requires_grad_() for tensor in dirty]):
        outputs.append(safe_attention(*inputs, key_padding_mask=padding, soft_cap=cap))
        grads.append(gradients(outputs[-1], inputs))
    assert torch.equal(*outputs)
    assert all(torch.equal(one, other) for one, other in zip(*grads, strict=True))


def test_without_restrictions_it_is_torchs_own_call():
    query, key, value = tensors(keys=5)
    assert torch.equal(
        safe_attention(query, key, value, is_causal=True, scale=0.3),
        scaled_dot_product_attention(query, key, value, is_causal=True, scale=0.3),
    )


def test_causal_and_padding_hold_together():
    query, key, value = tensors()
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[1, :2] = True
    causal = torch.ones(5, 6, dtype=torch.bool).tril()
    output = safe_attention(query, key, value, key_padding_mask=padding, is_causal=True)
    expected = by_the_formula(query, key, value, causal & ~padding[:, None, None])
    torch.testing.assert_close(output.double(), expected, rtol=0, atol=2e-6)
    assert not output[1, :, :2].any()


def test_padding_is_true_as_in_multihead_attention():
    torchs = torch.nn.MultiheadAttention(8, 1, bias=False, batch_first=True).eval()
    x = torch.randn(2, 6, 8)
    padding = torch.tensor([[False] * 6, [False] * 4 + [True] * 2])
    expected, _ = torchs(x, x, x, key_padding_mask=padding, need_weights=False)
    query, key, value = (x @ torchs.in_proj_weight.mT).chunk(3, dim=-1)
    output = torchs.out_proj(safe_attention(query, key, value, key_padding_mask=padding))
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_lowest_number_does_not_become_uniform_attention_over_padding(dtype):
    query, key, value = inputs = tensors(dtype)
    bias = torch.full((5, 6), torch.finfo(dtype).min, dtype=dtype)
    bias[0] = 0
    output = safe_attention(query, key, value, bias=bias)
    assert scaled_dot_product_attention(query, key, value, bias)[:, :, 1:].any()
    assert not output[:, :, 1:].any()
    assert all(grad.isfinite().all() for grad in gradients(output, inputs))


def test_the_lowest_number_plus_a_bias_does_not_overflow_to_nan():
    inputs = tensors(torch.float16)
    mask = torch.zeros(5, 6, dtype=torch.bool)
    lowest = torch.full((5, 6), torch.finfo(torch.float16).min, dtype=torch.float16)
    added = lowest + torch.full_like(lowest, -100.0)
    assert (lowest + added).isinf().all()
    output = safe_attention(*inputs, mask=mask, bias=torch.full_like(lowest, -100.0))
    assert not output.any()
    assert not any(grad.any() for grad in gradients(output, inputs))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bias_of_minus_1e9_fits_into_half_precision(dtype):
    inputs = tensors(dtype)
    bias = torch.zeros(5, 6)
    bias[1], bias[2, :3] = -1e9, -1e9
    output = safe_attention(*inputs, bias=bias)
    assert output.isfinite().all()
    assert all(grad.isfinite().all() for grad in gradients(output, inputs))


def test_a_row_of_minus_1e9_is_not_rounded_to_minus_infinity(monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", textbook_attention)
    bias = torch.full((5, 6), -1e9)
    assert safe_attention(*tensors(torch.float16), bias=bias).isfinite().all()


@pytest.mark.parametrize("cap", [None, 30.0])
def test_a_learned_bias_learns_where_it_is_seen_and_only_there(cap):
    inputs = tensors()
    bias = torch.randn(2, 5, 6, requires_grad=True)
    mask = torch.ones(5, 6, dtype=torch.bool).tril(-1)
    output = safe_attention(*inputs, mask=mask, bias=bias, soft_cap=cap)
    (grad,) = gradients(output, [bias])
    assert grad.isfinite().all()
    assert torch.equal(grad != 0, (mask & (mask.sum(-1, keepdim=True) > 1)).expand(2, 5, 6))


def test_a_bias_is_torchs_additive_mask():
    inputs, bias = tensors(), torch.randn(2, 1, 5, 6)
    assert torch.equal(
        safe_attention(*inputs, bias=bias), scaled_dot_product_attention(*inputs, bias)
    )


def test_a_nan_in_the_bias_is_not_taken_for_a_mask():
    bias = torch.zeros(5, 6)
    bias[3, 1] = math.nan
    assert safe_attention(*tensors(), bias=bias)[:, :, 3].isnan().all()


def test_a_masked_logit_does_not_come_back_through_the_cap():
    query, key, value = tensors()
    mask = torch.tensor([True, True, True, False, False, False])
    output = safe_attention(query, key, value, mask=mask, soft_cap=1.0)
    shorter = safe_attention(query, key[..., :3, :], value[..., :3, :], soft_cap=1.0)
    torch.testing.assert_close(output, shorter)


@pytest.mark.parametrize("cap", [None, 1e4])
@pytest.mark.parametrize("mask", [None, torch.ones(5, 6, dtype=torch.bool).tril()])
def test_query_heads_share_key_heads(cap, mask):
    query, key, value = tensors(heads=6, kv_heads=2)
    output = safe_attention(query, key, value, mask=mask, soft_cap=cap, enable_gqa=True)
    torchs = scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)
    torch.testing.assert_close(output, torchs, rtol=1e-4, atol=1e-5)


def test_dropout_is_torchs():
    inputs, mask = tensors(), torch.ones(5, 6, dtype=torch.bool)
    torch.manual_seed(1)
    dropped = safe_attention(*inputs, mask=mask, dropout=0.5)
    torch.manual_seed(1)
    assert torch.equal(dropped, scaled_dot_product_attention(*inputs, mask, 0.5))
    assert not torch.equal(dropped, safe_attention(*inputs, mask=mask))


@pytest.mark.parametrize("cap", [None, 30.0])
def test_no_keys_at_all_give_zeros(cap):
    query, key, value = tensors(keys=0)
    mask = torch.ones(5, 0, dtype=torch.bool)
    assert not safe_attention(query, key, value, mask=mask, soft_cap=cap).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cap", [None, 30.0])
def test_autocast_decides_the_dtype(dtype, cap):
    inputs = tensors()
    bias = torch.zeros(5, 6)
    bias[2] = -1e9
    with torch.autocast("cpu", dtype=dtype):
        output = safe_attention(*inputs, bias=bias, soft_cap=cap)
    assert output.dtype == dtype
    assert output.isfinite().all()


def test_logits_beyond_half_precision_stay_finite_under_a_cap():
    query, key, value = (200 * tensor for tensor in tensors(torch.float16))
    output = safe_attention(query, key, value.detach() / 200, soft_cap=50.0)
    assert output.isfinite().all()


@given(st.lists(masks(), max_size=3))
def test_masks_combine_as_booleans(several):
    combined = combine_masks(*several, None)
    if not several:
        assert combined is None
        return
    expected = torch.stack([mask.expand(2, 2, 5, 6) for mask in several]).all(dim=0)
    assert torch.equal(combined.expand(2, 2, 5, 6), expected)


def test_several_masks_are_one():
    inputs = tensors()
    one = torch.ones(5, 6, dtype=torch.bool).tril()
    other = torch.ones(2, 1, 1, 6, dtype=torch.bool)
    other[1, ..., 0] = False
    both = safe_attention(*inputs, mask=(one, None, other))
    assert torch.equal(both, safe_attention(*inputs, mask=one & other))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mask": torch.zeros(5, 6)}, "numbers to add to the logits go in bias="),
        ({"mask": torch.ones(5, 6, dtype=torch.long)}, "mask=numbers != 0"),
        ({"mask": torch.ones(2, 6, dtype=torch.bool)}, "key_padding_mask="),
        ({"mask": [torch.ones(5, 6) > 0, torch.ones(4, 6) > 0]}, "do not broadcast together"),
        ({"bias": torch.ones(5, 6, dtype=torch.bool)}, "goes in mask="),
        ({"bias": torch.ones(6, 5)}, "bias must broadcast"),
        ({"key_padding_mask": torch.ones(2, 6)}, "True = padding"),
        ({"key_padding_mask": torch.ones(6, dtype=torch.bool)}, r"= \[2, 6\], got \[6\]"),
        ({"dropout": math.nan}, "dropout must be a share"),
        ({"soft_cap": 0.0}, "soft_cap must be"),
        ({"soft_cap": math.nan}, "soft_cap must be"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, says):
    with pytest.raises(UsageError, match=says):
        safe_attention(*tensors(), **options)
