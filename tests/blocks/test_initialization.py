"""Schemes of initialisation, the rule that chooses one, and what neither may touch."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from steadytrain.blocks import gain_for, init_for, initialize
from steadytrain.blocks.initialization import known_schemes
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.lab.datasets import digits

OURS = ("he", "kaiming", "kaiming-fan-out", "lecun", "mirrored", "orthogonal", "xavier")


def quietly(model, scheme="auto", seed=0):
    return initialize(model, scheme, seed=seed, verbose=False)


def choice_of(model):
    return init_for(model, verbose=False)


def plain(depth, width, activation, *, head=True):
    layers = [part for _ in range(depth) for part in (nn.Linear(width, width), activation)]
    return nn.Sequential(*layers, *([nn.Linear(width, width)] if head else []))


def signal(model, x):
    """Second moments behind each activation, and of the gradients there."""
    kept = []
    for layer in model:
        x = layer(x)
        if not isinstance(layer, nn.Linear):
            x.retain_grad()
            kept.append(x)
    x.backward(torch.randn(x.shape, generator=torch.Generator().manual_seed(1)))
    moments = [one.square().mean().item() for one in kept]
    return moments, [one.grad.square().mean().item() for one in kept]


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def test_a_linear_layer_is_not_he_by_default():
    weight = nn.Linear(512, 512).weight
    assert weight.var().item() * 512 == pytest.approx(1 / 3, rel=0.02)


def test_he_under_silu_decays_by_orders_of_magnitude():
    """The second moment: 14 decades over 50 layers are 7 of the standard deviation."""
    torch.manual_seed(0)
    model = plain(50, 128, nn.SiLU())
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    moments, _ = signal(model, noise(32, 128))
    assert moments[-1] / moments[0] < 1e-8


@pytest.mark.parametrize("scheme", ["kaiming", "lecun", "xavier"])
def test_variances_are_those_of_the_formula(scheme):
    model = nn.Sequential(
        nn.Linear(300, 500), nn.ReLU(), nn.Linear(500, 300), nn.ReLU(), nn.Linear(300, 2)
    )
    quietly(model, scheme)
    expected = {"kaiming": 2 / 500, "lecun": 1 / 500, "xavier": 2 * 2 / 800}[scheme]
    assert model[2].weight.var().item() == pytest.approx(expected, rel=0.02)
    assert not model[2].bias.any()


def test_the_gain_is_that_of_the_activation_the_input_came_through():
    model = plain(2, 400, nn.SiLU())
    quietly(model, "kaiming")
    stds = [model[place].weight.std().item() * 20 for place in (0, 2)]
    assert stds == pytest.approx([1.0, gain_for("silu")], rel=0.02)


def test_every_head_begins_with_gain_one_and_a_residual_branch_does_not():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(400, 400), nn.Linear(400, 400)
            self.policy, self.value = nn.Linear(400, 400), nn.Linear(400, 400)

        def forward(self, x):
            hidden = torch.relu(x + self.b(torch.relu(self.a(x))))
            return self.policy(hidden).log_softmax(-1), self.value(hidden)

    model = Net()
    quietly(model, "kaiming")
    stds = [one.weight.std().item() * 20 for one in (model.b, model.policy, model.value)]
    assert stds == pytest.approx([2**0.5, 1, 1], rel=0.02)


def test_an_activation_called_as_a_function_is_seen():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(400, 400) for _ in range(3))

        def forward(self, x):
            x = functional.leaky_relu(self.a(x), 0.5)
            return self.c(functional.leaky_relu(self.b(x), negative_slope=0.5))

    model = Net()
    quietly(model, "kaiming")
    assert model.b.weight.std().item() * 20 == pytest.approx(math.sqrt(2 / 1.25), rel=0.02)


def test_what_cannot_be_traced_is_read_in_the_order_of_registration():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(100, 100) for _ in range(3))

        def forward(self, x):
            return self.c(torch.tanh(self.b(torch.tanh(self.a(x))))) if x.sum() > 0 else x

    choice = choice_of(Net())
    assert choice.facts.activations == ("tanh",)
    assert "order of registration" in choice.notes[0]


def test_the_fan_of_a_transposed_convolution_is_not_its_second_dimension():
    """torch's own would take 8 * 9 here, an output sums over 64 * 9 / 4."""
    layer = nn.ConvTranspose2d(64, 8, 3, stride=2)
    quietly(nn.Sequential(layer), "lecun")
    assert layer.weight.var().item() == pytest.approx(4 / (64 * 9), rel=0.05)


def test_a_grouped_convolution_sums_over_its_own_group():
    layer = nn.Conv2d(64, 64, 3, groups=8)
    quietly(nn.Sequential(layer), "xavier")
    assert layer.weight.var().item() == pytest.approx(2 / (8 * 9 + 8 * 9), rel=0.05)


def test_matrices_that_are_stacked_in_one_parameter_have_their_own_fans():
    attention, cell = nn.MultiheadAttention(64, 4), nn.LSTM(64, 64)
    quietly(nn.ModuleList([attention, cell]), "xavier")
    for weight in (attention.in_proj_weight, cell.weight_ih_l0, attention.out_proj.weight):
        assert weight.var().item() == pytest.approx(1 / 64, rel=0.05)


def test_recurrent_matrices_are_orthogonal_gate_by_gate():
    cell = nn.LSTM(16, 16)
    quietly(nn.Sequential(cell), "orthogonal")
    for gate in cell.weight_hh_l0.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)


def test_the_forget_gate_opens():
    cell = nn.LSTM(4, 8)
    quietly(nn.Sequential(cell), "orthogonal")
    bias = (cell.bias_ih_l0 + cell.bias_hh_l0).chunk(4)
    assert [gate.mean().item() for gate in bias] == [0, 1, 0, 0]


def test_a_delta_orthogonal_convolution_keeps_the_length_of_its_input():
    layer = nn.Conv2d(8, 16, 3, padding=1, bias=False)
    quietly(nn.Sequential(layer), "orthogonal")
    x = noise(2, 8, 5, 5)
    assert layer(x).square().mean().item() == pytest.approx(x.square().mean().item(), rel=1e-4)
    assert layer.weight.count_nonzero() == 8 * 16


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU(), nn.SiLU()], ids=repr)
@pytest.mark.parametrize("width", [32, 128])
def test_mirrored_pairs_make_any_depth_and_width_linear(activation, width):
    model = plain(60, width, activation)
    quietly(model, "mirrored")
    moments, grads = signal(model, noise(16, width).requires_grad_())
    assert moments[-1] / moments[0] == pytest.approx(1.0, abs=0.05)
    assert grads[0] / grads[-1] == pytest.approx(1.0, abs=1e-3)
    x = noise(4, width)
    torch.testing.assert_close(model(3 * x), 3 * model(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.SELU(), nn.Sigmoid(), nn.Mish()], ids=repr)
def test_mirrored_holds_signal_and_gradient_where_no_gain_can(activation):
    model = plain(50, 64, activation)
    quietly(model, "mirrored")
    moments, grads = signal(model, noise(32, 64))
    assert 0.5 < moments[-1] / moments[0] < 2
    assert 0.5 < grads[0] / grads[-1] < 2


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Sigmoid(), nn.GELU()], ids=repr)
def test_training_breaks_mirrored_pairs(activation):
    model = plain(3, 16, activation)
    quietly(model, "mirrored")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = noise(64, 16), noise(64, 16).square()
    for _ in range(3):
        optimizer.zero_grad()
        functional.mse_loss(model(x), y).backward()
        optimizer.step()
    weight = model[2].weight
    assert (weight[:8] + weight[8:]).abs().max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("activation", [nn.Sigmoid(), nn.GELU()], ids=repr)
def test_thirty_plain_layers_learn_the_digits_from_mirrored_pairs_only(activation):
    data = digits()
    images = torch.tensor(data.train_images).float().flatten(1)
    x, y = (images - images.mean()) / images.std(), torch.tensor(data.train_labels).long()

    def learned(scheme):
        torch.manual_seed(0)
        model = nn.Sequential(plain(30, 64, activation, head=False), nn.Linear(64, 10))
        if scheme is not None:
            quietly(model, scheme)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(200):
            rows = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        return (model(x).argmax(1) == y).float().mean().item()

    assert learned("mirrored") > 0.85
    assert learned(None) < 0.2


def test_mirrored_passes_through_convolutions_and_flattening():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip
    changes = quietly(model, "mirrored")
    assert ["mirrored" in change.what for change in changes] == [True, True, True]
    x = noise(2, 3, 6, 6)
    torch.testing.assert_close(model(-x), -model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scheme", OURS)
def test_a_padding_row_stays_zero(scheme):
    model = nn.Sequential(nn.Embedding(9, 8, padding_idx=3), nn.Linear(8, 8))
    quietly(model, scheme)
    assert not model[0].weight[3].any()
    assert model[0].weight[4].any()


@pytest.mark.parametrize("scheme", OURS)
def test_tied_weights_are_written_once_as_the_head_needs_them(scheme):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(500, 64, padding_idx=0), nn.Linear(64, 500)
            self.head.weight = self.table.weight

        def forward(self, x):
            return self.head(self.table(x))

    model = Tied()
    changes = quietly(model, scheme)
    assert [c.what for c in changes if "tied" in c.why] == ["left as it was"]
    assert model.head.weight is model.table.weight
    assert model.head.weight.std().item() < 0.5
    assert not model.table.weight[0].any()


@pytest.mark.parametrize("scheme", OURS)
def test_frozen_weights_are_left_alone_and_that_is_said(scheme):
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)).requires_grad_(False)
    model[2].requires_grad_(True)
    before = model[0].weight.clone()
    changes = quietly(model, scheme)
    assert torch.equal(before, model[0].weight)
    assert changes[0].why == "it is frozen"


def test_a_computed_weight_is_left_alone_and_that_is_said():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(8, 8)), nn.Linear(8, 8))
    before = model[0].weight.clone()
    changes = quietly(model, "kaiming")
    assert torch.equal(before, model[0].weight)
    assert any("computed from others" in change.why for change in changes)


@pytest.mark.parametrize("scheme", OURS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_keep_their_dtype_and_their_graph(scheme, dtype):
    model = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8)).to(dtype)
    quietly(model, scheme)
    assert all(one.dtype == dtype and one.isfinite().all() for one in model.parameters())
    assert all(one.is_leaf and one.requires_grad for one in model.parameters())


def test_a_seed_gives_the_same_weights_and_leaves_the_random_numbers():
    model = plain(3, 8, nn.ReLU())
    before = torch.get_rng_state()
    quietly(model, "kaiming", seed=3)
    first = model[2].weight.clone()
    quietly(model, "kaiming", seed=3)
    assert torch.equal(first, model[2].weight)
    assert torch.equal(before, torch.get_rng_state())


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="kaiming"):
        quietly(nn.Linear(2, 2), "kaimming")


@pytest.mark.parametrize("scheme", ["auto", "kaiming"])
def test_weights_that_do_not_exist_yet_are_refused(scheme):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = nn.Sequential(nn.LazyLinear(4))
    with pytest.raises(UsageError, match="lazy"):
        quietly(lazy, scheme)
    with torch.device("meta"):
        meta = nn.Linear(2, 2)
    with pytest.raises(UsageError, match="meta"):
        quietly(meta, scheme)


def test_what_is_no_model_is_refused():
    with pytest.raises(UsageError, match=r"torch\.nn\.Module"):
        quietly([nn.Linear(2, 2).weight])


def test_a_model_without_weights_is_refused():
    with pytest.raises(UsageError, match="nothing to initialise"):
        choice_of(nn.Sequential(nn.ReLU()))


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_an_empty_layer_is_no_trouble():
    quietly(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 0)), "kaiming")


class Block(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.norm = nn.LayerNorm(16) if norm else nn.Identity()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x):
        return x + self.b(torch.relu(self.a(self.norm(x))))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (nn.Sequential(nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 2)), "kaiming"),
        (nn.Sequential(nn.Linear(2, 8), nn.GELU(), nn.Linear(8, 1)), "kaiming"),
        (plain(9, 256, nn.GELU()), "kaiming"),
        (plain(12, 256, nn.GELU()), "mirrored"),
        (plain(6, 256, nn.Tanh()), "mirrored"),
        (plain(40, 512, nn.ReLU()), "kaiming"),
        (plain(40, 64, nn.ReLU()), "mirrored"),
        (nn.Sequential(*[Block(True) for _ in range(4)]), "kaiming"),
        (nn.Sequential(*[Block(False) for _ in range(4)]), "fixup"),
        (nn.Sequential(nn.LSTM(8, 8)), "orthogonal"),
        (nn.Sequential(nn.TransformerEncoderLayer(8, 2)), "transformer"),
    ],
)
def test_the_rule_chooses_by_structure(model, name):
    assert choice_of(model).name == name


def test_the_choice_is_printed_with_its_reason(capsys):
    model = plain(30, 32, nn.GELU())
    initialize(model, seed=0)
    text = capsys.readouterr().out
    assert "initialisation: mirrored" in text
    assert "gradients change by a factor of" in text
    assert "GELU" in text


def test_a_forward_that_writes_to_its_module_is_read_without_a_trace():
    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls, self.last = nn.Linear(4, 4), 0, None

        def forward(self, x):
            self.calls += 1
            self.last = torch.relu(self.layer(x))
            return self.last

    choice = choice_of(model := Writing())
    assert choice.facts.activations == ("relu",)
    assert (model.calls, model.last) == (0, None)


def test_choosing_changes_nothing():
    model = plain(4, 8, nn.ReLU())
    before = [one.clone() for one in model.parameters()]
    state = torch.get_rng_state()
    choice_of(model)
    assert all(map(torch.equal, before, model.parameters()))
    assert torch.equal(state, torch.get_rng_state())


def test_every_scheme_of_the_folder_has_a_name():
    assert set(OURS) <= set(known_schemes())
