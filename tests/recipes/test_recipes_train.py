"""Each recipe on its architecture, beside torch's defaults at a rate that people do use."""

import copy
import dataclasses
from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional

import steadytrain as st
from steadytrain import recipes
from steadytrain.blocks import gradient_penalty, normalize_advantages
from steadytrain.lab.datasets import digits
from steadytrain.recipes import stabilise

STEPS = 150


@cache
def images():
    """A tenth of the digits, standardised. Shape: [n, 1, 8, 8], [n]."""
    data = digits()
    mean, deviation = data.scale
    pixels = (torch.from_numpy(data.train_images[::10]).float() - mean) / deviation
    return pixels.unsqueeze(1), torch.from_numpy(data.train_labels[::10]).long()


def classify(model):
    x, y = images()
    return functional.cross_entropy(model(x), y)


def continue_patterns(model):
    """Next-token loss on sequences that repeat a pattern of their own."""
    patterns = torch.randint(12, (16, 6), generator=torch.Generator().manual_seed(0))
    tokens = patterns.repeat(1, 3)
    return functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def recall(model):
    """The first symbol of a sequence, asked for at its end."""
    tokens = torch.randint(6, (48, 20), generator=torch.Generator().manual_seed(0))
    return functional.cross_entropy(model(tokens), tokens[:, 0])


class Convolutional(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()]
        for _ in range(7):
            layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class Perceptron(nn.Sequential):
    def __init__(self):
        layers = [nn.Flatten(), nn.Linear(64, 64), nn.Tanh()]
        for _ in range(14):
            layers += [nn.Linear(64, 64), nn.Tanh()]
        super().__init__(*layers, nn.Linear(64, 10))


def encoder():
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


class VisionTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 32, 2, stride=2)
        self.place = nn.Parameter(torch.zeros(1, 16, 32))
        self.encoder, self.head = encoder(), nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.encoder(self.patch(x).flatten(2).mT + self.place).mean(dim=1))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(12, 32), nn.Embedding(18, 32)
        self.encoder, self.head = encoder(), nn.Linear(32, 12)

    def forward(self, tokens):
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.token(tokens) + self.place(torch.arange(length))
        return self.head(self.encoder(x, mask=mask, is_causal=True))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 16)
        self.cells, self.head = nn.RNN(16, 48, batch_first=True), nn.Linear(48, 6)

    def forward(self, tokens):
        return self.head(self.cells(self.embedding(tokens))[0][:, -1])


ARCHITECTURES = {
    "cnn": (Convolutional, classify),
    "mlp": (Perceptron, classify),
    "vit": (VisionTransformer, classify),
    "transformer": (LanguageModel, continue_patterns),
    "rnn": (Recurrent, recall),
}


def trained(model, loss_of, optimizer, clip=None, scheduler=None, steps=STEPS):
    """The mean loss of the last ten steps."""
    losses = []
    for _ in range(steps):
        loss = loss_of(model)
        loss.backward()
        if clip is not None:
            clip(model.parameters())
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rate"),
    [
        *((name, 1e-1) for name in ARCHITECTURES),
        ("cnn", 1e-2),
        ("mlp", 1e-2),
    ],
)
def test_trains_its_architecture_where_torch_defaults_at_a_common_rate_do_not(name, rate):
    build, loss_of = ARCHITECTURES[name]
    torch.manual_seed(0)
    model = build()
    plain = copy.deepcopy(model)
    theirs = trained(plain, loss_of, torch.optim.Adam(plain.parameters(), lr=rate))
    steady = stabilise(model, recipe=name, total_steps=STEPS, seed=0, verbose=False)
    ours = trained(model, loss_of, steady.optimizer, steady.clip, steady.scheduler)
    assert ours <= theirs
    assert ours < 0.7 * loss_of(build()).item()


@pytest.mark.slow
def test_fine_tuning_does_not_undo_what_was_learned():
    torch.manual_seed(0)
    x, y = images()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    trained(model, classify, torch.optim.Adam(model.parameters(), lr=1e-3))

    def some(model):
        return functional.cross_entropy(model(x[:16]), y[:16])

    plain = copy.deepcopy(model)
    trained(plain, some, torch.optim.Adam(plain.parameters(), lr=1e-2), steps=60)
    plan = recipes.finetune(total_steps=60, lr=1e-4)
    steady = st.stabilise(model, recipe=plan, verbose=False)
    trained(model, some, steady.optimizer, steady.clip, steady.scheduler, steps=60)
    assert classify(model) <= classify(plain)


@pytest.mark.slow
def test_a_policy_keeps_exploring_until_it_knows():
    """At 0.1 the policy settles on the first action that paid and never sees the better one."""
    payoffs = torch.tensor([0.5, 0.4, 1.0, 0.1])

    def play(optimizer, policy, clip=None, scheduler=None):
        own = torch.Generator().manual_seed(0)
        for _ in range(600):
            logits = policy(torch.ones(64, 4))
            actions = torch.multinomial(logits.softmax(dim=-1), 1, generator=own)[:, 0]
            rewards = payoffs[actions] + torch.randn(64, generator=own)
            advantages = normalize_advantages(rewards)
            chosen = logits.log_softmax(dim=-1).gather(1, actions[:, None])[:, 0]
            (-advantages * chosen).mean().backward()
            if clip is not None:
                clip(policy.parameters())
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            optimizer.zero_grad()
        return (policy(torch.ones(1, 4)).softmax(dim=-1) @ payoffs).item()

    torch.manual_seed(0)
    policy = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 4))
    plain = copy.deepcopy(policy)
    theirs = play(torch.optim.Adam(plain.parameters(), lr=1e-1), plain)
    steady = st.stabilise(policy, recipe="rl", total_steps=600, seed=0, verbose=False)
    ours = play(steady.optimizer, policy, steady.clip, steady.scheduler)
    assert ours >= theirs
    assert ours > 0.9


@pytest.mark.slow
def test_a_critic_stays_finite_and_leaves_the_generator_a_gradient():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    plan = recipes.gan(total_steps=200)
    makes = st.stabilise(generator, recipe=plan, verbose=False)
    judges = st.stabilise(critic, recipe=swapped(plan), verbose=False)
    for _ in range(200):
        real, fake = torch.randn(64, 2) + 2.0, generator(torch.randn(64, 4))
        weight = plan.losses["gradient_penalty"]
        penalty = gradient_penalty(critic, real, fake.detach(), weight=weight)
        gap = critic(fake.detach()).mean() - critic(real).mean()
        (gap + penalty).backward()
        judges.clip(critic.parameters())
        judges.optimizer.step()
        judges.optimizer.zero_grad()
        (-critic(fake).mean()).backward()
        makes.clip(generator.parameters())
        assert all(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
        makes.optimizer.step()
        makes.optimizer.zero_grad()
        critic.zero_grad()
    assert generator[2].weight.grad is None
    assert all(p.isfinite().all() for p in critic.parameters())


def swapped(plan):
    """The critic's side of the recipe."""
    return dataclasses.replace(plan, optimizer=plan.critic)
