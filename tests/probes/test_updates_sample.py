"""The sample of a model's elements keeps to its budget and meets every column."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from steadytrain.probes import updates

SIZES = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=60)


@given(SIZES)
def test_the_sample_keeps_to_its_budget(sizes):
    cap = updates.per_tensor_cap(sizes)
    budget = max(updates.MIN_BUDGET, int(updates.MAX_SHARE * sum(sizes)))
    assert sum(min(size, cap) for size in sizes) <= budget + len(sizes) * updates.MIN_PER_TENSOR


@given(SIZES)
def test_a_small_model_is_sampled_whole_and_a_large_one_uses_its_budget(sizes):
    cap = updates.per_tensor_cap(sizes)
    budget = max(updates.MIN_BUDGET, int(updates.MAX_SHARE * sum(sizes)))
    sampled = sum(min(size, cap) for size in sizes)
    assert sampled == sum(sizes) if sum(sizes) <= budget else sampled >= budget - len(sizes)


@given(
    st.lists(st.integers(1, 12), min_size=0, max_size=4),
    st.integers(1, 400),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_a_comb_is_no_longer_than_allowed_and_never_leaves_the_tensor(shape, cap, is_complex):
    size = math.prod(shape)
    values = torch.arange(size, dtype=torch.float32).reshape(shape)
    values = torch.complex(values, values + 0.5) if is_complex else values
    teeth = updates.comb(nn.Parameter(values), cap)
    real = torch.view_as_real(values) if is_complex else values
    assert 1 <= teeth.numel() <= cap
    assert set(teeth.tolist()) <= set(real.flatten().tolist())
    assert len(set(teeth.tolist())) == teeth.numel()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 300))
@settings(deadline=None, max_examples=60)
def test_a_comb_meets_every_column_that_it_has_teeth_for(rows, columns, cap):
    matrix = torch.arange(columns, dtype=torch.float32).expand(rows, columns).contiguous()
    teeth = updates.comb(nn.Parameter(matrix), cap).tolist()
    assert all(len(set(teeth[at : at + columns])) == len(teeth[at : at + columns]) for at in range(0, len(teeth), columns))  # fmt: skip
    assert len(set(teeth)) == min(columns, len(teeth))


@pytest.mark.parametrize(
    "layout",
    [
        torch.arange(12.0).reshape(3, 4).t(),
        torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last),
        torch.tensor(3.0),
        torch.zeros(0, 3),
    ],
)
def test_a_whole_sample_holds_every_element_once(layout):
    teeth = updates.comb(nn.Parameter(layout), 1000)
    assert sorted(teeth.tolist()) == sorted(layout.flatten().tolist())


def test_a_tensor_with_gaps_is_sampled_inside_itself():
    wide = torch.arange(40.0).reshape(4, 10)
    teeth = updates.comb(nn.Parameter(wide[:, :3]), 2)
    assert teeth.tolist() == [0.0, 1.0]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=6),
    st.integers(1, 200),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
@settings(deadline=None, max_examples=60)
def test_parameter_norms_are_exact_and_updates_of_equal_size_too(shapes, cap, dtype):
    params = [nn.Parameter(torch.randn(shape).to(dtype)) for shape in shapes]
    sample = updates.make_sample(params, range(len(params)), cap)
    updates.remember(sample)
    with torch.no_grad():
        for param in params:
            param.copy_(torch.where(param > 0, 0.5, -0.5) + param)
    before = sample.before.clone()
    param_norm, update_norm = updates.measure(sample)
    assert len(before) == len(sample.after) == sum(view.numel() for view in sample.views)
    for place, param in enumerate(params):
        assert param_norm[place].item() == pytest.approx(param.double().norm().item(), rel=1e-4)
        tolerance = 0.1 if dtype is torch.bfloat16 else 1e-3
        expected = 0.5 * math.sqrt(param.numel())
        assert update_norm[place].item() == pytest.approx(expected, rel=tolerance)


def test_between_exact_norms_the_sample_tells_how_they_change():
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(300, 200) * scale) for scale in (1e-20, 1.0, 1e4)]
    params.append(nn.Parameter(torch.zeros(300, 200)))
    sample = updates.make_sample(params, range(len(params)), 4000)
    for step in range(10):
        updates.remember(sample)
        with torch.no_grad():
            for param in params:
                param += 0.02 * (param.square().mean().sqrt() + 1e-3) * torch.randn_like(param)
        norms, _ = updates.measure(sample, exactly=step == 0)
        exact = torch.stack([param.detach().norm() for param in params])
        assert torch.allclose(norms, exact, rtol=0.05 if step else 1e-6)
        grown = norms[1:3] / exact[1:3] - 1.0
        assert float(grown.abs().max()) < 2e-3
    updates.remember(sample)
    unchanged, _ = updates.measure(sample, exactly=True)
    again, _ = updates.measure(sample, exactly=False)
    assert torch.equal(unchanged, again)


def test_a_nonfinite_parameter_keeps_its_norm_nonfinite_between_exact_ones():
    param = nn.Parameter(torch.ones(300, 200))
    sample = updates.make_sample([param], [0], 100)
    with torch.no_grad():
        param[299, 198] = float("nan")
    updates.remember(sample)
    updates.measure(sample, exactly=True)
    norms, _ = updates.measure(sample, exactly=False)
    assert not bool(torch.isfinite(norms).any())


def test_many_equal_changes_are_summed_without_losing_any():
    param = nn.Parameter(torch.zeros(updates.MIN_BUDGET))
    sample = updates.make_sample([param], [0], updates.MIN_BUDGET)
    updates.remember(sample)
    with torch.no_grad():
        param += 0.1
    _, update_norm = updates.measure(sample)
    assert update_norm.item() == pytest.approx(0.1 * math.sqrt(updates.MIN_BUDGET), rel=1e-3)


def test_parameters_that_moved_elsewhere_are_noticed():
    param = nn.Parameter(torch.zeros(5))
    sample = updates.make_sample([param], [0], 10)
    assert updates.is_current(sample)
    param.data = torch.ones(5)
    assert not updates.is_current(sample)
