"""The same digits as a `Program`: `st.train` is the loop, with warm-up, clipping and validation.

`program` is a factory, so the command line can train it too:

python examples/digits_train.py --steps 300
steadytrain train examples/digits_train.py:program
"""

import argparse

import torch
from torch import nn
from torch.nn import functional

import steadytrain as st
from steadytrain.lab.datasets import digits
from steadytrain.lab.lesson.batches import ImageTensors, ShuffledBatches
from steadytrain.optim.schedules import warmup_cosine


def program(seed=0, steps=300):
    """A convolutional network with batch norm on the embedded digits."""
    torch.manual_seed(seed)
    data = ImageTensors.of(digits())
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule = warmup_cosine(warmup_steps=max(1, steps // 20), total_steps=steps)
    return st.Program(
        model=model,
        optimizer=optimizer,
        batches=ShuffledBatches(data.train_images, data.train_labels, batch_size=64, seed=seed),
        loss_fn=loss_fn,
        scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, schedule),
        clip=1.0,
        validation=(data.test_images, data.test_labels),
        metric_fn=accuracy,
    )


def loss_fn(model, batch):
    images, labels = batch
    return functional.cross_entropy(model(images), labels)


@torch.no_grad()
def accuracy(model, validation):
    images, labels = validation
    was_training = model.training
    model.eval()
    share = (model(images).argmax(dim=1) == labels).float().mean()
    model.train(was_training)
    return share.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--run-dir", help="a new folder; nothing is written if left out")
    options = parser.parse_args()

    print(digits().line)
    run = st.train(
        program(steps=options.steps),
        steps=options.steps,
        run_dir=options.run_dir,
        validate_every=100,
    )
    print(f"loss {run.metrics['loss']:.3f}, accuracy {run.metrics['validation_metric']:.1%}")
    for finding in run.findings():
        print(f"step {finding.step} {finding.severity.name} {finding.rule}: {finding.message}")


if __name__ == "__main__":
    main()
