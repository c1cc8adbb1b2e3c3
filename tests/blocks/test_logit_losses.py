"""What is done to logits and losses: the cap, the z-loss, and islands of float32."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from steadytrain.blocks import Float32Island, soft_cap, z_loss
from steadytrain.core.errors import UsageError

HALF = [torch.float16, torch.bfloat16]


# ---- soft cap


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30), st.floats(1e-3, 1e6))
def test_a_cap_bounds_and_keeps_the_order(one, other, cap):
    low, high = soft_cap(torch.tensor(sorted((one, other))), cap).tolist()
    assert -cap * (1 + 1e-6) <= low <= high <= cap * (1 + 1e-6)


def test_small_logits_pass_unchanged():
    logits = torch.linspace(-0.1, 0.1, 11)
    torch.testing.assert_close(soft_cap(logits, 30.0), logits, rtol=1e-5, atol=0)


def test_nan_is_not_hidden_and_infinity_is_the_cap():
    capped = soft_cap(torch.tensor([math.nan, math.inf, -math.inf]), 15.0)
    assert capped[0].isnan()
    assert capped[1:].tolist() == [15.0, -15.0]


def test_a_cap_kills_the_gradient_of_saturated_logits_and_the_z_loss_revives_it():
    logits = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    capped = soft_cap(logits, 15.0)
    (through_cap,) = torch.autograd.grad(capped[0, 0], logits)
    assert 5e-6 < through_cap[0, 0] < 7e-6
    (pull,) = torch.autograd.grad(z_loss(logits), logits)
    assert pull[0, 0] > 1000 * through_cap[0, 0]


@pytest.mark.parametrize("dtype", HALF)
def test_a_saturated_half_precision_logit_keeps_its_small_gradient(dtype):
    logits = torch.tensor([100.0], dtype=dtype, requires_grad=True)
    soft_cap(logits, 15.0).backward()
    naive = logits.detach().clone().requires_grad_()
    (15.0 * torch.tanh(naive / 15.0)).backward()
    assert naive.grad.item() == 0.0
    assert logits.grad.item() > 0.0


@pytest.mark.parametrize("cap", [0.0, -1.0, math.nan, math.inf, None])
def test_a_cap_that_bounds_nothing_is_refused(cap):
    with pytest.raises(UsageError, match="cap must be"):
        soft_cap(torch.zeros(3), cap)


# ---- z-loss


def test_the_z_loss_is_the_mean_square_of_the_normaliser():
    logits = torch.randn(3, 4, 9)
    expected = 0.1 * (logits.exp().sum(dim=-1).log() ** 2).mean()
    torch.testing.assert_close(z_loss(logits, weight=0.1), expected)


@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
def test_logits_beyond_88_do_not_overflow(dtype):
    logits = torch.tensor([[5e4, 100.0, -5e4]], dtype=dtype, requires_grad=True)
    loss = z_loss(logits, weight=1e-4)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(1e-4 * 5e4**2, rel=1e-2)
    assert logits.grad.isfinite().all()


@given(
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.floats(0, 4), min_size=6, max_size=6),
)
def test_only_positions_that_count_matter_by_their_weight(mask, weights):
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    mask, weights = torch.tensor(mask).view(2, 3), torch.tensor(weights).view(2, 3)
    counted = weights * mask
    squares = logits.logsumexp(dim=-1) ** 2
    expected = (counted * squares).sum() / counted.sum() if counted.sum() > 0 else torch.tensor(0.0)
    torch.testing.assert_close(z_loss(logits, 1.0, mask, weights), expected)


def test_a_padded_position_may_hold_nan():
    logits = torch.randn(4, 5)
    logits[1], logits[2] = math.nan, -math.inf
    logits.requires_grad_()
    keep = torch.tensor([True, False, False, True])
    loss = z_loss(logits, 1.0, mask=keep)
    loss.backward()
    torch.testing.assert_close(loss, z_loss(logits[keep], 1.0))
    assert not logits.grad[~keep].any()
    assert logits.grad.isfinite().all()


def test_gradients_of_any_order_are_those_of_the_formula():
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    mask, weights = torch.tensor([True, False, True, True]), torch.tensor([1.0, 2.0, 0.0, 0.5])

    def masked(logits):
        return z_loss(logits, 1.0, mask, weights)

    assert torch.autograd.gradcheck(masked, logits)
    assert torch.autograd.gradgradcheck(masked, logits)


def test_gradients_per_sample_by_vmap():
    logits, mask = torch.randn(3, 4, 5), torch.rand(3, 4) > 0.3
    slopes = torch.func.vmap(torch.func.grad(lambda x, kept: z_loss(x, 1.0, kept)))(logits, mask)
    alone = logits[1].clone().requires_grad_()
    z_loss(alone, 1.0, mask[1]).backward()
    torch.testing.assert_close(slopes[1], alone.grad)


def test_a_position_that_counts_shows_its_nan():
    logits = torch.randn(4, 5)
    logits[1] = math.nan
    assert z_loss(logits, mask=torch.ones(4, dtype=torch.bool)).isnan()


@pytest.mark.parametrize("shape", [(3, 5), (0, 5)])
def test_a_batch_masked_throughout_costs_nothing_and_teaches_nothing(shape):
    logits = torch.randn(shape, requires_grad=True)
    nothing = torch.zeros(shape[:-1], dtype=torch.bool)
    for options in ({"mask": nothing}, {"token_weights": nothing.float()}):
        loss = z_loss(logits, 1.0, **options)
        (grad,) = torch.autograd.grad(loss, logits)
        assert loss.item() == 0.0
        assert not grad.any()
    assert z_loss(logits[:0], 1.0).item() == 0.0


@given(st.integers(1, 7))
def test_microbatches_add_up_to_the_large_batch_when_told_its_tokens(split):
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([True, False, True, True, True, False, True, True])
    whole = z_loss(logits, 1.0, mask)
    parts = [
        z_loss(logits[part], 1.0, mask[part], num_tokens=mask.sum())
        for part in (slice(split), slice(split, None))
    ]
    torch.testing.assert_close(sum(parts), whole)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"logits": torch.zeros(3, 4, dtype=torch.long)}, "logits must be floating"),
        ({"weight": -1e-4}, "not negative"),
        ({"weight": math.nan}, "not negative"),
        ({"mask": torch.ones(3)}, "mask must be boolean"),
        ({"mask": torch.ones(3, 4, dtype=torch.bool)}, "one number per position"),
        ({"token_weights": torch.ones(4)}, "one number per position"),
        ({"num_tokens": 0}, "num_tokens must be positive"),
    ],
)
def test_a_z_loss_that_cannot_be_meant_is_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        z_loss(**({"logits": torch.zeros(3, 4)} | arguments))


# ---- islands of float32


def mean_square(x):
    return x.square().mean(dim=-1)


@pytest.mark.parametrize("dtype", HALF)
def test_an_island_computes_in_float32_and_casts_back(dtype):
    seen = []
    island = Float32Island(lambda x: seen.append(x.dtype) or x.softmax(dim=-1))
    result = island(torch.randn(3, 4, dtype=dtype))
    assert seen == [torch.float32]
    assert result.dtype == dtype


def test_a_loss_need_not_be_rounded_again():
    big = torch.full((2, 4), 300.0, dtype=torch.float16)
    assert mean_square(big).isinf().all()
    loss = Float32Island(mean_square, output="float32")(big)
    assert loss.dtype == torch.float32
    assert loss.tolist() == [9e4, 9e4]


def test_autocast_does_not_reach_the_island():
    seen = []
    island = Float32Island(lambda x: seen.append((x @ x.mT).dtype) or x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.eye(2) @ torch.eye(2)).dtype == torch.bfloat16
        island(torch.eye(2).bfloat16())
    assert seen == [torch.float32]


def test_casting_the_model_leaves_the_islands_weights_exact():
    model = nn.Sequential(nn.Linear(4, 4), Float32Island(nn.LayerNorm(4)))
    nn.init.constant_(model[1].inner.weight, 1.001)
    model.to(torch.bfloat16)
    assert model[0].weight.dtype == torch.bfloat16
    assert torch.equal(model[1].inner.weight, torch.full((4,), 1.001))
    assert model(torch.randn(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_half_precision_module_is_raised_when_it_comes_into_an_island():
    assert Float32Island(nn.LayerNorm(4).half()).inner.weight.dtype == torch.float32


def test_an_island_in_double_precision_stays_double():
    assert Float32Island(mean_square)(torch.randn(3, dtype=torch.float64)).dtype == torch.float64
    assert Float32Island(nn.Linear(2, 2)).double().inner.weight.dtype == torch.float64


def test_labels_and_nested_tensors_pass():
    loss = Float32Island(nn.CrossEntropyLoss(), output="float32")
    assert loss(torch.randn(3, 4).half(), torch.tensor([0, 1, 2])).dtype == torch.float32
    swapped = Float32Island(lambda pair, scale: {"pair": [part * scale for part in pair]})
    result = swapped((torch.ones(2).half(), torch.ones(2, dtype=torch.long)), scale=2)
    assert [part.dtype for part in result["pair"]] == [torch.float16, torch.long]


def test_running_statistics_survive_in_an_island():
    island = Float32Island(nn.BatchNorm1d(3)).to(torch.bfloat16)
    island(torch.randn(8, 3, dtype=torch.bfloat16) + 5)
    assert island.inner.running_mean.dtype == torch.float32
    assert (island.inner.running_mean > 0.3).all()


@pytest.mark.parametrize("options", [{"inner": torch.ones(2)}, {"inner": abs, "output": "half"}])
def test_an_island_around_nothing_is_refused(options):
    with pytest.raises(UsageError, match=r"an island wraps|output must be"):
        Float32Island(**options)
