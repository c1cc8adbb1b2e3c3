"""The gradient penalty of critics and the advantages of policies."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed, multiprocessing, nn

from steadytrain.blocks import gradient_penalty, normalize_advantages, qk_clip_
from steadytrain.core.errors import UsageError

# ---- gradient penalty


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 3, 4, 4)])
def test_a_linear_critics_penalty_is_known_exactly(shape):
    direction = torch.randn(math.prod(shape[1:]))

    def critic(x):
        return x.reshape(6, -1) @ direction

    penalty = gradient_penalty(critic, torch.randn(shape), torch.randn(shape), weight=2.0)
    torch.testing.assert_close(penalty, 2.0 * (direction.norm() - 1) ** 2)


def test_every_sample_has_its_own_slope():
    scales = torch.tensor([0.0, 1.0, 3.0])

    def critic(x, scale):
        return x[:, 0] * scale

    penalty = gradient_penalty(critic, torch.randn(3, 2), torch.randn(3, 2), scales, weight=1.0)
    torch.testing.assert_close(penalty, torch.tensor((1.0 + 0.0 + 4.0) / 3))


def test_one_sided_leaves_gentle_slopes_alone():
    def critic(x):
        return x.sum(dim=1) * torch.tensor([0.1, 3.0])

    penalty = gradient_penalty(
        critic, torch.zeros(2, 1), torch.ones(2, 1), weight=1, one_sided=True
    )
    torch.testing.assert_close(penalty, torch.tensor(2.0))


@pytest.mark.parametrize("order", [1, 2])
def test_the_root_at_a_slope_of_zero_does_not_turn_to_nan(order):
    critic = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    nn.init.zeros_(critic[0].weight)
    leaves = list(critic.parameters())
    found = gradient_penalty(critic, torch.randn(5, 3), torch.randn(5, 3))
    for _ in range(order):
        grads = torch.autograd.grad(found, leaves, create_graph=True, allow_unused=True)
        assert all(grad.isfinite().all() for grad in grads if grad is not None)
        found = sum(grad.square().sum() for grad in grads if grad is not None)


def test_a_slope_that_is_nan_is_not_taken_for_zero():
    penalty = gradient_penalty(lambda x: x.sum(1) * math.nan, torch.ones(2, 3), torch.ones(2, 3))
    assert penalty.isnan()


def test_each_sample_is_mixed_by_one_share():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(dim=1)

    gradient_penalty(critic, torch.zeros(5, 3, 4, 4), torch.ones(5, 3, 4, 4))
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert shares[:, 0].unique().numel() == 5


def test_the_penalty_teaches_the_critic_and_never_the_generator():
    critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    fake = torch.randn(5, 3, requires_grad=True)
    gradient_penalty(critic, torch.randn(5, 3), fake * 2).backward()
    assert critic[0].weight.grad.any()
    assert fake.grad is None


def test_training_with_it_brings_the_slope_to_one():
    critic = nn.Linear(3, 1)
    nn.init.constant_(critic.weight, 3.0)
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.02)
    for _ in range(50):
        optimizer.zero_grad()
        gradient_penalty(critic, torch.randn(4, 3), torch.randn(4, 3)).backward()
        optimizer.step()
    assert critic.weight.norm().item() == pytest.approx(1.0, abs=1e-3)


def test_half_precision_autocast_does_not_round_the_slopes():
    critic = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    for layer in (critic[0], critic[1]):
        nn.init.constant_(layer.weight, 1e-5)
    real, fake = torch.randn(4, 3), torch.randn(4, 3).half()
    with torch.autocast("cpu", dtype=torch.float16):
        rounded = torch.autograd.grad(critic(real.requires_grad_()).sum(), real)[0]
        penalty = gradient_penalty(critic, real, fake, weight=1.0, target=0.0)
    assert not rounded.any()
    assert penalty.item() / (3 * (4e-10) ** 2) == pytest.approx(1.0, rel=1e-3)


def test_without_gradients_it_is_a_number():
    critic = nn.Linear(3, 1)
    with torch.no_grad():
        penalty = gradient_penalty(critic, torch.randn(4, 3), torch.randn(4, 3))
    assert penalty.item() >= 0
    assert not penalty.requires_grad


def test_a_critic_with_batch_norm_has_no_slope_per_sample():
    critic = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(UsageError, match="1 is BatchNorm1d in training mode"):
        gradient_penalty(critic, torch.randn(4, 3), torch.randn(4, 3))
    assert gradient_penalty(critic.eval(), torch.randn(4, 3), torch.randn(4, 3)).isfinite()


@pytest.mark.parametrize(
    ("real", "fake", "options", "says"),
    [
        (torch.ones(4, 3), torch.ones(3, 3), {}, "must have one shape"),
        (torch.ones(4), torch.ones(4, 1), {}, "must have one shape"),
        (torch.ones(4, 3).int(), torch.ones(4, 3), {}, "must be floating"),
        (torch.ones(4, 3), torch.ones(4, 3), {"weight": math.nan}, "weight must be"),
        (torch.ones(4, 3), torch.ones(4, 3), {"target": -1.0}, "target must be"),
        (torch.ones(4, 3), torch.ones(4, 3), {"critic": torch.mean}, "score per sample"),
    ],
)
def test_a_penalty_that_cannot_be_is_refused(real, fake, options, says):
    options = {"critic": lambda x: x.sum(dim=1)} | options
    with pytest.raises(UsageError, match=says):
        gradient_penalty(options.pop("critic"), real, fake, **options)


# ---- advantages


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=30))
def test_advantages_are_the_textbooks_where_that_is_defined(values):
    advantages = torch.tensor(values, dtype=torch.float64)
    expected = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    found = normalize_advantages(advantages)
    if advantages.std() > 1e-6 * advantages.abs().max():
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    assert found.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e4])
@pytest.mark.parametrize("count", [1, 3, 1000])
def test_equal_advantages_and_a_single_one_give_exact_zeros(dtype, value, count):
    found = normalize_advantages(torch.full((count,), value, dtype=dtype))
    assert found.dtype == dtype
    assert not found.any()


def test_the_rounding_of_a_mean_is_not_amplified_to_noise():
    equal = torch.full((64,), 100.3)
    naive = (equal - equal.mean()) / (equal.std() + 1e-8)
    assert naive.abs().max() > 0.9
    assert not normalize_advantages(equal).any()


def test_a_large_offset_does_not_cancel_the_spread():
    advantages = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    found = normalize_advantages(1e10 + advantages)
    torch.testing.assert_close(found, advantages - 1.0, rtol=1e-6, atol=0)


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_only_entries_that_count_are_normalised(mask):
    advantages = torch.tensor([1.0, 5.0, -2.0, 4.0, 0.0, 9.0])
    mask = torch.tensor(mask)
    dirty = advantages.masked_fill(~mask, math.nan)
    found = normalize_advantages(dirty, mask)
    assert not found[~mask].any()
    if mask.any():
        assert torch.equal(found[mask], normalize_advantages(advantages[mask]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_advantages_do_not_overflow(dtype):
    found = normalize_advantages(torch.tensor([3e4, -3e4, 0.0], dtype=dtype))
    assert found.tolist() == [1.0, -1.0, 0.0]


def test_nonfinite_advantages_are_named():
    advantages = torch.zeros(2, 4)
    advantages[0, 1], advantages[1, 3] = math.nan, -math.inf
    with pytest.raises(
        UsageError, match=r"2 of 8 advantages are not finite, at \[0, 1\], \[1, 3\]:"
    ):
        normalize_advantages(advantages)
    with pytest.raises(UsageError, match=r"9 of 9 .* and others"):
        normalize_advantages(torch.full((9,), math.nan))


def test_nonfinite_advantages_can_be_kept_out_of_the_statistics():
    advantages = torch.tensor([1.0, math.nan, 2.0, math.inf, 3.0])
    found = normalize_advantages(advantages, nonfinite="keep")
    assert found[[0, 2, 4]].tolist() == [-1.0, 0.0, 1.0]
    assert found[1].isnan()
    assert found[3] == math.inf


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_no_advantages_stay_none(shape):
    assert normalize_advantages(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"advantages": torch.ones(3).int()}, "must be floating"),
        ({"mask": torch.ones(3)}, "mask must be boolean"),
        ({"mask": torch.ones(2, dtype=torch.bool)}, "one boolean per advantage"),
        ({"eps": 0.0}, "eps must be"),
        ({"eps": math.nan}, "eps must be"),
        ({"nonfinite": "drop"}, "'raise' or 'keep'"),
    ],
)
def test_advantages_that_cannot_be_are_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        normalize_advantages(**({"advantages": torch.ones(3)} | arguments))


# ---- over two ranks


def on_one_rank(rank, store):
    distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    try:
        advantages_are_those_of_all(rank)
        nan_on_one_rank_stops_both(rank)
        replicas_clip_by_the_largest_of_all(rank)
    finally:
        distributed.destroy_process_group()


def advantages_are_those_of_all(rank):
    everything = torch.tensor([1.0, 5.0, -2.0, 4.0, 0.0])
    mine = everything[:2] if rank == 0 else everything[2:]
    expected = normalize_advantages_alone(everything)
    torch.testing.assert_close(
        normalize_advantages(mine), expected[:2] if rank == 0 else expected[2:]
    )
    few = everything if rank == 0 else everything[:0]
    torch.testing.assert_close(normalize_advantages(few), expected[: len(few)])


def normalize_advantages_alone(advantages):
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def nan_on_one_rank_stops_both(rank):
    advantages = torch.tensor([1.0, math.nan if rank == 1 else 2.0])
    says = "another rank" if rank == 0 else r"at \[1\]"
    with pytest.raises(UsageError, match=says):
        normalize_advantages(advantages)


def replicas_clip_by_the_largest_of_all(rank):
    query, key = torch.ones(4, 2), torch.ones(4, 2)
    largest = [torch.tensor([400.0, math.nan]), torch.tensor([50.0, 200.0])][rank]
    assert qk_clip_(query, key, largest).tolist() == [0.25, 0.5]


@pytest.mark.slow
def test_two_ranks_share_their_statistics(tmp_path):
    multiprocessing.spawn(on_one_rank, (str(tmp_path / "store"),), nprocs=2)
