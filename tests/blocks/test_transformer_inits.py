"""How deep residual networks begin."""

import math
import re

import pytest
import torch
from deep_networks import GPT, Pairs, PlainBlock, ResNet, torch_encoder
from torch import nn

from steadytrain.blocks import (
    StableMLP,
    StableNet,
    deepnorm_constants,
    init_deepnorm,
    init_depth_aware,
    init_fixup,
    init_small,
    init_subln,
    init_t_fixup,
    init_transformer,
    init_wang,
    zero_outputs,
)
from steadytrain.blocks._sample_networks import small_residual_net
from steadytrain.core.errors import UsageError

ALL = (
    init_transformer,
    init_small,
    init_wang,
    init_depth_aware,
    init_fixup,
    init_t_fixup,
    init_deepnorm,
    init_subln,
)
NEEDS_BLOCKS = (init_wang, init_fixup, init_t_fixup, init_deepnorm, init_subln, zero_outputs)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def spread(weight):
    return float(weight.detach().std())


def what(changes, path):
    return next(one.what for one in changes if one.path == path)


@pytest.mark.parametrize("init", ALL)
def test_a_padding_row_stays_zero(init):
    model = GPT()
    init(model)
    assert torch.equal(model.wte.weight[0], torch.zeros(32))
    assert spread(model.wte.weight[1:]) > 0


@pytest.mark.parametrize("init", ALL)
def test_a_tied_embedding_is_drawn_once_and_stays_tied(init):
    model = GPT()
    changes = init(model)
    assert model.lm_head.weight is model.wte.weight
    assert [one.path for one in changes if "wte" in one.path or "lm_head" in one.path] == [
        "wte.weight"
    ]
    assert "tied with lm_head.weight" in changes[0].why


@pytest.mark.parametrize("init", ALL)
def test_every_parameter_is_spoken_of(init):
    model = Pairs()
    changes = init(model)
    said = {one.path.removesuffix(".weight") for one in changes}
    assert {name.rpartition(".")[0] for name, _ in model.named_parameters()} <= said


@pytest.mark.parametrize("init", [*ALL, zero_outputs])
def test_frozen_weights_are_left_alone_and_it_is_said(init):
    model = torch_encoder()
    model.layers[1].requires_grad_(False)
    before = [one.clone() for one in model.layers[1].parameters()]
    changes = init(model)
    assert all(map(torch.equal, before, model.layers[1].parameters()))
    assert what(changes, "layers.1.linear2.weight") == "left as it was"


def test_a_parametrized_weight_is_left_alone_and_it_is_said():
    model = torch_encoder()
    nn.utils.parametrizations.spectral_norm(model.layers[0].linear2)
    before = {name: one.clone() for name, one in model.layers[0].linear2.state_dict().items()}
    changes = init_transformer(model)
    after = model.layers[0].linear2.state_dict()
    assert what(changes, "layers.0.linear2.weight") == "left as it was"
    assert all(torch.equal(before[name], after[name]) for name in before if "weight" in name)


@pytest.mark.parametrize("init", ALL)
def test_the_generator_alone_decides(init):
    state = torch.get_rng_state()
    one, other = GPT(), GPT()
    torch.set_rng_state(state)
    for model in (one, other):
        init(model, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, one.parameters(), other.parameters()))


@pytest.mark.parametrize("init", NEEDS_BLOCKS)
def test_a_network_without_residual_blocks_is_refused(init):
    model = nn.Sequential(*(PlainBlock(8) for _ in range(3)))
    with pytest.raises(UsageError, match="no residual block"):
        init(model)


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("init", [init_transformer, init_depth_aware])
def test_a_deviation_that_is_none_is_refused(init, std):
    with pytest.raises(UsageError, match="std must be a finite number above 0"):
        init(GPT(), std=std)


def added_variance(init, layers):
    """What all branches together add to the second moment of a stream of ones."""
    model = torch_encoder(width=64, layers=layers)
    init(model)
    x = torch.randn(4, 16, 64)
    with torch.no_grad():
        return float((model(x) - x).square().mean())


@pytest.mark.parametrize("init", [init_transformer, init_wang])
def test_what_the_branches_add_does_not_grow_with_depth(init):
    assert added_variance(init, 32) < 1.3 * added_variance(init, 2)


def test_without_the_scaling_the_stream_grows_with_depth():
    assert added_variance(init_small, 32) > 8 * added_variance(init_small, 2)


def test_depth_aware_weights_add_the_logarithm_of_the_depth():
    growth = added_variance(init_depth_aware, 32) / added_variance(init_depth_aware, 2)
    harmonic = sum(1 / k for k in range(1, 65)) / sum(1 / k for k in range(1, 5))
    assert growth == pytest.approx(harmonic, rel=0.3)


def test_decoder_layers_count_their_three_additions():
    model = nn.Transformer(16, 2, 2, 3, 32, batch_first=True)
    changes = init_transformer(model)
    assert what(changes, "encoder.layers.0.linear2.weight") == "normal, std 0.01"
    decoder = what(changes, "decoder.layers.0.multihead_attn.out_proj.weight")
    assert decoder == f"normal, std {0.02 / 3:.4g}"


def test_deviations_are_those_of_the_papers():
    width, layers = 64, 4
    model = torch_encoder(width, layers)
    init_small(model)
    assert spread(model.layers[0].linear1.weight) == pytest.approx(math.sqrt(2 / 320), rel=0.03)
    init_wang(model)
    assert spread(model.layers[0].linear2.weight) == pytest.approx(2 / (4 * 8), rel=0.03)
    init_transformer(model)
    assert spread(model.layers[0].linear2.weight) == pytest.approx(0.02 / 8**0.5, rel=0.03)


def test_depth_aware_weights_stay_within_three_deviations():
    model = torch_encoder(64, 4)
    init_depth_aware(model)
    last = model.layers[3].linear2.weight
    assert float(last.detach().abs().max()) < 3.001 * 0.02 / 8**0.5
    assert spread(last) == pytest.approx(0.987 * 0.02 / 8**0.5, rel=0.03)


@pytest.mark.parametrize(
    ("build", "inputs", "ends"),
    [
        (GPT, torch.arange(12).reshape(2, 6), r"c_proj|mlp"),
        (torch_encoder, torch.randn(2, 6, 16), r"out_proj|linear2"),
        (Pairs, torch.randn(2, 3, 16, 16), r"to_out|layers\.\d+\.1"),
        (ResNet, torch.randn(2, 3, 16, 16), r"bn3"),
        (StableNet, torch.randn(2, 3, 16, 16), r"branch"),
        (lambda: StableMLP(8, 3, width=16, depth=4), torch.randn(5, 8), r"branch"),
    ],
    ids=["gpt", "encoder", "pairs", "resnet", "stable-net", "stable-mlp"],
)
def test_every_branch_begins_at_zero(build, inputs, ends):
    model = build()
    zero_outputs(model)
    written = []
    for name, module in model.named_modules():
        if re.search(rf"({ends})$", name):
            module.register_forward_hook(
                lambda _, given, out: written.append(out.detach().abs().max())
            )
    model(inputs)
    assert written
    assert float(torch.stack(written).max()) == 0


def test_zeroing_keeps_the_shortcut_and_the_inner_norms():
    model = ResNet()
    zero_outputs(model)
    block = model.layer2[0]
    assert float(block.bn3.weight.detach().abs().max()) == 0
    assert [
        float(norm.weight.detach().min()) for norm in (block.bn1, block.bn2, block.downsample[1])
    ] == [1.0] * 3
    assert spread(block.conv3.weight) > 0


def test_a_zeroed_network_trains_every_layer_from_the_second_step_on():
    model = torch_encoder()
    zero_outputs(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [one.detach().clone() for one in model.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        (model(torch.randn(2, 5, 16)) - 1).square().mean().backward()
        optimizer.step()
    names = [name for name, _ in model.named_parameters()]
    moved = [not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True)]
    assert [name for name, did in zip(names, moved, strict=True) if not did] == []


def step_size(init, blocks):
    """How far one SGD step moves the output of a residual network without norms."""
    model = small_residual_net(blocks, channels=16)
    init(model)
    x, y = torch.randn(8, 3, 8, 8), torch.randint(0, 4, (8,))
    weights = [one for one in model.parameters() if one.ndim > 1]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    for _ in range(2):  # the first step only moves what begins at zero
        before = model(x)
        model.zero_grad()
        nn.functional.cross_entropy(before, y).backward()
        optimizer.step()
    return float((model(x) - before).detach().square().mean().sqrt())


def test_a_step_of_a_fixup_network_moves_its_output_by_the_same_at_any_depth():
    assert step_size(init_fixup, 64) < 2 * step_size(init_fixup, 4)


def test_fixup_shrinks_the_first_layers_of_the_branches_and_zeroes_the_last():
    model = StableMLP(8, 3, width=64, depth=16)
    init_fixup(model)
    first, last = model.blocks[0].branch[0], model.blocks[0].branch[3]
    assert spread(first.weight) == pytest.approx(math.sqrt(2 / 64) * 16**-0.5, rel=0.05)
    assert not last.weight.any()
    assert not model.head.weight.any()


@pytest.mark.parametrize(
    ("init", "gain"),
    [
        (init_t_fixup, 0.67 * 4**-0.25),
        (init_deepnorm, (8 * 4) ** -0.25),
        (init_subln, math.sqrt(math.log(8))),
    ],
)
def test_values_are_scaled_and_queries_and_keys_are_not(init, gain):
    model = torch_encoder(64, 4)
    init(model)
    attention = model.layers[0].self_attn
    xavier = math.sqrt(2 / 128)
    query, key, value = map(spread, attention.in_proj_weight.chunk(3))
    assert (query, key) == pytest.approx((xavier, xavier), rel=0.05)
    assert value == pytest.approx(gain * xavier, rel=0.05)
    assert spread(attention.out_proj.weight) == pytest.approx(gain * xavier, rel=0.05)
    hidden = gain * math.sqrt(2 / (5 * 64))
    assert spread(model.layers[0].linear1.weight) == pytest.approx(hidden, rel=0.05)


@pytest.mark.parametrize(
    ("init", "encoder", "decoder"),
    [
        (init_t_fixup, 0.67 * 2**-0.25, 27**-0.25),
        (init_deepnorm, 0.87 * (2**4 * 3) ** (-1 / 16), 36**-0.25),
        (init_subln, math.sqrt(math.log(9) * math.log(4) / 3), math.sqrt(math.log(9))),
    ],
)
def test_encoder_and_decoder_have_their_own_gains(init, encoder, decoder):
    model = nn.Transformer(64, 2, 2, 3, 64, batch_first=True)
    init(model)
    xavier = math.sqrt(1 / 64)
    assert spread(model.encoder.layers[1].linear2.weight) == pytest.approx(
        encoder * xavier, rel=0.05
    )
    cross = model.decoder.layers[2].multihead_attn.out_proj
    assert spread(cross.weight) == pytest.approx(decoder * xavier, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"num_layers": 8}, (2.0, 8**-0.5)),
        ({"num_layers": 8, "side": "decoder"}, (2.0, 8**-0.5)),
        ({"num_layers": 16, "other_layers": 1}, (0.81 * 2, 0.87 / 2)),
        ({"num_layers": 27, "side": "decoder", "other_layers": 6}, (3.0, 324**-0.25)),
    ],
)
def test_deepnorm_has_the_constants_of_its_table(arguments, expected):
    assert deepnorm_constants(**arguments) == pytest.approx(expected)


@pytest.mark.parametrize(
    "arguments",
    [{"num_layers": 0}, {"num_layers": 2.5}, {"num_layers": 2, "other_layers": -1}],
)
def test_deepnorm_refuses_numbers_of_layers_that_are_none(arguments):
    with pytest.raises(UsageError, match="whole number"):
        deepnorm_constants(**arguments)


def test_deepnorm_refuses_a_third_side():
    with pytest.raises(UsageError, match="side must be one of encoder, decoder, got 'middle'"):
        deepnorm_constants(2, side="middle")


def test_a_layer_that_keeps_its_weight_transposed_is_read_the_right_way():
    class Transposed(nn.Module):
        def __init__(self, reads, writes):
            super().__init__()
            self.weight = nn.Parameter(torch.empty(reads, writes))
            self.bias = nn.Parameter(torch.ones(writes))

        def forward(self, x):
            return x @ self.weight + self.bias

    model = GPT(width=64)
    model.h[0].attn.c_attn = Transposed(64, 192)
    init_deepnorm(model)
    layer = model.h[0].attn.c_attn
    query, _, value = map(spread, layer.weight.chunk(3, dim=1))
    assert value == pytest.approx(query * 24**-0.25, rel=0.1)
    assert not layer.bias.any()
