"""Norms, largest elements, zeros and non-finite counts of gradients of every kind."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.probes.gradients import (
    count_nonfinite,
    element_statistics,
    measured_norms,
    wide_norms,
)

NAN, INF = float("nan"), float("inf")
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64]


def sparse():
    """Uncoalesced: the first row is there twice."""
    values = torch.tensor([[3.0], [1.0], [3.0]])
    return torch.sparse_coo_tensor([[0, 2, 0]], values, (4, 1), check_invariants=True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(DTYPES),
            st.lists(st.integers(0, 70), min_size=0, max_size=2),
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(deadline=None, max_examples=80)
def test_of_any_mixture(kinds):
    grads = [torch.randn(shape).to(dtype) for dtype, shape in kinds]
    norms = measured_norms(grads)
    largest, zeros = element_statistics(grads)
    for place, grad in enumerate(grads):
        wide = grad.to(torch.complex128) if grad.is_complex() else grad.double()
        assert norms[place].item() == pytest.approx(wide.norm().item(), rel=1e-4)
        parts = torch.view_as_real(wide) if grad.is_complex() else wide
        if grad.numel():
            assert largest[place].item() == pytest.approx(parts.abs().max().item(), rel=1e-3)
            assert zeros[place].item() == pytest.approx((parts == 0).double().mean().item())
        else:
            assert largest[place].isnan()


def test_no_gradients_have_no_norms():
    assert measured_norms([]).shape == (0,)
    assert count_nonfinite([]).shape == (0,)


def test_a_sparse_gradient_counts_what_it_adds_up_to():
    grads = [sparse(), torch.ones(4)]
    assert measured_norms(grads).tolist() == pytest.approx([37**0.5, 2.0])
    assert wide_norms(grads).tolist() == pytest.approx([37**0.5, 2.0])
    assert element_statistics(grads)[0].tolist() == [6.0, 1.0]
    assert count_nonfinite([sparse() * NAN, torch.ones(4)]).tolist() == [2, 0]


def test_a_norm_of_half_precision_does_not_overflow_in_it():
    grads = [torch.full((16,), 60000.0, dtype=torch.float16)]
    assert measured_norms(grads).tolist() == pytest.approx([240000.0])


def test_what_has_no_norm_here_is_not_measured():
    meta = torch.ones(3, device="meta")
    assert measured_norms([torch.ones(4), torch.ones(3, dtype=torch.int64)])[1].isnan()
    assert wide_norms([meta]).isnan().all()
    assert count_nonfinite([meta]).isnan().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_nonfinite_element_is_counted_once(dtype):
    grad = torch.ones(10).to(dtype)
    grad[1], grad[4], grad[7] = NAN, INF, -INF
    assert count_nonfinite([grad, torch.ones(3)]).tolist() == [3, 0]


def test_huge_norms_are_exact_where_single_precision_overflows():
    grads = [torch.full((4,), 1e25), torch.full((4,), 3e38)]
    assert measured_norms(grads).isinf().all()
    assert wide_norms(grads).tolist() == pytest.approx([2e25, 6e38])
