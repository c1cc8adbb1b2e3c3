"""LSUV: every layer's output gets unit variance, and nothing else is touched."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from steadytrain.blocks import lsuv
from steadytrain.core.errors import UsageError


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def run(model, batch, **options):
    return {change.path: change for change in lsuv(model, batch, seed=0, verbose=False, **options)}


def stds(model, batch):
    """The standard deviation of each weighted layer's output, in the order of execution."""
    found = {}

    def measure(module, _args, output):
        found.setdefault(module, output.std(correction=0).item())

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(measure)
    with torch.no_grad():
        model(batch)
    return list(found.values())


@pytest.mark.parametrize(
    "activation", [nn.Sigmoid(), nn.SiLU(), nn.Tanh(), nn.Softplus()], ids=repr
)
def test_every_layer_of_a_deep_stack_gets_unit_variance(activation):
    layers = [part for _ in range(30) for part in (nn.Linear(64, 64), activation)]
    model, batch = nn.Sequential(*layers), noise(128, 64)
    run(model, batch)
    assert all(abs(std - 1) <= 0.1 for std in stds(model, batch))


def test_convolutions_and_data_far_from_unit_scale():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4), nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Flatten(), nn.Linear(1024, 5),
    )  # fmt: skip
    batch = 1000 * noise(32, 3, 12, 12)
    run(model, batch)
    assert all(abs(std - 1) <= 0.1 for std in stds(model, batch))


def test_layers_are_scaled_in_the_order_of_execution_not_of_registration():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(16, 4), nn.Linear(8, 16)

        def forward(self, x):
            return self.last(torch.sigmoid(self.first(x)))

    changes = run(model := Backwards(), batch := noise(64, 8))
    assert list(changes) == ["first", "last"]
    assert all(abs(std - 1) <= 0.1 for std in stds(model, batch))


def test_the_model_runs_once():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*[nn.Linear(8, 8) for _ in range(6)])
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.layers(x)

    run(model := Counting(), noise(32, 8))
    assert model.calls == 1


def test_mode_buffers_hooks_and_random_numbers_are_as_before():
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 8))
    model[1].eval()
    before, state = model[1].running_mean.clone(), torch.get_rng_state()
    run(model, noise(64, 8))
    assert [part.training for part in model] == [True, False, True, True]
    assert torch.equal(model[1].running_mean, before)
    assert model[1].num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(part._forward_hooks for part in model.modules())


def test_running_statistics_are_put_back_in_training_mode():
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    run(model, 3 + noise(64, 8))
    assert not model[1].running_mean.any()


def test_a_model_that_fails_keeps_its_weights_and_has_no_hooks():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(8, 8)

        def forward(self, x):
            self.first(x)
            raise RuntimeError("broken")

    model = Failing()
    before = model.first.weight.clone()
    with pytest.raises(RuntimeError, match="broken"):
        run(model, noise(16, 8))
    assert torch.equal(before, model.first.weight)
    assert not model.first._forward_hooks


@pytest.mark.parametrize("kind", ["tuple", "list", "dict"])
def test_several_inputs(kind):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.bilinear = nn.Bilinear(4, 6, 8)

        def forward(self, left, right):
            return self.bilinear(left, right)

    parts = (noise(64, 4), noise(64, 6))
    batch = (
        {"left": parts[0], "right": parts[1]}
        if kind == "dict"
        else (tuple, list)[kind == "list"](parts)
    )
    run(model := Two(), batch)
    assert model(*parts).std().item() == pytest.approx(1.0, abs=0.1)


def test_keeping_the_weights_changes_their_scale_only():
    model = nn.Sequential(nn.Linear(8, 8, bias=False))
    before = model[0].weight.clone()
    run(model, noise(64, 8), scheme=None)
    ratio = model[0].weight / before
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))


def test_attention_is_scaled_by_its_output_projection():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x)[0]

    changes = run(model := Attending(), batch := noise(8, 12, 16))
    assert list(changes) == ["attention"]
    assert model(batch).std().item() == pytest.approx(1.0, abs=0.1)


def test_what_could_not_be_scaled_is_named_with_its_reason():
    model = nn.Sequential(
        nn.Linear(8, 8), nn.Linear(8, 8), parametrizations.weight_norm(nn.Linear(8, 8)), nn.Linear(8, 8)
    )  # fmt: skip
    model[0].requires_grad_(False)
    model[1].weight = model[0].weight
    nn.init.zeros_(model[3].weight)
    nn.init.zeros_(model[3].bias)
    model[3].weight = model[3].weight
    reasons = {path: change.why for path, change in run(model, noise(64, 8), scheme=None).items()}
    assert reasons["0"] == reasons["1"] == "it is frozen"
    assert "computed" in reasons["2"]
    assert "does not vary" in reasons["3"]


def test_tied_layers_are_scaled_once():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = model[0].weight
    changes = run(model, noise(64, 8))
    assert changes["1"].why == "it is tied to 0"


def test_a_layer_the_batch_does_not_reach_is_named():
    model = nn.Sequential(nn.Linear(8, 8))
    model[0].spare = nn.Linear(4, 4)
    assert run(model, noise(64, 8))["0.spare"].why == "this batch does not run it"


def test_a_recurrent_cell_is_left_because_its_output_is_bounded():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.cell(x)[0])

    changes = run(Recurrent(), noise(32, 5, 8))
    assert changes["cell"].what == "left as it was"
    assert changes["head"].what.endswith("1.00")


def test_a_bias_that_varies_more_than_allowed_is_reported():
    model = nn.Sequential(nn.Linear(8, 8))
    with torch.no_grad():
        model[0].bias.copy_(torch.linspace(-9, 9, 8))
    changes = run(model, noise(64, 8), scheme=None, max_tries=3)
    assert changes["0"].why.startswith("not reached")


@pytest.mark.parametrize("options", [{"tol": 0.0}, {"tol": math.nan}, {"max_tries": 0}])
def test_options_that_cannot_be_met_are_refused(options):
    with pytest.raises(UsageError, match="must be"):
        run(nn.Linear(2, 2), noise(8, 2), **options)


def test_a_batch_with_nan_is_refused():
    with pytest.raises(UsageError, match="NaN or infinity"):
        run(nn.Linear(2, 2), torch.full((4, 2), math.nan))


def test_labels_in_the_batch_are_answered_with_what_to_pass():
    with pytest.raises(UsageError, match="without the labels"):
        run(nn.Linear(2, 2), (noise(4, 2), torch.zeros(4)))


def test_the_changes_are_printed(capsys):
    lsuv(nn.Sequential(nn.Linear(8, 8)), noise(64, 8), seed=0)
    assert "0: std" in capsys.readouterr().out
