import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from steadytrain.core.errors import UsageError
from steadytrain.optim import UpdateClip

LR, BETAS, EPS, DECAY = 0.1, (0.9, 0.99), 1e-8, 0.01


def stepped(optimizer, weight, sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for size in sizes:
        weight.grad = torch.randn(weight.shape, generator=generator) * size
        optimizer.step()
    return weight.detach().clone()


def built(clip=True, shape=(5, 3), kind=AdamW, **options):
    weight = nn.Parameter(torch.ones(shape))
    optimizer = kind([weight], lr=LR, betas=BETAS, eps=EPS, **{"weight_decay": DECAY} | options)
    return weight, optimizer, UpdateClip(optimizer) if clip else None


def by_the_formula(sizes, shape=(5, 3), seed=0):
    """Adam with update clipping, written out in float64."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.ones(shape, dtype=torch.float64)
    m, v = torch.zeros_like(weight), torch.zeros_like(weight)
    for step, size in enumerate(sizes, start=1):
        grad = (torch.randn(shape, generator=generator) * size).double()
        m = BETAS[0] * m + (1 - BETAS[0]) * grad
        v = BETAS[1] * v + (1 - BETAS[1]) * grad**2
        m_hat, v_hat = m / (1 - BETAS[0] ** step), v / (1 - BETAS[1] ** step)
        rms = (grad**2 / v_hat.clamp(min=EPS**2)).mean().sqrt()
        rate = LR / max(1.0, float(rms))
        weight = weight * (1 - LR * DECAY) - rate * m_hat / (v_hat.sqrt() + EPS)
    return weight


SIZES = [1.0] * 5 + [50.0] + [1.0] * 3


@pytest.mark.parametrize("options", [{"foreach": True}, {"foreach": False}, {"fused": True}])
def test_every_implementation_takes_the_formulas_step(options):
    weight, optimizer, _ = built(**options)
    moved = stepped(optimizer, weight, SIZES)
    torch.testing.assert_close(moved.double(), by_the_formula(SIZES), rtol=1e-4, atol=1e-5)


def test_the_first_step_is_held_against_its_own_moment_not_against_zero():
    weight, optimizer, clip = built()
    moved = stepped(optimizer, weight, [1000.0])
    plain_weight, plain, _ = built(clip=False)
    assert torch.equal(moved, stepped(plain, plain_weight, [1000.0]))
    assert float(clip.rms[weight]) == pytest.approx(1.0, rel=1e-4)


def test_a_sudden_gradient_moves_the_weights_less():
    weight, optimizer, clip = built()
    plain_weight, plain, _ = built(clip=False)
    start, plain_start = (
        stepped(optimizer, weight, [1.0] * 50),
        stepped(plain, plain_weight, [1.0] * 50),
    )
    short = (stepped(optimizer, weight, [100.0]) - start).norm()
    long = (stepped(plain, plain_weight, [100.0]) - plain_start).norm()
    assert float(clip.rms[weight]) > 2.0
    assert float(short) < 0.6 * float(long)


def test_unsurprising_steps_keep_every_bit():
    weight, optimizer, _ = built()
    plain_weight, plain, _ = built(clip=False)
    sizes = [1.0, 0.9, 0.8, 0.5, 0.3]
    assert torch.equal(stepped(optimizer, weight, sizes), stepped(plain, plain_weight, sizes))


def test_the_optimizers_own_state_is_untouched():
    weight, optimizer, _ = built()
    plain_weight, plain, _ = built(clip=False)
    stepped(optimizer, weight, SIZES), stepped(plain, plain_weight, SIZES)
    ours, theirs = optimizer.state_dict()["state"][0], plain.state_dict()["state"][0]
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_maximised_objective_is_the_mirrored_minimised_one():
    weight, optimizer, _ = built()
    mirrored, maximising, _ = built(maximize=True)
    moved = stepped(optimizer, weight, [-size for size in SIZES])
    assert torch.equal(moved, stepped(maximising, mirrored, SIZES))


def test_adam_without_decay_is_shortened_like_adamw():
    weight, optimizer, _ = built(weight_decay=0.0)
    other_weight, other, _ = built(kind=Adam, weight_decay=0.0)
    assert torch.equal(stepped(optimizer, weight, SIZES), stepped(other, other_weight, SIZES))


def test_amsgrad_is_held_against_the_largest_moment():
    sizes = [1.0, 1000.0, *[1.0] * 500]
    weight, optimizer, clip = built(amsgrad=True)
    stepped(optimizer, weight, sizes)
    other_weight, other, other_clip = built()
    stepped(other, other_weight, sizes)
    assert float(clip.rms[weight]) < 0.3 * float(other_clip.rms[other_weight])


def test_complex_weights_count_both_parts():
    weight = nn.Parameter(torch.ones(3, dtype=torch.complex64))
    optimizer = AdamW([weight], lr=LR, betas=BETAS)
    clip = UpdateClip(optimizer)
    for size in (1.0, 1.0, 40.0):
        weight.grad = torch.full((3,), (1 + 1j) * size)
        optimizer.step()
    real = nn.Parameter(torch.ones(3, 2))
    other = AdamW([real], lr=LR, betas=BETAS)
    twin = UpdateClip(other)
    with torch.no_grad():
        real[:, 1] = 0.0
    for size in (1.0, 1.0, 40.0):
        real.grad = torch.full((3, 2), size)
        other.step()
    torch.testing.assert_close(torch.view_as_real(weight), real)
    assert float(clip.rms[weight]) == pytest.approx(float(twin.rms[real]))


def test_half_precision_weights_stay_finite():
    weight = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    optimizer = AdamW([weight], lr=LR)
    UpdateClip(optimizer)
    for size in (1e-3, 1e3):
        weight.grad = torch.full((4,), size, dtype=torch.bfloat16)
        optimizer.step()
    assert torch.isfinite(weight).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_that_the_loss_scaler_skips_is_left_alone(bad):
    weight, optimizer, _ = built(fused=True)
    stepped(optimizer, weight, [1.0, 50.0])
    before = weight.detach().clone()
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale((weight * torch.tensor(bad)).sum()).backward()
    scaler.step(optimizer)
    assert torch.equal(weight, before)


def test_parameters_without_a_gradient_stay_where_they_are():
    weight, optimizer, _ = built()
    stepped(optimizer, weight, [1.0, 50.0])
    before = weight.detach().clone()
    weight.grad = None
    optimizer.step()
    assert torch.equal(weight, before)


def test_after_removal_the_optimizer_steps_as_before():
    weight, optimizer, clip = built()
    clip.remove()
    plain_weight, plain, _ = built(clip=False)
    assert torch.equal(stepped(optimizer, weight, SIZES), stepped(plain, plain_weight, SIZES))


@pytest.mark.parametrize("max_rms", [0.0, -1.0, math.nan])
def test_a_limit_that_no_step_meets_is_refused(max_rms):
    with pytest.raises(UsageError, match="max_rms"):
        UpdateClip(built(clip=False)[1], max_rms)


def test_an_optimizer_without_a_second_moment_of_the_gradient_is_refused():
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(UsageError, match="got SGD"):
        UpdateClip(SGD([weight], lr=0.1))
    with pytest.raises(UsageError, match="Use AdamW"):
        UpdateClip(Adam([weight], weight_decay=0.1))
