import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from steadytrain import recipes
from steadytrain.blocks.initialization import initialize, known_schemes
from steadytrain.core.errors import UsageError
from steadytrain.recipes._trained import sign_of_training


class WrittenOutAttention(nn.Module):
    """As people write it by hand: nothing but linear layers and a softmax."""

    def __init__(self, width=16):
        super().__init__()
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        scores = self.query(x) @ self.key(x).mT / x.shape[-1] ** 0.5
        return x + self.out(scores.softmax(dim=-1) @ self.value(x))


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 16)
        self.blocks = nn.ModuleList(WrittenOutAttention() for _ in range(2))
        self.head = nn.Linear(16, 20)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 16, 4, stride=4)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, images):
        return self.head(self.layer(self.patch(images).flatten(2).mT).mean(dim=1))


class Classifier(nn.Module):
    """Ends in a softmax, which does not make it an attention."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 32), nn.Linear(32, 4)

    def forward(self, x):
        return functional.softmax(self.second(functional.relu(self.first(x))), dim=-1)


def perceptron(width=32):
    layers = [nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(3)]
    return nn.Sequential(*layers, nn.Linear(width, 4))


MODELS = {
    "language model by hand": (Language, "transformer"),
    "torch's encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2), 2),
        "transformer",
    ),
    "patches": (Patches, "vit"),
    "lstm": (lambda: nn.LSTM(4, 8), "rnn"),
    "cell": (lambda: nn.Sequential(nn.Embedding(9, 4), nn.GRUCell(4, 8)), "rnn"),
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3)),
        "cnn",
    ),
    "perceptron": (perceptron, "mlp"),
    "softmax classifier": (Classifier, "mlp"),
}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(("build", "name"), MODELS.values(), ids=MODELS)
def test_reads_the_architecture_from_the_model(build, name):
    recipe = recipes.auto(build())
    assert recipe.name == name
    assert recipe.why["name"] in str(recipe).replace("\n", " ")


def test_a_softmax_at_the_end_is_no_attention():
    assert recipes.auto(Classifier()).why["name"].startswith("weights without")


def test_the_reason_names_the_module():
    assert recipes.auto(Language()).why["name"] == "blocks.0 (WrittenOutAttention) is attention"


def test_the_rate_follows_the_width_that_was_read():
    wide = nn.Sequential(Language(), nn.MultiheadAttention(256, 4))
    assert recipes.auto(wide).optimizer.lr == pytest.approx(0.4 / 256)


def test_reading_changes_nothing():
    model = Patches()
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    recipes.auto(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_you_say_about_training_counts():
    recipe = recipes.auto(perceptron(), pretrained=True)
    assert (recipe.name, recipe.initialisation) == ("finetune", None)
    assert recipe.optimizer.lr == pytest.approx(recipes.mlp().optimizer.lr / 10)


def trained(model, steps=60, lr=3e-3):
    torch.manual_seed(1)
    x, y = torch.randn(128, 32), torch.randint(4, (128,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    for _ in range(steps):
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def test_trained_weights_are_seen_without_norms_and_without_the_optimizer():
    torch.manual_seed(0)
    model = perceptron()
    assert sign_of_training(model) is None
    assert "direction" in sign_of_training(trained(model))


def test_trained_norms_are_seen():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 4), nn.LayerNorm(4), nn.Linear(4, 4))
    assert sign_of_training(model) is None
    assert "scales its channels" in sign_of_training(trained(model, steps=3))


def test_a_forward_pass_to_look_at_shapes_is_no_training():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))
    model(torch.randn(4, 1, 8, 8))
    assert sign_of_training(model) is None


@pytest.mark.parametrize("scheme", known_schemes())
@pytest.mark.parametrize("build", [Language, lambda: perceptron(8), perceptron])
def test_no_initialisation_looks_trained(scheme, build):
    for seed in range(3):
        torch.manual_seed(seed)
        model = build()
        # one that scales residual branches refuses a model without any
        with contextlib.suppress(UsageError):
            initialize(model, scheme, verbose=False)
        assert sign_of_training(model) is None


@pytest.mark.parametrize(
    "draw",
    [
        nn.init.normal_,
        nn.init.uniform_,
        nn.init.ones_,
        nn.init.zeros_,
        lambda p: nn.init.constant_(p, 0.3),
        lambda p: p.detach().mul_(10.0),
        lambda p: p.detach().mul_(0.01),
    ],
)
def test_a_bad_initialisation_does_not_look_trained(draw):
    for seed in range(3):
        torch.manual_seed(seed)
        model = perceptron()
        for parameter in model.parameters():
            draw(parameter)
        assert sign_of_training(model) is None


def test_a_model_without_parameters_is_refused():
    with pytest.raises(UsageError, match="no parameters"):
        recipes.auto(nn.ReLU())
    with pytest.raises(UsageError, match="got list"):
        recipes.auto([nn.Linear(2, 2)])
