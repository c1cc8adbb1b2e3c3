"""Residual blocks: what they add, what they start from, and how their sum grows with depth."""

import pytest
import torch
from torch import nn

from steadytrain.blocks import (
    LayerScale,
    NormalizerFree,
    NormPlacement,
    PreNormMLP,
    ReZero,
    RMSNorm,
    ScaledResidual,
    StochasticDepth,
    linear_drop_rates,
    normalizer_free_gain,
    residual_scale,
)
from steadytrain.core.errors import UnknownNameError, UsageError

DIM = 16


def features(count=6, dim=DIM):
    torch.manual_seed(0)
    return torch.randn(count, dim)


def rms(x):
    return x.detach().square().mean().sqrt().item()


def unit_branch(dim):
    """Linear, and keeps the size of what it is given."""
    return nn.utils.parametrizations.orthogonal(nn.Linear(dim, dim, bias=False))


FORMULAS = {
    "pre": lambda x, f, n, m: x + f(n(x)),
    "post": lambda x, f, n, m: n(x + f(x)),
    "sandwich": lambda x, f, n, m: x + m(f(n(x))),
    "reordered": lambda x, f, n, m: x + n(f(x)),
    "deepnorm": lambda x, f, n, m: n(2.5 * x + f(x)),
}


@pytest.mark.parametrize("placement", FORMULAS)
def test_each_placement_is_its_formula(placement):
    x, branch = features(), nn.Linear(DIM, DIM)
    alpha = 2.5 if placement == "deepnorm" else None
    block = NormPlacement(branch, DIM, placement, alpha=alpha)
    norms = [part for part in block.modules() if isinstance(part, RMSNorm)]
    for norm in norms:
        nn.init.uniform_(norm.weight)
    expected = FORMULAS[placement](x, branch, norms[0], norms[-1])
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(
    ("placement", "alpha", "message"),
    [
        ("deepnorm", None, r"needs alpha.*deepnorm_constants\(num_layers\)"),
        ("deepnorm", float("nan"), "alpha must be a finite number above 0"),
        ("pre", 2.0, "alpha belongs to placement 'deepnorm'"),
        ("prenorm", None, "unknown placement 'prenorm'.*Did you mean.* pre"),
    ],
)
def test_a_placement_that_cannot_be_meant_is_refused(placement, alpha, message):
    with pytest.raises(UsageError, match=message):
        NormPlacement(nn.Identity(), DIM, placement, alpha=alpha)


class Masked(nn.Module):
    def forward(self, x, mask, *, factor):
        return x * mask * factor


@pytest.mark.parametrize("block", [ScaledResidual, ReZero, lambda f: NormPlacement(f, DIM, "post")])
def test_further_arguments_go_to_the_branch(block):
    x, mask = features(), torch.zeros(DIM)
    out = block(Masked())(x, mask, factor=2.0)
    expected = RMSNorm(DIM)(x) if isinstance(block(Masked()), NormPlacement) else x
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    "block", [ScaledResidual, ReZero, NormalizerFree, lambda f: NormPlacement(f, DIM)]
)
def test_a_branch_of_another_shape_is_refused_and_not_broadcast(block):
    with pytest.raises(UsageError, match=r"must keep the shape \(6, 16\), it gave \(6, 1\)"):
        block(nn.Linear(DIM, 1))(features())


def test_a_plain_residual_sum_grows_with_depth_and_a_scaled_one_does_not():
    x, depth = features(256, 64), 64
    plain = nn.Sequential(*(ScaledResidual(branch_of_unit(64), 1.0) for _ in range(depth)))
    scale = residual_scale(depth)
    scaled = nn.Sequential(*(ScaledResidual(branch_of_unit(64), scale) for _ in range(depth)))
    assert rms(plain(x)) > 6
    assert 1.2 < rms(scaled(x)) < 1.6


def branch_of_unit(dim):
    return nn.Sequential(RMSNorm(dim), unit_branch(dim))


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_scale_that_is_no_number_is_refused(scale):
    with pytest.raises(UsageError, match="scale must be a finite number"):
        ScaledResidual(nn.Identity(), scale)


def test_rezero_starts_as_the_identity_and_moves_only_its_scalar_first():
    block, x = ReZero(nn.Linear(DIM, DIM)), features()
    block(x).square().sum().backward()
    assert torch.equal(block(x), x)
    assert block.alpha.grad.abs() > 0
    assert not block.branch.weight.grad.any()


def test_the_branch_behind_rezero_moves_from_the_second_step_on():
    block, x = ReZero(nn.Linear(DIM, DIM)), features()
    optimizer = torch.optim.AdamW(block.parameters(), lr=0.01, weight_decay=0.0)
    start = block.branch.weight.detach().clone()
    moved = []
    for _ in range(2):
        optimizer.zero_grad()
        block(x).square().sum().backward()
        optimizer.step()
        moved.append(bool((block.branch.weight != start).any()))
    assert moved == [False, True]


def test_layer_scale_scales_the_channels_and_nothing_else():
    scale = LayerScale(3, channel_dim=1)
    with torch.no_grad():
        scale.scale.copy_(torch.tensor([1.0, 2.0, 3.0]))
    y = scale(torch.ones(2, 3, 4, 5))
    assert torch.equal(y[:, 2], torch.full((2, 4, 5), 3.0))
    assert torch.equal(y[:, 0], torch.ones(2, 4, 5))


def test_stochastic_depth_drops_whole_samples_and_keeps_the_expectation():
    torch.manual_seed(0)
    y = StochasticDepth(0.3)(torch.ones(20_000, 3))
    assert torch.equal(y, y[:, :1].expand(-1, 3))
    assert abs(y.mean().item() - 1) < 4 * (0.3 / 0.7 / 20_000) ** 0.5


def test_stochastic_depth_at_rate_one_is_exactly_zero_with_a_finite_gradient():
    x = features().requires_grad_()
    y = StochasticDepth(1.0)(x)
    y.sum().backward()
    assert not y.any()
    assert not x.grad.any()


def test_a_dropped_sample_is_zero_even_where_the_branch_gave_nan():
    assert not StochasticDepth(1.0)(torch.full((3, 2), float("nan"))).any()


def test_stochastic_depth_does_nothing_in_eval_mode_or_at_rate_zero():
    x = features()
    assert StochasticDepth(0.9).eval()(x) is x
    assert StochasticDepth(0.0)(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_zero_to_one_is_refused(rate):
    with pytest.raises(UsageError, match="rate must be a share from 0 to 1"):
        StochasticDepth(rate)
    with pytest.raises(UsageError, match="max_rate must be a share"):
        linear_drop_rates(rate, 4)


def test_drop_rates_rise_to_the_last_block():
    assert linear_drop_rates(0.2, 4) == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert linear_drop_rates(1.0, 3)[-1] == 1.0


def test_a_dropped_branch_behind_a_norm_keeps_its_expectation():
    """Before the norm, the factor 1/(1 - rate) would be normalised away."""
    torch.manual_seed(0)
    block = NormPlacement(nn.Linear(DIM, DIM), DIM, "sandwich", drop_path=0.5)
    x = torch.randn(1, DIM).expand(20_000, DIM)
    kept = block.eval()(x)[0]
    torch.testing.assert_close(block.train()(x).mean(dim=0), kept, rtol=0, atol=0.05)


def test_a_normaliser_free_stack_expects_the_variance_that_it_has():
    x = features(512, 64)
    stack = NormalizerFree.stack([unit_branch(64) for _ in range(20)], alpha=0.5)
    for block in stack:
        assert x.var().item() == pytest.approx(block.expected_variance, rel=0.15)
        x = block(x)
    assert stack[-1].next_variance == pytest.approx(1 + 20 * 0.25)


def test_a_transition_starts_the_variance_again():
    block = NormalizerFree(
        nn.Linear(8, 4), expected_variance=9.0, alpha=0.5, transition=nn.Linear(8, 4)
    )
    assert block.next_variance == 1.25
    assert block(torch.randn(3, 8)).shape == (3, 4)


def test_the_gain_without_norms_is_by_variance_and_not_by_mean_square():
    """The variance of ReLU is (1 - 1/pi)/2, of GELU 0.3455 (the published 1.7015)."""
    assert normalizer_free_gain("relu") == pytest.approx((2 / (1 - 1 / torch.pi)) ** 0.5, abs=1e-4)
    assert normalizer_free_gain("gelu") == pytest.approx(1.7015, abs=1e-3)


def test_a_constant_activation_has_no_gain():
    with pytest.raises(UsageError, match="constant"):
        normalizer_free_gain(torch.ones_like)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh", nn.Mish])
def test_the_branch_of_a_pre_norm_mlp_starts_at_unit_variance(activation):
    x = features(512, 64)
    torch.manual_seed(1)
    block = PreNormMLP(64, activation=activation)
    assert rms(block(5 * x) - 5 * x) == pytest.approx(1, abs=0.15)


def test_blocks_built_from_one_activation_module_do_not_share_its_parameters():
    prelu = nn.PReLU()
    stack = nn.Sequential(PreNormMLP(8, activation=prelu), PreNormMLP(8, activation=prelu))
    slopes = [part.weight for part in stack.modules() if isinstance(part, nn.PReLU)]
    assert len({id(slope) for slope in (*slopes, prelu.weight)}) == 3


class PostActivation(nn.Module):
    """A block as a lesson on stability has it: the stream is never normalised, and the branch
    never negative."""

    def __init__(self, dim):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim), nn.ReLU())

    def forward(self, x):
        return x + self.branch(x)


def test_a_branch_that_ends_in_relu_grows_with_depth_and_a_scaled_pre_norm_one_does_not():
    x, depth = features(64, 64), 50
    lesson = nn.Sequential(*(PostActivation(64) for _ in range(depth)))
    scale = residual_scale(depth)
    ours = nn.Sequential(*(PreNormMLP(64, 64, scale=scale) for _ in range(depth)))
    assert rms(lesson(x)) > 15
    assert rms(ours(x)) < 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim must be a whole number"),
        ({"dropout": 1.5}, "dropout must be a share"),
        ({"scale": float("nan")}, "scale must be a finite number"),
    ],
)
def test_a_pre_norm_mlp_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        PreNormMLP(8, **options)


def test_an_unknown_activation_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="gelu"):
        PreNormMLP(8, activation="gelo")
