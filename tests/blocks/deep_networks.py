"""Networks as people write them, for the tests that must find their parts."""

import torch
import torch.nn.functional as F
from torch import nn


class FusedAttention(nn.Module):
    def __init__(self, width, heads=2):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.c_attn(x).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = FusedAttention(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """Written by hand, queries, keys and values in one layer, the head tied to the embedding."""

    def __init__(self, width=32, layers=3, tokens=50):
        super().__init__()
        self.wte = nn.Embedding(tokens, width, padding_idx=0)
        self.wpe = nn.Embedding(16, width)
        self.h = nn.ModuleList(Block(width) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, tokens, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class Rms(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class GroupedAttention(nn.Module):
    """Registers the value before the query, adds its mask, and has narrower keys and values."""

    def __init__(self, width):
        super().__init__()
        self.v_proj = nn.Linear(width, width // 2, bias=False)
        self.k_proj = nn.Linear(width, width // 2, bias=False)
        self.q_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x):
        q, k = self.q_proj(x), self.k_proj(x).repeat(1, 1, 2)
        mask = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
        return self.o_proj(torch.softmax(q @ k.mT + mask, -1) @ self.v_proj(x).repeat(1, 1, 2))


class Gated(nn.Module):
    """The layer that writes to the stream is registered in the middle."""

    def __init__(self, width, hidden):
        super().__init__()
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class GatedBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = Rms(width), Rms(width)
        self.attention = GroupedAttention(width)
        self.feed_forward = Gated(width, 3 * width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class Pairs(nn.Module):
    """A vision transformer whose loop adds, over pairs of modules that do not."""

    class Attention(nn.Module):
        def __init__(self, width, inner):
            super().__init__()
            self.attend = nn.Softmax(dim=-1)
            self.to_qkv = nn.Linear(width, 3 * inner, bias=False)
            self.to_out = nn.Sequential(nn.Linear(inner, width), nn.Dropout(0.0))

        def forward(self, x):
            q, k, v = self.to_qkv(x).chunk(3, -1)
            return self.to_out(self.attend(q @ k.mT) @ v)

    def __init__(self, width=16, layers=2):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Pairs.Attention(width, 24),
                    nn.Sequential(
                        nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
                    ),
                ]
            )
            for _ in range(layers)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, images):
        x = self.patches(images).flatten(2).mT
        for attention, feed_forward in self.layers:
            x = attention(x) + x
            x = feed_forward(x) + x
        return self.head(x.mean(1))


class Bottleneck(nn.Module):
    def __init__(self, reads, width, stride=1):
        super().__init__()
        writes = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(reads, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, writes, 1, bias=False), nn.BatchNorm2d(writes)
        self.downsample = None
        if stride > 1 or reads != writes:
            conv = nn.Conv2d(reads, writes, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(writes))

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(out)))))
        out += x if self.downsample is None else self.downsample(x)
        return torch.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Bottleneck(8, 4), Bottleneck(16, 4))
        self.layer2 = nn.Sequential(Bottleneck(16, 8, 2), Bottleneck(32, 8))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(x.mean((2, 3)))


class Experts(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.router = nn.Linear(width, 3)
        self.experts = nn.ModuleList(Gated(width, 2 * width) for _ in range(3))

    def forward(self, x):
        shares = torch.softmax(self.router(x), -1).unbind(-1)
        return sum(s[..., None] * one(x) for s, one in zip(shares, self.experts, strict=True))


class ExpertBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.moe = Rms(width), Experts(width)

    def forward(self, x):
        return x + self.moe(self.norm(x))


class PlainBlock(nn.Module):
    """Looks like a residual block and adds nothing."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(width), nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def forward(self, x):
        return self.mlp(self.norm(x))


def torch_encoder(width=16, layers=2, *, norm_first=True):
    layer = nn.TransformerEncoderLayer(
        width, 2, 4 * width, dropout=0.0, batch_first=True, norm_first=norm_first
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
