"""What each weight of a network is for, found by structure."""

import pytest
import torch
from deep_networks import (
    GPT,
    ExpertBlock,
    GatedBlock,
    Pairs,
    PlainBlock,
    ResNet,
    torch_encoder,
)
from torch import nn

from steadytrain.blocks import NormPlacement, StableMLP, StableNet
from steadytrain.blocks._roles import anatomy_of
from steadytrain.core.errors import UsageError


def roles(model):
    return {part.path: part.role for part in anatomy_of(model).parts}


def paths(model, role):
    return [part.path for part in anatomy_of(model).parts if part.role == role]


def test_a_gpt_written_by_hand_is_understood():
    found = roles(GPT(layers=1))
    assert found == {
        "wte.weight": "embedding",
        "wpe.weight": "embedding",
        "h.0.attn.c_attn.weight": "packed",
        "h.0.attn.c_proj.weight": "output",
        "h.0.mlp.0.weight": "hidden",
        "h.0.mlp.2.weight": "output",
    }


def test_a_tied_weight_is_one_part_that_knows_its_other_use():
    embedding = anatomy_of(GPT()).parts[0]
    assert [(one.path, one.role) for one in embedding.tied] == [("lm_head.weight", "head")]


def test_additions_are_counted_along_the_stream():
    parts = [part for part in anatomy_of(GPT(layers=3)).parts if part.role == "output"]
    assert [part.additions for part in parts] == [1, 2, 3, 4, 5, 6]
    assert [part.layer for part in parts] == [0, 0, 1, 1, 2, 2]


def test_the_writing_layer_is_found_where_it_is_not_registered_last():
    model = nn.ModuleList(GatedBlock(16) for _ in range(2))
    assert paths(model, "output")[:2] == [
        "0.attention.o_proj.weight",
        "0.feed_forward.w2.weight",
    ]


def test_query_key_and_value_go_by_their_whole_name_in_any_order():
    found = roles(nn.ModuleList([GatedBlock(16), GatedBlock(16)]))
    assert [found[f"0.attention.{name}_proj.weight"] for name in "qkv"] == ["query", "key", "value"]


def test_torchs_encoder_decoder_is_two_streams():
    model = nn.Transformer(16, 2, 2, 3, 32, batch_first=True)
    encoder, decoder = anatomy_of(model).stacks
    assert (encoder.owner, encoder.num_branches, encoder.is_decoder) == ("encoder", 4, False)
    assert (decoder.owner, decoder.num_branches, decoder.is_decoder) == ("decoder", 9, True)
    assert "decoder.layers.0.multihead_attn.out_proj.weight" in paths(model, "output")


def test_the_packed_weight_of_torchs_attention_holds_a_third_of_values():
    part = next(one for one in anatomy_of(torch_encoder()).parts if one.role == "packed")
    assert (part.path, part.value_rows) == ("layers.0.self_attn.in_proj_weight", 16)


def test_grouped_queries_in_one_layer_leave_fewer_rows_to_the_values():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(16, 16 + 2 * 4), nn.Linear(16, 16)

        def forward(self, x):
            q, k, v = self.qkv(x).split((16, 4, 4), -1)
            return self.out(torch.softmax(q[..., :4] @ k.mT, -1) @ v.repeat(1, 1, 4))

    model = nn.Sequential(*(NormPlacement(Attention(), 16) for _ in range(2)))
    part = next(one for one in anatomy_of(model).parts if one.role == "packed")
    assert part.value_rows == 4


def test_a_loop_that_adds_over_lists_of_pairs_is_understood():
    model = Pairs(layers=2)
    assert roles(model)["patches.weight"] == "input"
    assert paths(model, "packed") == ["layers.0.0.to_qkv.weight", "layers.1.0.to_qkv.weight"]
    assert paths(model, "output")[:2] == ["layers.0.0.to_out.0.weight", "layers.0.1.2.weight"]
    assert paths(model, "head") == ["head.weight"]


def test_the_shortcut_of_a_residual_network_is_not_its_branch():
    model = ResNet()
    assert paths(model, "output") == [
        f"layer{stage}.{block}.conv3.weight" for stage in (1, 2) for block in (0, 1)
    ]
    assert paths(model, "shortcut") == [
        "layer1.0.downsample.0.weight",
        "layer2.0.downsample.0.weight",
    ]
    assert anatomy_of(model).stacks[0].num_branches == 4


def test_a_block_that_adds_only_where_it_can_is_residual_only_there():
    """Zeroing the last layer of a block without a shortcut would cut the network in two."""

    class Inverted(nn.Module):
        def __init__(self, reads, writes, stride):
            super().__init__()
            self.adds = reads == writes and stride == 1
            self.expand, self.norm = nn.Conv2d(reads, 16, 1), nn.BatchNorm2d(16)
            self.depth = nn.Conv2d(16, 16, 3, stride, 1, groups=16)
            self.project = nn.Conv2d(16, writes, 1)

        def forward(self, x):
            out = self.project(torch.relu(self.depth(self.norm(self.expand(x)))))
            return x + out if self.adds else out

    model = nn.Sequential(
        Inverted(4, 4, 1), Inverted(4, 8, 1), Inverted(8, 8, 2), Inverted(8, 8, 1)
    )
    assert paths(model, "output") == ["0.project.weight", "3.project.weight"]


def test_a_norm_that_counts_its_batches_by_an_addition_is_no_block():
    class Counting(nn.BatchNorm2d):
        def __init__(self, channels):
            super().__init__(channels)
            self.activation = nn.ReLU()

        def forward(self, x):
            self.num_batches_tracked.add_(1)
            return self.activation(super().forward(x))

    blocks = [
        NormPlacement(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), Counting(4)), 4, norm=Counting)
    ]
    assert anatomy_of(nn.Sequential(*blocks)).stacks[0].num_branches == 1


def test_experts_side_by_side_are_one_addition():
    model = nn.ModuleList(ExpertBlock(8) for _ in range(2))
    assert anatomy_of(model).stacks[0].num_branches == 2
    assert len(paths(model, "output")) == 6
    assert roles(model)["0.moe.router.weight"] == "hidden"


def test_the_blocks_of_this_library_are_understood():
    assert anatomy_of(StableMLP(8, 3, width=16, depth=5)).stacks[0].num_branches == 5
    assert anatomy_of(StableNet(blocks=2)).stacks[0].num_branches == 8


def test_a_stack_that_adds_nothing_has_no_residual_branch():
    model = nn.Sequential(*(PlainBlock(8) for _ in range(4)))
    assert anatomy_of(model).stacks == ()
    assert "output" not in roles(model).values()


def test_a_plain_network_begins_with_its_input_and_ends_with_its_head():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    assert list(roles(model).values()) == ["input", "hidden", "head"]


def test_wrapping_each_block_for_compilation_changes_nothing():
    plain, wrapped = GPT(), GPT()
    for place, block in enumerate(wrapped.h):
        wrapped.h[place] = torch.compile(block)
    assert list(roles(wrapped).values()) == list(roles(plain).values())


def test_one_block_used_several_times_adds_as_often():
    block = torch_encoder(layers=1).layers[0]
    model = nn.Sequential(*[block] * 6)
    assert anatomy_of(model).stacks[0].num_branches == 12
    assert len(paths(model, "output")) == 2


def test_a_name_that_contains_a_role_gives_none():
    model = nn.Sequential(nn.Linear(4, 4))
    model.add_module("normalizer_mlp", nn.Linear(4, 4))
    model.add_module("abnormal_head_key", nn.Linear(4, 2))
    anatomy = anatomy_of(model)
    assert anatomy.norms == ()
    assert [part.role for part in anatomy.parts] == ["input", "hidden", "head"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: nn.Sequential(nn.LazyLinear(3)), "0.weight has no shape yet"),
        (lambda: nn.Sequential(nn.Linear(2, 3, device="meta")), "0.weight is on the meta device"),
    ],
)
def test_parameters_without_numbers_are_refused(model, message):
    with pytest.raises(UsageError, match=message):
        anatomy_of(model())
