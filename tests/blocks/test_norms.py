"""The norms of blocks: where torch's own, or another one of their name, goes wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from steadytrain.blocks import (
    ChannelLayerNorm,
    ConvNorm,
    GroupNorm,
    RMSNorm,
    ScaleNorm,
    WeightStandardizedConv2d,
    group_count,
    norm_for,
    refresh_spectral_norm,
    spectral_norm,
    weight_norm,
)
from steadytrain.core.errors import UnknownNameError, UsageError


def images(channels=16, *, count=4, side=5, seed=0):
    torch.manual_seed(seed)
    return torch.randn(count, channels, side, side)


def test_rms_norm_is_that_of_torch_with_the_same_epsilon():
    x = torch.randn(3, 7, 32, dtype=torch.float64)
    ours, theirs = RMSNorm(32, 1e-5).double(), nn.RMSNorm(32, 1e-5).double()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=0)


def test_rms_norm_without_epsilon_amplifies_a_nearly_dead_layer():
    dead = torch.full((1, 64), 1e-5)
    assert nn.RMSNorm(64)(dead).max() > 0.02
    assert RMSNorm(64)(dead).max() < 0.004


@pytest.mark.parametrize("eps", [None, 0.0, -1e-5, float("nan"), float("inf")])
@pytest.mark.parametrize("build", [RMSNorm, ScaleNorm, ChannelLayerNorm])
def test_an_epsilon_that_is_none_is_refused(build, eps):
    with pytest.raises(UsageError, match="eps must be a finite number above 0"):
        build(8, eps)


@pytest.mark.parametrize("dim", [0, -1, 2.5, True, (4, 0)])
def test_a_norm_over_no_features_is_refused(dim):
    with pytest.raises(UsageError, match="dim must be a whole number from 1 on"):
        RMSNorm(dim)


def test_rms_norm_keeps_the_dtype_under_autocast_and_stays_on_the_fast_path():
    """torch warns, and leaves its kernel, where the weight is float32 and the input is not."""
    norm, x = RMSNorm(64), torch.randn(4, 64).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = norm(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), norm(x.float()), rtol=2e-2, atol=1e-2)


def test_rms_norm_tells_shapes_without_data():
    assert RMSNorm(8, device="meta")(torch.empty(3, 8, device="meta")).shape == (3, 8)


NORMS = {
    "rms": lambda n: RMSNorm(n),
    "scale": lambda n: ScaleNorm(n),
    "layer": lambda n: nn.LayerNorm(n),
    "channel-layer": lambda n: nn.Sequential(nn.Unflatten(1, (n, 1)), ChannelLayerNorm(n)),
    "group": lambda n: GroupNorm(1, n),
    "batch": lambda n: nn.BatchNorm1d(n),
}


@pytest.mark.parametrize("name", NORMS)
def test_float16_statistics_do_not_overflow(name):
    """The squares of these features sum to 1.6e8, 2,500 times the largest float16."""
    torch.manual_seed(0)
    x = 200 * torch.randn(8, 4096)
    norm = NORMS[name](4096)
    wide = norm(x.half().float())
    half = norm.half()(x.half())
    torch.testing.assert_close(half.float(), wide, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", NORMS)
def test_statistics_are_wide_under_autocast(name):
    """In bfloat16, numbers around 100 are half a unit apart, and a sum of them soon eight."""
    torch.manual_seed(0)
    x = (100 + torch.randn(32, 512)).bfloat16()
    norm = NORMS[name](512)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow = norm(x)
    torch.testing.assert_close(narrow.float(), norm(x.float()), rtol=2e-2, atol=2e-2)


def test_scale_norm_gives_every_vector_the_same_length():
    norm = ScaleNorm(16)
    nn.init.constant_(norm.scale, 0.5)
    lengths = norm(torch.randn(9, 16) * torch.logspace(-1, 3, 9)[:, None]).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full((9,), 0.5 * 4), rtol=1e-2, atol=0)


def test_scale_norm_of_zeros_is_zero_with_a_finite_gradient():
    zeros = torch.zeros(2, 8, requires_grad=True)
    y = ScaleNorm(8)(zeros)
    y.sum().backward()
    assert not y.any()
    assert torch.isfinite(zeros.grad).all()


def test_a_group_count_that_does_not_divide_names_the_divisors():
    with pytest.raises(UsageError, match=r"8 groups for 20 channels.*1, 2, 4, 5, 10, 20"):
        GroupNorm(8, 20)


@given(st.integers(1, 3000), st.integers(1, 64))
def test_a_chosen_group_count_divides_and_leaves_eight_channels(channels, most):
    groups = group_count(channels, most)
    assert channels % groups == 0
    assert groups <= most
    assert groups == 1 or channels // groups >= 8


def test_group_norm_with_one_group_is_not_a_layer_norm_per_position():
    x = images()
    assert not torch.allclose(GroupNorm(1, 16)(x), ChannelLayerNorm(16)(x), atol=0.1)
    one_position = x[:, :, :1, :1]
    same = GroupNorm(1, 16, eps=1e-6)(one_position), ChannelLayerNorm(16)(one_position)
    torch.testing.assert_close(*same)


def test_group_norm_with_one_group_shares_only_the_statistics_of_layer_norm_over_the_image():
    x, group, layer = images(), GroupNorm(1, 16), nn.LayerNorm([16, 5, 5])
    torch.testing.assert_close(group(x), layer(x))
    assert (group.weight.numel(), layer.weight.numel()) == (16, 16 * 5 * 5)


def test_a_bright_spot_darkens_the_image_under_one_group_but_not_per_position():
    x = images()
    bright = x.clone()
    bright[:, :, 0, 0] *= 100
    elsewhere = (slice(None), slice(None), slice(1, None))
    per_position, one_group = ChannelLayerNorm(16), GroupNorm(1, 16)
    torch.testing.assert_close(per_position(bright)[elsewhere], per_position(x)[elsewhere])
    assert one_group(bright)[elsewhere].std() < 0.2 * one_group(x)[elsewhere].std()


def test_channel_layer_norm_is_layer_norm_with_the_channels_last():
    x, norm = images(), ChannelLayerNorm(16)
    nn.init.normal_(norm.weight)
    theirs = nn.functional.layer_norm(x.permute(0, 2, 3, 1), (16,), norm.weight, norm.bias, 1e-6)
    torch.testing.assert_close(norm(x), theirs.permute(0, 3, 1, 2))


def test_weight_standardisation_counts_the_fan_in_of_one_filter():
    """Over all of the tensor's weights, filters would be smaller by the root of their number."""
    conv = WeightStandardizedConv2d(4, 64, 3)
    sizes = conv.standardized().square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(sizes, torch.ones(64))


@pytest.mark.parametrize("groups", [1, 4])
def test_weight_standardisation_is_its_formula(groups):
    conv = WeightStandardizedConv2d(8, 12, 3, groups=groups, eps=1e-4).double()
    nn.init.normal_(conv.gain)
    w = conv.weight.detach().numpy().reshape(12, -1)
    size = np.maximum(w.var(axis=1) * w.shape[1], 1e-4)
    scale = conv.gain.detach().numpy() / np.sqrt(size)
    expected = (w - w.mean(axis=1, keepdims=True)) * scale[:, None]
    np.testing.assert_allclose(conv.standardized().detach().numpy().reshape(12, -1), expected)


def test_weight_standardisation_takes_the_mean_of_the_input_away():
    x, conv = images(), WeightStandardizedConv2d(16, 8, 3)
    torch.testing.assert_close(conv(x + 10), conv(x), rtol=1e-3, atol=1e-4)


def test_weight_standardisation_of_equal_weights_is_zero_with_a_finite_gradient():
    conv = WeightStandardizedConv2d(3, 2, 3)
    nn.init.constant_(conv.weight, 0.3)
    conv(images(3)).sum().backward()
    assert conv.standardized().abs().max() < 1e-4
    assert torch.isfinite(conv.weight.grad).all()


def test_weight_standardisation_of_single_weights_is_refused():
    with pytest.raises(UsageError, match="filters of at least 2 weights"):
        WeightStandardizedConv2d(8, 8, 1, groups=8)


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
def test_a_zero_initialised_weight_would_be_nan_and_is_refused(norm):
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    with pytest.raises(UsageError, match="initialise it otherwise"):
        norm(layer)
    assert torch.isfinite(layer(torch.ones(1, 4))).all()


def test_weight_norm_of_an_embedding_with_a_padding_row_is_refused():
    with pytest.raises(UsageError, match="got 1 of zeros in Embedding"):
        weight_norm(nn.Embedding(5, 3, padding_idx=0))


def test_weight_norm_changes_nothing_at_first():
    layer, x = nn.Linear(6, 4), torch.randn(3, 6)
    before = layer(x)
    torch.testing.assert_close(weight_norm(layer)(x), before)


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
def test_a_weight_that_is_not_there_is_refused_with_those_that_are(norm):
    with pytest.raises(UsageError, match="no parameter 'kernel', its own are: weight, bias"):
        norm(nn.Linear(4, 4), "kernel")


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
def test_a_weight_without_values_is_refused(norm):
    with pytest.raises(UsageError, match="materialise it"):
        norm(nn.Linear(4, 4, device="meta"))


def changed_in_eval_mode():
    """A spectral-normed layer whose weight was replaced while it was in eval mode."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(32, 32)).eval()
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(32, 32))
    return layer


def largest_singular_value(layer):
    return torch.linalg.matrix_norm(layer.weight, 2).item()


def test_spectral_norm_is_stale_in_eval_mode_until_it_is_refreshed():
    layer = changed_in_eval_mode()
    assert largest_singular_value(layer) > 3
    assert refresh_spectral_norm(nn.Sequential(layer, nn.ReLU()), iterations=100) == 1
    assert abs(largest_singular_value(layer) - 1) < 0.05


def test_refreshing_a_spectral_norm_leaves_mode_weight_and_graph_alone():
    layer = changed_in_eval_mode()
    before = layer.parametrizations.weight.original.clone()
    refresh_spectral_norm(layer)
    assert not any(part.training for part in layer.modules())
    assert torch.equal(layer.parametrizations.weight.original, before)
    assert layer.weight.requires_grad


def test_a_model_without_spectral_norm_has_none_to_refresh():
    assert refresh_spectral_norm(nn.Sequential(weight_norm(nn.Linear(2, 2)))) == 0


def test_a_convolution_bias_under_batch_norm_has_no_gradient_and_so_there_is_none():
    conv, norm = nn.Conv2d(3, 8, 3).double(), nn.BatchNorm2d(8).double()
    norm(conv(images(3).double())).square().mul(torch.arange(8.0).view(8, 1, 1)).sum().backward()
    assert conv.bias.grad.abs().max() < 1e-9 < conv.weight.grad.abs().max()
    assert ConvNorm(3, 8, norm="batch").conv.bias is None


@pytest.mark.parametrize("channels", [1, 7, 13, 20, 33])
@pytest.mark.parametrize("norm", ["group", "batch", "layer", "instance", "none"])
def test_conv_norm_takes_any_number_of_channels(channels, norm):
    assert ConvNorm(3, channels, norm=norm)(images(3)).shape == (4, channels, 5, 5)


def test_conv_norm_counts_the_fan_in_of_its_groups():
    torch.manual_seed(0)
    conv = ConvNorm(64, 64, groups=8, activation="relu").conv
    assert abs(conv.weight.std().item() * (8 * 9 / 2) ** 0.5 - 1) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd.*Try 5"),
        ({"groups": 4}, "groups must divide in_channels, got 4 groups for 3"),
        ({"stride": 0}, "stride must be a whole number from 1 on"),
        ({"norm": "bach"}, "Did you mean batch"),
        ({"activation": "relo"}, "relu"),
    ],
)
def test_conv_norm_refuses_what_cannot_be_built(options, message):
    with pytest.raises(UsageError, match=message):
        ConvNorm(3, 8, **options)


@pytest.mark.parametrize(
    ("architecture", "batch_size", "num_replicas", "kind"),
    [
        ("cnn", 1, 1, "group"),
        ("cnn", 15, 1, "group"),
        ("cnn", 16, 1, "batch"),
        ("cnn", 2, 8, "sync-batch"),
        ("cnn", 2, 4, "group"),
        ("unet", 2, 1, "group"),
        ("gan-critic", 256, 1, "group"),
        ("style-transfer", 64, 1, "instance"),
        ("transformer", 1, 1, "rms"),
        ("rnn", 64, 1, "layer"),
    ],
)
def test_the_norm_follows_from_architecture_and_batch(architecture, batch_size, num_replicas, kind):
    chosen = norm_for(architecture, batch_size, num_replicas=num_replicas, verbose=False)
    assert chosen.kind == kind


def test_the_choice_is_printed_with_its_reason(capsys):
    choice = norm_for("cnn", 2)
    assert capsys.readouterr().out == f"{choice}\n"
    assert "because batch norm would take its statistics from 2 samples" in str(choice)


@pytest.mark.parametrize("architecture", ["cnn", "gan-critic", "transformer", "mlp", "rl"])
@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_the_chosen_norm_keeps_a_signal_in_the_batch_it_was_chosen_for(architecture, batch_size):
    choice = norm_for(architecture, batch_size, verbose=False)
    flat = torch.randn(batch_size, 32)
    x = flat if choice.layout == "vectors" else flat[:, :, None, None]
    assert choice.build(32)(x).std() > 0.5


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("cn", 8), UnknownNameError),
        (("cnn", 0), UsageError),
        (("cnn", 2.5), UsageError),
        (("cnn", float("nan")), UsageError),
    ],
)
def test_a_norm_for_nothing_is_refused(arguments, error):
    with pytest.raises(error):
        norm_for(*arguments)
