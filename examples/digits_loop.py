"""A plain training loop on the embedded digits, watched: the two lines are `watch` and `log`.

python examples/digits_loop.py --steps 300 --run-dir runs/digits-loop
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import steadytrain as st
from steadytrain.lab.datasets import digits


def tensors():
    """Training and test images, standardised by the training pixels, with their labels."""
    data = digits()
    print(data.line)
    mean, deviation = data.scale
    images = [
        (torch.from_numpy(part.astype(np.float32)).unsqueeze(1) - mean) / deviation
        for part in (data.train_images, data.test_images)
    ]
    labels = [
        torch.from_numpy(part.astype(np.int64)) for part in (data.train_labels, data.test_labels)
    ]
    return images, labels


def build():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--run-dir", type=Path, help="a new folder; in memory only if left out")
    options = parser.parse_args()

    torch.manual_seed(0)
    (train_images, test_images), (train_labels, test_labels) = tensors()
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate)

    with st.watch(model, optimizer, run_dir=options.run_dir) as watch:
        for _ in range(options.steps):
            picked = torch.randint(len(train_labels), (64,))
            loss = functional.cross_entropy(model(train_images[picked]), train_labels[picked])
            loss.backward()
            watch.clip_grad_norm_(1.0)
            optimizer.step()
            optimizer.zero_grad()
            watch.log(loss=loss)

    model.eval()
    with torch.no_grad():
        accuracy = (model(test_images).argmax(dim=1) == test_labels).float().mean()
    print(f"loss {loss.item():.3f}, test accuracy {accuracy.item():.1%}")
    for finding in watch.findings():
        print(f"step {finding.step} {finding.severity.name} {finding.rule}: {finding.message}")
    if options.run_dir:
        print(f"next: steadytrain report {options.run_dir}")


if __name__ == "__main__":
    main()
