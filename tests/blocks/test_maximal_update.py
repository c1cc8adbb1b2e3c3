"""Parameter groups that keep one learning rate right at every width, and the check that shows it."""

import copy

import pytest
import torch
from deep_networks import GPT, torch_encoder
from torch import nn

from steadytrain.blocks import coordinate_check, init_transformer, mup_groups
from steadytrain.blocks.coordinates import CoordinateCheck
from steadytrain.core.errors import UsageError

WIDTHS = (32, 64, 128, 256)


def mlp(width, **options):
    return nn.Sequential(
        nn.Linear(16, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 4, **options),
    )


def factors(model, groups, lr):
    names = {id(one): name for name, one in model.named_parameters()}
    return {names[id(one)]: group["lr"] / lr for group in groups for one in group["params"]}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_adams_rates_fall_with_what_a_weight_reads():
    model = mlp(256)
    found = factors(model, mup_groups(model, lr=0.1, base_width=32), 0.1)
    assert found == {
        "0.weight": 1.0,
        "0.bias": 1.0,
        "2.weight": 1 / 8,
        "2.bias": 1.0,
        "4.weight": 1 / 8,
        "4.bias": 1.0,
    }


def test_rates_of_plain_gradients_follow_the_shape():
    model = mlp(256)
    groups = mup_groups(model, lr=0.1, base_model=mlp(32), optimizer="sgd")
    found = factors(model, groups, 0.1)
    assert found["0.weight"] == found["0.bias"] == found["2.bias"] == pytest.approx(8)
    assert found["2.weight"] == found["4.bias"] == pytest.approx(1)
    assert found["4.weight"] == pytest.approx(1 / 8)


@pytest.mark.parametrize("base", [{"base_width": 32}, {"base_model": "mlp"}])
def test_the_head_begins_smaller_and_the_rest_like_the_base(base):
    model, small = mlp(512), mlp(32)
    mup_groups(model, lr=0.1, **({"base_model": small} if "base_model" in base else base))
    ratio = [float((model[k].weight.std() / small[k].weight.std()).detach()) for k in (0, 2, 4)]
    assert ratio == pytest.approx([1, 1 / 4, 1 / 16], rel=0.15)


def test_against_a_base_model_any_rule_of_drawing_is_right():
    model, small = torch_encoder(64), torch_encoder(16)
    init_transformer(model)
    init_transformer(small)
    mup_groups(model, lr=0.1, base_model=small)
    wide, narrow = (float(one.layers[0].linear1.weight.detach().std()) for one in (model, small))
    assert wide == pytest.approx(narrow / 2, rel=0.1)


def test_against_a_base_model_a_second_call_changes_nothing():
    model, small = GPT(64), GPT(16)
    mup_groups(model, lr=0.1, base_model=small)
    before = copy.deepcopy(model.state_dict())
    mup_groups(model, lr=0.1, base_model=small)
    torch.testing.assert_close(model.state_dict(), before)
    assert len(model.lm_head._forward_pre_hooks) == 1


def test_at_the_base_width_nothing_changes():
    model = mlp(32)
    before = copy.deepcopy(model.state_dict())
    groups = mup_groups(model, lr=0.1, base_model=mlp(32))
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())
    assert {group["lr"] for group in groups} == {0.1}


def test_a_head_at_zero_stays_at_zero():
    model = mlp(64)
    nn.init.zeros_(model[4].weight)
    mup_groups(model, lr=0.1, base_model=mlp(32))
    assert not model[4].weight.any()


def test_a_tied_head_reads_less_and_its_embedding_keeps_its_rate_and_size():
    model, small = GPT(64), GPT(16)
    found = factors(model, mup_groups(model, lr=0.1, base_model=small), 0.1)
    assert found["wte.weight"] == 1
    x = torch.randn(3, 64)
    torch.testing.assert_close(model.lm_head(x), x @ model.wte.weight.T / 4)
    assert float(model.wte.weight.detach().std()) == pytest.approx(
        float(small.wte.weight.detach().std()), rel=0.02
    )


def test_weights_from_a_checkpoint_keep_their_values():
    model = mlp(64)
    before = copy.deepcopy(model.state_dict())
    mup_groups(model, lr=0.1, base_width=32, rescale=False)
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_every_trainable_parameter_is_in_one_group():
    model = GPT(64)
    model.wpe.requires_grad_(False)
    groups = mup_groups(model, lr=0.1, base_model=GPT(16))
    grouped = [id(one) for group in groups for one in group["params"]]
    assert sorted(grouped) == sorted(id(one) for one in model.parameters() if one.requires_grad)
    torch.optim.AdamW(groups)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_matrices_decay_by_the_same_share_per_step_and_nothing_else_does(optimizer):
    model = GPT(64)
    groups = mup_groups(model, lr=0.1, base_model=GPT(16), optimizer=optimizer, weight_decay=0.5)
    names = {id(one): name for name, one in model.named_parameters()}
    decayed = set()
    for group in groups:
        if group["weight_decay"]:
            assert group["lr"] * group["weight_decay"] == pytest.approx(0.05)
            decayed |= {names[id(one)] for one in group["params"]}
    assert decayed == {
        name for name, one in model.named_parameters() if name.startswith("h.") and one.ndim == 2
    }


def test_a_recurrent_network_needs_a_base_model():
    model, small = nn.LSTM(4, 32), nn.LSTM(4, 8)
    with pytest.raises(UsageError, match="base_width does not say which sides of weight_ih_l0"):
        mup_groups(model, lr=0.1, base_width=8)
    found = factors(model, mup_groups(model, lr=0.1, base_model=small), 0.1)
    assert (found["weight_ih_l0"], found["weight_hh_l0"]) == (1, 1 / 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "got neither"),
        ({"base_width": 8, "base_model": mlp(8)}, "got both"),
        ({"base_width": float("nan")}, "base_width must be"),
        ({"base_width": 8, "lr": -1.0}, "lr must be"),
        ({"base_width": 8, "lr": float("nan")}, "lr must be"),
        ({"base_width": 8, "weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"base_width": 8, "weight_decay": float("nan")}, "weight_decay must be"),
        ({"base_width": 8, "optimizer": "muon"}, "got 'muon'"),
        ({"base_model": nn.Linear(8, 8)}, "0.weight of shape .* has no counterpart"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        mup_groups(mlp(32), **{"lr": 0.1, **options})


def test_a_frozen_model_is_refused():
    with pytest.raises(UsageError, match="no trainable parameter"):
        mup_groups(mlp(32).requires_grad_(False), lr=0.1, base_width=8)


def loss_fn(model, batch):
    inputs, labels = batch
    return nn.functional.cross_entropy(model(inputs), labels)


def checked(build, batch, kind, lr, **options):
    def maximal(model):
        groups = mup_groups(model, lr=lr, base_model=build(WIDTHS[0]), optimizer=kind)
        return family(groups)

    def standard(model):
        return family(model.parameters(), lr=lr)

    family = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[kind]
    return [
        coordinate_check(build, one, batch, loss_fn, widths=WIDTHS, **options)
        for one in (maximal, standard)
    ]


@pytest.mark.parametrize(("kind", "lr"), [("adam", 0.01), ("sgd", 1.0)])
def test_coordinates_are_flat_over_eight_widths_and_grow_in_the_standard_parametrization(kind, lr):
    batch = torch.randn(64, 16), torch.randint(0, 4, (64,))
    maximal, standard = checked(mlp, batch, kind, lr, steps=5)
    assert maximal.growing == ()
    assert standard.grows_with_width


def test_coordinates_of_a_gpt_are_flat_and_grow_in_the_standard_parametrization():
    class Tokens(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.gpt = GPT(width, layers=2, tokens=20)
            init_transformer(self.gpt)

        def forward(self, tokens):
            return self.gpt(tokens).flatten(0, 1)

    batch = torch.randint(1, 20, (4, 8)), torch.randint(1, 20, (32,))
    maximal, standard = checked(Tokens, batch, "adam", 0.01, steps=4, seeds=(0, 1))
    assert not maximal.grows_with_width
    assert "(output)" in standard.growing


def table(rows):
    return CoordinateCheck(widths=(8, 64), steps=1, sizes={"a": rows}, limit=2.0)


@pytest.mark.parametrize(
    ("rows", "grows"),
    [
        (((1.0, 1.0), (1.0, 1.99)), False),
        (((1.0, 1.0), (1.0, 2.01)), True),
        (((1.0, 1.0), (9.0, 1.0)), False),
        (((1.0, 1.0), (1.0, 0.1)), False),
        (((1.0, 1.0), (1.0, float("nan"))), True),
        (((1.0, float("nan")), (1.0, 1.0)), True),
        (((1.0, 1.0), (1.0, float("inf"))), True),
    ],
)
def test_the_verdict_compares_the_widest_with_the_narrowest_after_an_update(rows, grows):
    assert table(rows).grows_with_width is grows


def test_a_check_prints_its_table_and_verdict():
    text = str(table(((1.0, 1.0), (1.0, 3.0))))
    assert "a" in text
    assert "3  grows" in text
    assert text.endswith("grows with width (x2 from 8 to 64)")


def test_a_check_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    batch = torch.ones(2, 16), torch.zeros(2, dtype=torch.long)
    coordinate_check(
        mlp,
        lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        batch,
        loss_fn,
        widths=(4, 8),
        steps=1,
        seeds=(0,),
    )
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (64,)}, "at least two that rise"),
        ({"widths": (64, 32)}, "at least two that rise"),
        ({"widths": (0, 32)}, "width must be a whole number"),
        ({"steps": 0}, "steps must be"),
        ({"seeds": ()}, "seeds must be"),
        ({"seeds": 3}, "seeds must be"),
        ({"limit": float("nan")}, "limit must be"),
    ],
)
def test_a_check_of_nothing_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        coordinate_check(mlp, torch.optim.SGD, None, loss_fn, **options)
