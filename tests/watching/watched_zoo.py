"""Small models of many kinds, with the loss of one step; the tests of the watch train them."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x):
        hidden = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(hidden)))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells = kind(4, 8, num_layers=2, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(17, 16)
        self.place = nn.Parameter(torch.zeros(8, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 17, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        hidden = self.embed(tokens) + self.place[: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.head(self.norm(self.block(hidden, src_mask=mask, is_causal=True)))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, 0.1, F.gelu, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        patches = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1)
        return self.head(self.block(tokens)[:, 0])


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2))
        self.second = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        hidden = checkpoint(self.first, x, use_reentrant=False)
        return self.head(checkpoint(self.second, hidden, use_reentrant=False))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 4, dtype=torch.complex64) / 3)
        self.bias = nn.Parameter(torch.zeros(4, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(torch.complex64) @ self.weight + self.bias).abs()


class Odd(nn.Module):
    """Parameters of no elements and of no dimensions."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.empty = nn.Parameter(torch.zeros(0, 3))

    def forward(self, x):
        return self.linear(x) * self.scale + self.empty.sum()


def mlp():
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)
    )


def resnet():
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Residual(4), Residual(4), *head)


def autoencoder():
    encoder = nn.Sequential(nn.Linear(8, 3), nn.Sigmoid())
    return nn.Sequential(encoder, nn.Sequential(nn.Linear(3, 8), nn.Sigmoid()))


def dropout_net():
    return nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.GELU(), nn.Linear(16, 4))


def in_place_net():
    layers = (nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 16), nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Linear(16, 4))


def channels_last_net():
    return cnn().to(memory_format=torch.channels_last)


def vectors(model):
    return F.cross_entropy(model(torch.randn(6, 8)).float(), torch.randint(4, (6,)))


def images(model):
    return F.cross_entropy(model(torch.randn(6, 1, 8, 8)), torch.randint(4, (6,)))


def sequences(model):
    return F.cross_entropy(model(torch.randn(6, 5, 4)), torch.randint(4, (6,)))


def language(model):
    tokens = torch.randint(17, (4, 9))
    return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def reconstruction(model):
    batch = torch.rand(6, 8)
    return F.mse_loss(model(batch), batch)


def twice(model):
    return vectors(model) + model(torch.randn(3, 8)).square().mean()


def half_precision(model):
    return F.cross_entropy(model(torch.randn(6, 8).bfloat16()).float(), torch.randint(4, (6,)))


def under_autocast(model):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return vectors(model)


KINDS = {
    "mlp": (mlp, vectors),
    "cnn": (cnn, images),
    "resnet": (resnet, images),
    "lstm": (lambda: Recurrent(nn.LSTM), sequences),
    "gru": (lambda: Recurrent(nn.GRU), sequences),
    "gpt": (GPT, language),
    "vit": (ViT, images),
    "autoencoder": (autoencoder, reconstruction),
    "dropout": (dropout_net, vectors),
    "in-place": (in_place_net, vectors),
    "complex": (Complex, vectors),
    "checkpointed": (Checkpointed, vectors),
    "twice": (dropout_net, twice),
    "bf16": (lambda: mlp().bfloat16(), half_precision),
    "autocast": (dropout_net, under_autocast),
    "channels-last": (channels_last_net, images),
    "odd-parameters": (Odd, vectors),
}
"""Each kind: how it is built, and the loss of one step on a fresh random batch."""
