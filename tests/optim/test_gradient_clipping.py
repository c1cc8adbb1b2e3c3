import math

import pytest
import torch
from torch import nn

from steadytrain.core.errors import UsageError
from steadytrain.optim import clip_grad_norm_, clip_grad_norm_per_tensor_, clip_grad_value_

INF, NAN = math.inf, math.nan


def holding(*grads):
    """Parameters that hold these gradients."""
    holders = []
    for grad in grads:
        grad = torch.as_tensor(grad)
        dtype = grad.dtype
        holder = nn.Parameter(torch.zeros(grad.shape, dtype=dtype))
        holder.grad = grad.clone()
        holders.append(holder)
    return holders


def random(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(4, 3), (4,), (), (2, 3, 3), (0, 5)]
    return [torch.randn(shape, generator=generator, dtype=dtype) * 3 for shape in shapes]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, INF, "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 1e6, INF])
@pytest.mark.parametrize("foreach", [None, True, False])
def test_finite_gradients_get_torchs_numbers_to_the_bit(norm_type, max_norm, foreach):
    ours, theirs = holding(*random()[:-1]), holding(*random()[:-1])
    total = clip_grad_norm_(ours, max_norm, norm_type, foreach=foreach)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type, foreach=foreach)
    assert torch.equal(total, expected)
    assert total.dtype == expected.dtype
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64, torch.complex128])
def test_wide_and_complex_gradients_get_torchs_numbers(dtype):
    ours, theirs = holding(*random(dtype=dtype)), holding(*random(dtype=dtype))
    total = clip_grad_norm_(ours, 1.0)
    torch.testing.assert_close(total, torch.nn.utils.clip_grad_norm_(theirs, 1.0))
    torch.testing.assert_close([a.grad for a in ours], [b.grad for b in theirs])


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_one_element_that_is_not_finite_does_not_spread(bad):
    holders = holding([1.0, bad, 3.0], [100.0])
    before = [holder.grad.clone() for holder in holders]
    total = clip_grad_norm_(holders, 1.0)
    assert not torch.isfinite(total)
    for holder, grad in zip(holders, before, strict=True):
        torch.testing.assert_close(holder.grad, grad, rtol=0, atol=0, equal_nan=True)


def test_torch_spreads_one_nan_over_every_gradient():
    holders = holding([1.0, NAN], [100.0])
    torch.nn.utils.clip_grad_norm_(holders, 1.0)
    assert torch.isnan(holders[1].grad).all()


@pytest.mark.parametrize("bad", [NAN, INF])
def test_raises_for_what_is_not_finite_where_asked_to(bad):
    holders = holding([1.0, bad])
    with pytest.raises(RuntimeError, match="not finite"):
        clip_grad_norm_(holders, 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("size", [1e20, 3e38])
def test_huge_finite_gradients_are_no_silent_zero_step(size):
    holders = holding([size] * 4, [0.0])
    total = clip_grad_norm_(holders, 1.0, error_if_nonfinite=True)
    assert float(total) == pytest.approx(2 * size)
    torch.testing.assert_close(holders[0].grad, torch.full((4,), 0.5))


def test_torch_makes_huge_finite_gradients_a_silent_zero_step():
    holders = holding([1e20] * 4)
    torch.nn.utils.clip_grad_norm_(holders, 1.0)
    assert not holders[0].grad.any()


@pytest.mark.parametrize(("size", "norm_type"), [(1e200, 2.0), (1e30, 30.0)])
def test_a_power_that_overflows_float64_does_not_either(size, norm_type):
    holders = holding(torch.full((4,), size, dtype=torch.float64))
    total = clip_grad_norm_(holders, 1.0, norm_type)
    assert float(total) == pytest.approx(size * 4 ** (1 / norm_type))
    assert float(holders[0].grad.norm(p=norm_type)) == pytest.approx(1.0)


def test_a_half_precision_norm_above_65504_is_no_silent_zero_step():
    holders = holding(torch.full((10_000,), 1e4, dtype=torch.float16))
    total = clip_grad_norm_(holders, 100.0)
    assert total.dtype is torch.float32
    assert float(total) == pytest.approx(1e6, rel=1e-5)
    torch.testing.assert_close(holders[0].grad, torch.full((10_000,), 1.0, dtype=torch.float16))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_accumulated_in_float32(dtype):
    grads = [torch.full((4096,), 0.01, dtype=dtype), torch.ones(3, dtype=dtype)]
    exact = torch.cat([grad.double() for grad in grads]).norm()
    torch.testing.assert_close(
        clip_grad_norm_(holding(*grads), INF).double(), exact, rtol=1e-6, atol=0
    )


def test_dtypes_side_by_side_share_one_norm():
    holders = holding(
        torch.ones(4).half(), torch.ones(4).bfloat16(), torch.ones(4), torch.ones(4).double()
    )
    assert float(clip_grad_norm_(holders, 1.0)) == pytest.approx(4.0)
    assert [float(holder.grad[0]) for holder in holders] == pytest.approx([0.25] * 4, rel=1e-3)


def test_a_shared_parameter_counts_once():
    (holder,) = holding([3.0, 4.0])
    assert float(clip_grad_norm_([holder, holder], 1.0)) == pytest.approx(5.0)
    torch.testing.assert_close(holder.grad, torch.tensor([0.6, 0.8]))


def test_entries_of_a_sparse_gradient_for_one_place_are_summed_first():
    indices = torch.tensor([[0, 0, 2]])
    grad = torch.sparse_coo_tensor(
        indices, torch.tensor([1.0, 2.0, 4.0]), (3,), check_invariants=True
    )
    (holder,) = holding(torch.zeros(3))
    holder.grad = grad
    assert float(clip_grad_norm_([holder], 1.0)) == pytest.approx(5.0)
    torch.testing.assert_close(holder.grad.to_dense(), torch.tensor([0.6, 0.0, 0.8]))


def test_an_embeddings_sparse_gradient_beside_dense_ones_is_clipped():
    model = nn.Sequential(nn.Embedding(5, 4, sparse=True), nn.Linear(4, 2))
    model(torch.tensor([1, 1, 3])).sum().mul(100).backward()
    dense = torch.cat([p.grad.to_dense().flatten() for p in model.parameters()])
    assert float(clip_grad_norm_(model.parameters(), 1.0)) == pytest.approx(float(dense.norm()))
    after = torch.cat([p.grad.to_dense().flatten() for p in model.parameters()])
    assert float(after.norm()) == pytest.approx(1.0, rel=1e-5)


def test_no_gradients_have_the_norm_zero():
    assert clip_grad_norm_([nn.Parameter(torch.ones(2))], 1.0) == torch.tensor(0.0)


def test_frozen_and_empty_parameters_are_passed_by():
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    holders = [frozen, *holding([3.0, 4.0], torch.zeros(0, 3))]
    assert float(clip_grad_norm_(holders, 1.0, INF)) == 4.0
    assert frozen.grad is None


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_norm_per_tensor_, clip_grad_value_])
def test_a_generator_that_was_read_before_is_refused(clip):
    generator = nn.Linear(2, 2).parameters()
    list(generator)
    with pytest.raises(UsageError, match="empty once it has been read"):
        clip(generator, 1.0)


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_norm_per_tensor_, clip_grad_value_])
@pytest.mark.parametrize("limit", [0.0, -1.0, NAN])
def test_a_limit_that_would_erase_or_decide_nothing_is_refused(clip, limit):
    with pytest.raises(UsageError, match="above zero"):
        clip(holding([1.0]), limit)


def test_parameter_groups_in_place_of_parameters_are_refused():
    with pytest.raises(UsageError, match="'dict' at place 0"):
        clip_grad_norm_([{"params": []}], 1.0)


def test_each_tensor_is_clipped_by_its_own_norm():
    holders = holding([3.0, 4.0], [0.3, 0.4], [NAN, 9.0], torch.full((4,), 1e20))
    norms = clip_grad_norm_per_tensor_(holders, 1.0)
    torch.testing.assert_close(norms, torch.tensor([5.0, 0.5, NAN, 2e20]), equal_nan=True)
    torch.testing.assert_close(holders[0].grad, torch.tensor([0.6, 0.8]))
    assert torch.equal(holders[1].grad, torch.tensor([0.3, 0.4]))
    assert float(holders[2].grad[1]) == 9.0
    torch.testing.assert_close(holders[3].grad, torch.full((4,), 0.5))


@pytest.mark.parametrize("foreach", [None, False])
def test_values_are_clipped_as_torch_clips_them(foreach):
    ours, theirs = holding(*random()), holding(*random())
    clip_grad_value_(ours, 1.5, foreach=foreach)
    torch.nn.utils.clip_grad_value_(theirs, 1.5, foreach=foreach)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))


def test_values_of_a_sparse_gradient_are_clipped_after_they_are_summed():
    (holder,) = holding(torch.zeros(3))
    entries = torch.tensor([0.75, 0.75, -0.5])
    holder.grad = torch.sparse_coo_tensor(
        torch.tensor([[0, 0, 2]]), entries, (3,), check_invariants=True
    )
    clip_grad_value_([holder], 1.0)
    torch.testing.assert_close(holder.grad.to_dense(), torch.tensor([1.0, 0.0, -0.5]))


def test_values_of_a_complex_gradient_are_clipped_part_by_part():
    holders = holding(torch.tensor([3 - 0.5j, 0.25 + 9j]))
    clip_grad_value_(holders, 1.0)
    torch.testing.assert_close(holders[0].grad, torch.tensor([1 - 0.5j, 0.25 + 1j]))


def test_a_value_clip_leaves_a_nan_to_be_seen():
    holders = holding([NAN, 7.0])
    clip_grad_value_(holders, 1.0)
    torch.testing.assert_close(holders[0].grad, torch.tensor([NAN, 1.0]), equal_nan=True)
