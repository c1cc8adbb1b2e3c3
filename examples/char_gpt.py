"""A small GPT that learns any text file character by character, watched.

python examples/char_gpt.py --text README.md --steps 200
"""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import steadytrain as st
from steadytrain.optim.schedules import warmup_cosine


class Block(nn.Module):
    """Pre-norm attention and a feed-forward network, each added to what came in."""

    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width, bias=False)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens):
        tokens = tokens + self.attend(self.attention_norm(tokens))
        return tokens + self.feed(self.feed_norm(tokens))

    def attend(self, tokens):
        batch, length, width = tokens.shape
        heads = self.qkv(tokens).view(batch, length, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.project(mixed.transpose(1, 2).reshape(batch, length, width))


class CharGPT(nn.Module):
    """Embeds characters and positions, mixes them, and scores the next character."""

    def __init__(self, num_chars, context, width=64, num_layers=2, num_heads=4):
        super().__init__()
        self.characters = nn.Embedding(num_chars, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, num_heads) for _ in range(num_layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_chars, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, characters):
        places = torch.arange(characters.shape[1], device=characters.device)
        tokens = self.characters(characters) + self.positions(places)
        return self.head(self.norm(self.blocks(tokens)))


def read(path):
    """The text as numbers, and the characters they stand for."""
    text = path.read_text(encoding="utf-8", errors="replace")
    alphabet = sorted(set(text))
    numbers = {character: number for number, character in enumerate(alphabet)}
    return torch.tensor([numbers[character] for character in text]), alphabet


def sample(text, batch_size, context):
    """Random pieces of the text, and the same pieces one character later."""
    starts = torch.randint(len(text) - context, (batch_size, 1))
    pieces = text[starts + torch.arange(context + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=Path(__file__), help="any text file")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--run-dir", type=Path, help="a new folder; in memory only if left out")
    options = parser.parse_args()

    torch.manual_seed(0)
    text, alphabet = read(options.text)
    print(f"{options.text.name}: {len(text):,} characters, {len(alphabet)} different")
    model = CharGPT(len(alphabet), options.context)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
    schedule = warmup_cosine(warmup_steps=max(1, options.steps // 20), total_steps=options.steps)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)

    with st.watch(model, optimizer, run_dir=options.run_dir) as watch:
        for step in range(options.steps):
            inputs, targets = sample(text, 16, options.context)
            loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
            loss.backward()
            watch.clip_grad_norm_(1.0)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
            watch.log(loss=loss)
            if step % 50 == 0:
                print(f"step {step}: loss {loss.item():.3f}")

    print(f"step {options.steps}: loss {loss.item():.3f}")
    for finding in watch.findings():
        print(f"step {finding.step} {finding.severity.name} {finding.rule}: {finding.message}")
    if options.run_dir:
        print(f"next: steadytrain report {options.run_dir}")


if __name__ == "__main__":
    main()
