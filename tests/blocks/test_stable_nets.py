"""The networks whose stream stays bounded in depth: measured, trained, and at the edges."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from steadytrain.blocks import PreNormMLP, StableMLP, StableNet
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.lab.datasets import digits

NORMS = ["group", "batch", "layer", "instance", "none"]
MAX_RATIO = 2.5
"""Bound of last against first, of the stream and of its gradient. By construction the stream has
2 at the start; training may grow the gains of the norms."""


def digit_images():
    data = digits()
    mean, deviation = data.scale
    parts = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    x, y, test_x, test_y = (torch.from_numpy(part) for part in parts)
    scaled = [((part.float() - mean) / deviation).unsqueeze(1) for part in (x, test_x)]
    return scaled[0], y.long(), scaled[1], test_y.long()


def stacks(model):
    """The runs of blocks that share one stream."""
    return [stage[1:] for stage in model.stages] if hasattr(model, "stages") else [model.blocks]


def ratios(model, x, y):
    """Of each stream, last against first: its size, and (first against last) its gradient's."""
    seen = {}

    def keep(block, arguments, output):
        for place, value in (("in", arguments[0]), ("out", output)):
            value.retain_grad()
            seen[block, place] = value

    ends = [block for stack in stacks(model) for block in (stack[0], stack[-1])]
    handles = [block.register_forward_hook(keep) for block in ends]
    functional.cross_entropy(model(x), y).backward()
    for handle in handles:
        handle.remove()
    model.zero_grad()
    pairs = [(seen[stack[0], "in"], seen[stack[-1], "out"]) for stack in stacks(model)]
    sizes = [(size(last) / size(first)) for first, last in pairs]
    return sizes + [size(first.grad) / size(last.grad) for first, last in pairs]


def size(x):
    return x.detach().square().mean().sqrt().item()


def train(model, x, y, *, steps, lr=1e-3, batch=64):
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for _ in range(steps):
        rows = torch.randint(0, len(x), (batch,))
        optimizer.zero_grad()
        functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model


def accuracy(model, x, y):
    with torch.no_grad():
        return (model.eval()(x).argmax(dim=1) == y).float().mean().item()


def flat_digits():
    x, y, test_x, test_y = digit_images()
    return x.flatten(1), y, test_x.flatten(1), test_y


@pytest.mark.parametrize("depth", [2, 16, 128])
def test_the_stream_of_the_mlp_is_bounded_in_depth(depth):
    torch.manual_seed(0)
    x, y, _, _ = flat_digits()
    found = ratios(StableMLP(64, 10, width=64, depth=depth), x[:64], y[:64])
    assert all(1 / MAX_RATIO < ratio < MAX_RATIO for ratio in found)


@pytest.mark.parametrize(
    ("depth", "lr"),
    [
        (2, 1e-2),
        (16, 1e-2),
        *(
            pytest.param(depth, lr, marks=pytest.mark.slow)
            for depth in (2, 32, 128)
            for lr in (1e-3, 1e-2)
        ),
    ],
)
def test_the_stream_of_the_mlp_stays_bounded_while_it_trains(depth, lr):
    torch.manual_seed(0)
    x, y, _, _ = flat_digits()
    model = train(StableMLP(64, 10, width=64, depth=depth), x, y, steps=50, lr=lr)
    found = ratios(model, x[:64], y[:64])
    assert all(1 / MAX_RATIO < ratio < MAX_RATIO for ratio in found)


def test_the_stream_of_a_plain_pre_norm_stack_grows_with_its_depth():
    torch.manual_seed(0)
    x = torch.randn(64, 32)
    sizes = [
        size(nn.Sequential(*(PreNormMLP(32, 64) for _ in range(depth)))(x)) for depth in (2, 128)
    ]
    assert sizes[1] > 5 * sizes[0]


@pytest.mark.parametrize("blocks", [1, 12])
@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_the_streams_of_the_net_are_bounded_in_depth(norm, blocks):
    torch.manual_seed(0)
    x, y, _, _ = digit_images()
    found = ratios(StableNet(1, 10, width=4, blocks=blocks, norm=norm), x[:32], y[:32])
    assert all(1 / MAX_RATIO < ratio < MAX_RATIO for ratio in found)


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [1, 8, 32])
@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_the_streams_of_the_net_stay_bounded_while_it_trains(norm, blocks):
    torch.manual_seed(0)
    x, y, _, _ = digit_images()
    model = train(
        StableNet(1, 10, width=4, blocks=blocks, norm=norm), x, y, steps=50, batch=16, lr=3e-3
    )
    found = ratios(model, x[:32], y[:32])
    assert all(1 / MAX_RATIO < ratio < MAX_RATIO for ratio in found)


@pytest.mark.parametrize("norm", ["rms", "layer", "batch"])
def test_the_mlp_learns_the_digits(norm):
    torch.manual_seed(0)
    x, y, test_x, test_y = flat_digits()
    model = train(StableMLP(64, 10, width=64, depth=4, norm=norm), x, y, steps=100, lr=5e-3)
    assert accuracy(model, test_x, test_y) > 0.93


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["group", "batch", "layer", "none"])
def test_the_net_learns_the_digits(norm):
    torch.manual_seed(0)
    x, y, test_x, test_y = digit_images()
    model = train(StableNet(1, 10, width=8, norm=norm), x, y, steps=150, lr=3e-3)
    assert accuracy(model, test_x, test_y) > 0.95


def test_a_norm_over_one_feature_does_not_blind_the_mlp():
    """Without a bias of its own size, a normalised single number is its sign."""
    torch.manual_seed(0)
    x = torch.linspace(-2, 2, 128).unsqueeze(1)
    y = x.square() - x.square().mean()
    model = StableMLP(1, 1, width=32, depth=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    assert (model(x) - y).square().mean() < 0.05 * y.var()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_features_of_an_extreme_scale_do_not_reach_the_stream(scale):
    torch.manual_seed(0)
    x = torch.randn(32, 8) * scale
    found = ratios(StableMLP(8, 3, width=32), x, torch.zeros(32, dtype=torch.long))
    assert all(1 / MAX_RATIO < ratio < MAX_RATIO for ratio in found)


@pytest.mark.parametrize("make", [lambda: StableMLP(12, 10), lambda: StableNet(3, 10, width=8)])
def test_the_first_loss_is_that_of_a_guess(make):
    torch.manual_seed(0)
    model = make()
    x = torch.randn(64, 12) if isinstance(model, StableMLP) else torch.randn(64, 3, 8, 8)
    loss = functional.cross_entropy(model(x), torch.randint(0, 10, (64,)))
    assert abs(loss.item() - math.log(10)) < 0.1


@pytest.mark.parametrize("norm", NORMS)
def test_every_parameter_of_the_net_gets_a_gradient(norm):
    """A bias that a norm takes out again would get none, but for rounding."""
    torch.manual_seed(0)
    model = StableNet(2, 5, width=8, blocks=1, norm=norm).double()
    x, y = torch.randn(4, 2, 17, 17, dtype=torch.float64), torch.arange(4)
    functional.cross_entropy(model(x), y).backward()
    sizes = {name: p.grad.abs().max().item() for name, p in model.named_parameters()}
    assert min(sizes.values()) > 1e-9, min(sizes, key=sizes.get)


@pytest.mark.parametrize("norm", ["rms", "layer", "batch"])
def test_every_parameter_of_the_mlp_gets_a_gradient(norm):
    torch.manual_seed(0)
    model = StableMLP(6, 3, width=16, depth=2, norm=norm)
    functional.cross_entropy(model(torch.randn(8, 6)), torch.arange(8) % 3).backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (3, 9, 9), (5, 8, 40)])
@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_one_image_of_any_size_and_number_of_channels_is_trained_on(norm, shape):
    model = StableNet(shape[0], 7, width=8, blocks=1, norm=norm)
    out = model(torch.randn(1, *shape))
    out.sum().backward()
    assert out.shape == (1, 7)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_one_small_image_under_batch_norm_is_refused_in_training_only():
    model, image = StableNet(1, 10, width=8, blocks=1, norm="batch"), torch.randn(1, 1, 8, 8)
    with pytest.raises(UsageError, match=r"1 image\(s\) of 8x8.*larger than 8.*norm='group'"):
        model(image)
    assert model(image.expand(2, -1, -1, -1)).shape == (2, 10)
    assert model(torch.randn(1, 1, 9, 9)).shape == (1, 10)
    assert model.eval()(image).shape == (1, 10)


def test_small_images_under_instance_norm_are_refused():
    model = StableNet(1, 10, width=8, blocks=1, norm="instance")
    with pytest.raises(UsageError, match="instance norm has one value per channel"):
        model(torch.randn(16, 1, 8, 8))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 1, 8, 8), (2, 8, 8, 3)])
def test_images_in_another_layout_are_refused(shape):
    with pytest.raises(UsageError, match=r"takes images \[N, 3, H, W\]"):
        StableNet(3, 10, width=8, blocks=1)(torch.randn(shape))


def test_each_stage_has_the_blocks_it_is_told():
    model = StableNet(3, 10, width=8, blocks=(1, 2, 3, 4))
    assert [len(stack) for stack in stacks(model)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": (2, 2, 2)}, "4, one per stage, got 3"),
        ({"blocks": 0}, "blocks must be a whole number from 1 on"),
        ({"width": 0}, "width must be a whole number"),
        ({"in_channels": 0}, "in_channels must be a whole number"),
        ({"num_classes": -1}, "num_classes must be a whole number"),
        ({"norm": "rms"}, "unknown norm for images 'rms'"),
        ({"drop_path": 2.0}, "drop_path must be a share"),
    ],
)
def test_a_net_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        StableNet(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be a whole number"),
        ({"expansion": 0}, "expansion must be a whole number"),
        ({"norm": "none"}, "NormalizerFree.stack"),
        ({"drop_path": float("nan")}, "drop_path must be a share"),
    ],
)
def test_an_mlp_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        StableMLP(8, 2, **options)


def test_an_unknown_norm_is_refused_with_those_that_are_known():
    with pytest.raises(UnknownNameError, match=r"Did you mean (rms|layer)"):
        StableMLP(8, 2, norm="lyer")


def test_stochastic_depth_is_off_in_evaluation():
    torch.manual_seed(0)
    model, x = StableNet(1, 3, width=8, drop_path=0.9), torch.randn(4, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))
