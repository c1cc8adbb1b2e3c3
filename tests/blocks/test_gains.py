"""The gain of any activation: E[phi(z)^2]^(-1/2) for z from N(0, 1)."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from steadytrain.blocks import gain_for
from steadytrain.blocks.gains import gradient_factor
from steadytrain.core.errors import UnknownNameError, UsageError

KNOWN = {
    "relu": 1.4142,
    "leaky_relu": 1.4141,
    "gelu": 1.5335,
    "silu": 1.6765,
    "mish": 1.4868,
    "tanh": 1.5925,
    "sigmoid": 1.8462,
    "selu": 1.0,
    "identity": 1.0,
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_gain_of_a_named_activation(name):
    assert gain_for(name) == pytest.approx(KNOWN[name], abs=1e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_the_gain_is_that_of_a_million_samples(name):
    function = torch.relu if name == "relu" else getattr(functional, name, lambda x: x)
    z = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    sampled = function(z).double().square().mean().rsqrt().item()
    assert gain_for(name) == pytest.approx(sampled, rel=5e-3)


@given(slope=st.floats(-1.0, 1.0))
def test_a_leaky_slope_gives_the_closed_form(slope):
    closed = math.sqrt(2 / (1 + slope**2))
    assert gain_for(nn.LeakyReLU(slope)) == pytest.approx(closed, abs=1e-6)


@given(edge=st.floats(-2.0, 2.0))
def test_a_jump_between_the_nodes_is_seen_to_a_thousandth(edge):
    share = 0.5 * math.erfc(edge / math.sqrt(2))
    assert gain_for(lambda x: (x > edge).double()) == pytest.approx(share**-0.5, rel=1e-3)


@given(edge=st.floats(0.1, 3.0))
def test_kinks_away_from_zero_are_seen_to_a_thousandth(edge):
    density = math.exp(-(edge**2) / 2) / math.sqrt(2 * math.pi)
    inside = math.erf(edge / math.sqrt(2))
    moment = inside - 2 * edge * density + edge**2 * (1 - inside)
    assert gain_for(nn.Hardtanh(-edge, edge)) == pytest.approx(moment**-0.5, rel=1e-3)


def test_torch_has_no_gain_for_gelu_and_another_one_for_sigmoid_and_selu():
    with pytest.raises(ValueError, match="gelu"):
        nn.init.calculate_gain("gelu")
    assert nn.init.calculate_gain("sigmoid") == 1
    assert nn.init.calculate_gain("selu") == 0.75


def test_a_random_activation_counts_as_it_is_in_evaluation():
    slope = (1 / 8 + 1 / 3) / 2
    assert gain_for(nn.RReLU()) == pytest.approx(math.sqrt(2 / (1 + slope**2)), abs=1e-6)
    assert gain_for(nn.Dropout(0.5)) == pytest.approx(1.0)


def test_a_module_keeps_its_mode_and_the_random_numbers_go_on_as_before():
    module = nn.Sequential(nn.RReLU(), nn.GELU())
    before = torch.get_rng_state()
    gain_for(module)
    assert module.training
    assert module[0].training
    assert torch.equal(before, torch.get_rng_state())


def test_slopes_that_were_learned_per_channel_count():
    module = nn.PReLU(3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.0, 0.5, 1.0]))
    assert gain_for(module) == pytest.approx(math.sqrt(2 / (1 + 1.25 / 3)), abs=1e-6)


def test_works_in_half_precision_and_under_another_default_type():
    torch.set_default_dtype(torch.float64)
    try:
        assert gain_for(nn.PReLU().half()) == pytest.approx(math.sqrt(2 / 1.0625), abs=1e-6)
    finally:
        torch.set_default_dtype(torch.float32)


def test_another_operating_variance_has_another_gain_unless_scale_is_free():
    assert gain_for("relu", variance=0.01) == pytest.approx(gain_for("relu"))
    assert gain_for("tanh", variance=0.01) == pytest.approx(1.0099, abs=1e-4)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (torch.log, "not finite"),
        (lambda x: torch.exp(x.square()), "not finite"),
        (lambda x: 0 * x, "zero for every normal input"),
        (nn.Softmax(-1), "mixes the elements"),
        (nn.GLU(), "cannot be applied to a vector"),
        (lambda x: functional.dropout(x, 0.5), "different numbers each time"),
        (lambda x: x.sum(), "expected one real number"),
        (lambda x: x + 1j, "complex"),
        (3.0, "a name, a module or a function"),
    ],
)
def test_what_has_no_gain_is_refused(activation, message):
    with pytest.raises(UsageError, match=message):
        gain_for(activation)


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="gelu"):
        gain_for("gellu")


@pytest.mark.parametrize("variance", [0.0, -1.0, math.nan, math.inf])
def test_a_variance_that_is_none_is_refused(variance):
    with pytest.raises(UsageError, match="positive number"):
        gain_for("relu", variance=variance)


def test_the_gain_that_holds_the_signal_does_not_hold_the_gradient():
    """Only scale-free activations have both: the others multiply gradients at every layer."""
    assert gradient_factor("relu") == pytest.approx(1.0)
    growth = {name: gradient_factor(name) ** 49 for name in ("gelu", "silu", "selu", "tanh")}
    assert all(20 < factor < 40 for name, factor in growth.items() if name != "tanh")
    assert growth["tanh"] > 2000
