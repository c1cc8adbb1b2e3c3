"""Scores every rule on real small networks, healthy ones and ones with a planted fault.

    OMP_NUM_THREADS=1 python benchmarks/rule_faults.py [--seeds 6] [--jobs 2] [--write] [--only NAME]
        [--keep FOLDER] [--minutes 3]

Recall is the share of faulty runs in which one of the rules meant for the fault speaks, at or
after its onset; delay counts steps from the onset; the layer is right if the finding's first
site is the planted one. False alarms are findings of warning or above on healthy runs. Even
seeds were looked at while limits were chosen, odd ones were only scored. `--write` replaces
benchmarks/results/rule_faults.md. With `--keep` the measurements of every run are kept and judged again
by the rules as they are now; with `--minutes` it ends after some runs, to be called once more.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import steadytrain as st
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.engine import judge, known_rules
from steadytrain.lab.datasets import digits
from steadytrain.lab.zoo.kept import Kept, read_kept, write_kept
from steadytrain.lab.zoo.scoring import Share

RESULT = Path(__file__).parent / "results" / "rule_faults.md"
ONSET = 150


@dataclass
class Setup:
    """A training run: what is trained, on what, and what happens to it."""

    model: nn.Module
    batch: Callable[[int], tuple[Tensor, Tensor]]
    steps: int = 300
    optimizer: torch.optim.Optimizer | None = None
    rate: float = 1e-3
    schedule: Callable[[int], float] | None = None
    clip: float | None = None
    zero_grad: bool = True
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    at: dict[int, Callable[[], None]] = field(default_factory=dict)

    def run(self) -> History:
        optimizer = self.optimizer or torch.optim.Adam(self.model.parameters(), lr=self.rate)
        base = [group["lr"] for group in optimizer.param_groups]
        with st.watch(self.model, optimizer, rules=[]) as watch:
            for step in range(self.steps):
                self.at.get(step, lambda: None)()
                if self.schedule:
                    for group, rate in zip(optimizer.param_groups, base, strict=True):
                        group["lr"] = rate * self.schedule(step)
                inputs, targets = self.batch(step)
                loss = self.loss(self.model(inputs), targets)
                loss.backward()
                if self.clip:
                    watch.clip_grad_norm_(self.clip)
                optimizer.step()
                if self.zero_grad:
                    optimizer.zero_grad()
                watch.log(loss=loss)
        return watch.history


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = (
            self.qkv(self.norm(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(b, t, c))


class GPT(nn.Module):
    def __init__(self, vocabulary: int, width: int, layers: int, context: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        feed = [
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, width),
            )
            for _ in range(layers)
        ]
        self.blocks = nn.Sequential(
            *(nn.Sequential(Residual(Attention(width)), Residual(f)) for f in feed)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, 0, 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x))).flatten(0, 1)


class GRU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.head = (
            nn.GRU(8, width, num_layers=2, batch_first=True),
            nn.Linear(width, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x)[0][:, -1])


def mlp(widths: list[int], act: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inner, outer in itertools.pairwise(widths[:-1]):
        parts += [nn.Linear(inner, outer), act()]
    return nn.Sequential(*parts, nn.Linear(widths[-2], widths[-1]))


def cnn(width: int) -> nn.Sequential:
    def block(inner: int, outer: int) -> list[nn.Module]:
        return [nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]

    return nn.Sequential(
        *block(1, width), *block(width, width), nn.MaxPool2d(2), *block(width, 2 * width),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10),
    )  # fmt: skip


def images(
    shape: tuple[int, ...], rng: np.random.Generator, size: int = 64
) -> Callable[[int], tuple[Tensor, Tensor]]:
    data = digits()
    pixels = torch.as_tensor(np.asarray(data.train_images), dtype=torch.float32)
    pixels = (pixels - pixels.mean()) / pixels.std()
    labels = torch.as_tensor(np.asarray(data.train_labels)).long()

    def batch(_: int) -> tuple[Tensor, Tensor]:
        chosen = torch.as_tensor(rng.integers(0, len(labels), size))
        return pixels[chosen].reshape(size, *shape), labels[chosen]

    return batch


def text(
    rng: np.random.Generator, vocabulary: int = 40, size: int = 8, length: int = 32
) -> Callable[[int], tuple[Tensor, Tensor]]:
    table = rng.dirichlet(np.full(vocabulary, 0.1), vocabulary).cumsum(axis=1)

    def batch(_: int) -> tuple[Tensor, Tensor]:
        tokens = np.zeros((size, length + 1), dtype=np.int64)
        tokens[:, 0] = rng.integers(0, vocabulary, size)
        for at in range(length):
            draws = rng.random((size, 1))
            tokens[:, at + 1] = np.minimum(
                (table[tokens[:, at]] < draws).sum(axis=1), vocabulary - 1
            )
        return torch.as_tensor(tokens[:, :-1]), torch.as_tensor(tokens[:, 1:]).flatten()

    return batch


def base(arch: str, seed: int) -> Setup:
    """A healthy run of the architecture, its size, data and initialisation drawn from the seed."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 7])
    width = int(rng.choice([32, 48, 64]))
    depth = int(rng.choice([3, 4, 5]))
    match arch:
        case "MLP":
            return Setup(mlp([64, *[2 * width] * depth, 10]), images((64,), rng))
        case "CNN":
            return Setup(cnn(width // 4), images((1, 8, 8), rng, 32), rate=3e-3)
        case "GPT":
            return Setup(GPT(40, width, depth - 1, 32), text(rng), rate=3e-3, clip=1.0)
        case "GRU":
            return Setup(GRU(width), images((8, 8), rng), rate=3e-3, clip=1.0)
    raise ValueError(arch)


ARCHITECTURES = ("MLP", "CNN", "GPT", "GRU")


def parts(model: nn.Module, kind: type[nn.Module]) -> list[tuple[str, nn.Module]]:
    return [(name, part) for name, part in model.named_modules() if isinstance(part, kind)]


@dataclass
class Fault:
    rules: tuple[str, ...]
    """Rules of which any one counts as having found it."""
    plant: Callable[[str, int], tuple[Setup, str | None]]
    """The faulty run, and where the fault is (the start of a site's name)."""
    archs: tuple[str, ...] = ARCHITECTURES
    onset: int = 0


def deep(
    act: Callable[[], nn.Module], depth: int, std: float | None = None, gain: float | None = None
) -> Callable[[str, int], tuple[Setup, str | None]]:
    def plant(arch: str, seed: int) -> tuple[Setup, str | None]:
        setup = base(arch, seed)
        width = int(np.random.default_rng(seed).choice([24, 32, 48]))
        setup.model = mlp([64, *[width] * depth, 10], act)
        for _, part in parts(setup.model, nn.Linear):
            assert isinstance(part, nn.Linear)
            if std:
                nn.init.normal_(part.weight, 0, std)
                nn.init.zeros_(part.bias)
            if gain:
                nn.init.normal_(part.weight, 0, gain / math.sqrt(part.in_features))
        return setup, None

    return plant


def with_rate(rate: float) -> Callable[[str, int], tuple[Setup, str | None]]:
    def plant(arch: str, seed: int) -> tuple[Setup, str | None]:
        setup = base(arch, seed)
        setup.rate = rate
        return setup, None

    return plant


def dead_layer(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    before = parts(setup.model, nn.Linear if arch == "MLP" else nn.BatchNorm2d)
    name, part = before[seed % (len(before) - 1)]
    nn.init.constant_(part.bias, -50.0)
    return setup, str(int(name) + 1)


def no_zero_grad(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    setup.zero_grad = False
    return setup, None


def left_out(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    named = parts(setup.model, (nn.Linear, nn.Conv2d, nn.GRU))  # type: ignore[arg-type]
    name, part = named[seed % len(named)]
    hidden = {id(p) for p in part.parameters()}
    setup.optimizer = torch.optim.Adam(
        (p for p in setup.model.parameters() if id(p) not in hidden), lr=setup.rate
    )
    return setup, name


def nan_input(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    clean = setup.batch

    def batch(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = clean(step)
        if step == ONSET:
            inputs = inputs.clone()
            inputs.flatten()[seed] = float("nan")
        return inputs, targets

    setup.batch = batch
    return setup, next(
        name for name, part in setup.model.named_modules() if name and not list(part.children())
    )


def huge_batch(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    clean = setup.batch
    setup.batch = lambda step: (lambda x, y: (x * (1000 if step == ONSET else 1), y))(*clean(step))
    return setup, None


def inf_weight(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    named = parts(setup.model, (nn.Linear, nn.Conv2d))  # type: ignore[arg-type]
    name, part = named[seed % len(named)]

    def spoil() -> None:
        with torch.no_grad():
            part.weight.flatten()[0] = float("inf")

    setup.at[ONSET] = spoil
    return setup, name


def random_labels(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    clean, rng = setup.batch, torch.Generator().manual_seed(seed)
    classes = 40 if arch == "GPT" else 10

    def batch(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = clean(step)
        return inputs, torch.randint(0, classes, targets.shape, generator=rng)

    setup.batch = batch
    return setup, None


def tight_clip(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    setup.clip = 1e-3
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=0.05)
    return setup, None


class Cut(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).detach()


def detached(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    assert isinstance(setup.model, nn.Sequential)
    at = 0 if arch == "MLP" else 3
    setup.model[at] = Cut(setup.model[at])
    return setup, "0"


class RootAtZero(nn.Module):
    """Scales the output by a root whose argument is zero from the start: its slope is infinite."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.offset = inner, nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + torch.sqrt(self.offset.square())


def root_at_zero(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    setup.model = RootAtZero(setup.model)
    return setup, "offset"


def swapped_labels(arch: str, seed: int) -> tuple[Setup, str | None]:
    setup = base(arch, seed)
    clean = setup.batch
    classes = 40 if arch == "GPT" else 10

    def batch(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = clean(step)
        return inputs, (targets + 1) % classes if step >= ONSET else targets

    setup.batch = batch
    return setup, None


FAULTS: dict[str, Fault] = {
    "20 sigmoid layers": Fault(("vanishing-gradient",), deep(nn.Sigmoid, 20), ("MLP",)),
    "20 tanh layers, default init": Fault(("vanishing-gradient",), deep(nn.Tanh, 20), ("MLP",)),
    "20 ReLU layers, N(0, 0.001)": Fault(("vanishing-gradient",), deep(nn.ReLU, 20, std=1e-3), ("MLP",)),
    "30 ReLU layers, gain 3": Fault(("exploding-gradient",), deep(nn.ReLU, 30, gain=3.0), ("MLP",)),
    "30 tanh layers, gain 3": Fault(("exploding-gradient",), deep(nn.Tanh, 30, gain=3.0), ("MLP",)),
    "Adam, rate 3": Fault(("update-ratio-too-large",), with_rate(3.0)),
    "Adam, rate 1e-7": Fault(("update-ratio-too-small", "loss-plateau"), with_rate(1e-7)),
    "dead layer (bias -50)": Fault(("dead-units",), dead_layer, ("MLP", "CNN")),
    "no zero_grad": Fault(("stale-gradients",), no_zero_grad),
    "layer left out of the optimizer": Fault(("untrained-parameter",), left_out),
    "detached graph": Fault(("untrained-parameter",), detached, ("MLP", "CNN")),
    "NaN in one input": Fault(("nonfinite-activation",), nan_input, ("MLP", "CNN", "GRU"), ONSET),
    "one batch x1000": Fault(("exploding-gradient", "loss-spike"), huge_batch, ("MLP", "GRU"), ONSET),
    "one infinite weight": Fault(("nonfinite-activation", "nonfinite-parameter"), inf_weight, ("MLP", "CNN", "GPT"), ONSET),
    "root at zero": Fault(("nonfinite-gradient",), root_at_zero),
    "random labels": Fault(("loss-plateau",), random_labels),
    "labels shifted by one": Fault(("divergence", "loss-spike"), swapped_labels, onset=ONSET),
    "clip at 0.001": Fault(("clip-always-active",), tight_clip),
}  # fmt: skip


def plain(arch: str, seed: int) -> Setup:
    setup = base(arch, seed)
    setup.steps = 600
    return setup


def cosine(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    setup.schedule = lambda step: (
        min(1, (step + 1) / 60) * 0.5 * (1 + math.cos(math.pi * step / 600))
    )
    return setup


def restarts(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    setup.schedule = lambda step: 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step % 200) / 200))
    return setup


def momentum(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=0.05, momentum=0.9)
    setup.clip = setup.clip or 5.0
    return setup


def small_batches(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    rng = np.random.default_rng([seed, 8])
    shape = {"MLP": (64,), "CNN": (1, 8, 8), "GRU": (8, 8)}
    setup.batch = (
        text(rng, size=1, length=4)
        if arch == "GPT"
        else images(shape[arch], rng, 2 if arch != "CNN" else 4)
    )
    return setup


def fine_tuning(arch: str, seed: int) -> Setup:
    """A converged model goes on at a small rate: tiny gradients, nothing left to learn."""
    setup = base(arch, seed)
    optimizer = torch.optim.Adam(setup.model.parameters(), lr=setup.rate)
    for step in range(400):
        inputs, targets = setup.batch(step)
        optimizer.zero_grad()
        setup.loss(setup.model(inputs), targets).backward()
        optimizer.step()
    setup.optimizer = torch.optim.SGD(setup.model.parameters(), lr=1e-3)
    setup.steps = 600
    return setup


def zero_projections(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    with torch.no_grad():
        for part in setup.model.modules():
            if isinstance(part, Residual):
                last = [p for p in part.modules() if isinstance(p, nn.Linear)][-1]
                last.weight.zero_()
    return setup


def regression(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    clean = setup.batch
    setup.batch = lambda step: (lambda x, y: (x, F.one_hot(y, 10).float() * 3))(*clean(step))
    setup.loss = F.mse_loss
    return setup


def dropout(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    setup.model = mlp([64, 128, 128, 10], lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))
    return setup


def shallow_sigmoid(arch: str, seed: int) -> Setup:
    setup = plain(arch, seed)
    setup.model, setup.rate = mlp([64, 64, 64, 10], nn.Sigmoid), 3e-3
    return setup


HEALTHY: dict[str, tuple[tuple[str, ...], Callable[[str, int], Setup]]] = {
    "Adam": (ARCHITECTURES, plain),
    "warm-up and cosine to zero": (ARCHITECTURES, cosine),
    "cosine restarts": (ARCHITECTURES, restarts),
    "SGD with momentum": (("MLP", "CNN", "GRU"), momentum),
    "batches of two": (ARCHITECTURES, small_batches),
    "fine-tuning a converged model": (ARCHITECTURES, fine_tuning),
    "projections that begin at zero": (("GPT",), zero_projections),
    "regression": (("MLP", "CNN", "GRU"), regression),
    "dropout 0.5": (("MLP",), dropout),
    "three sigmoid layers": (("MLP",), shallow_sigmoid),
}


def gan(seed: int, steps: int = 600) -> History:
    torch.manual_seed(seed)
    maker, critic = mlp([4, 64, 64, 2]), mlp([2, 64, 64, 1], lambda: nn.LeakyReLU(0.2))
    made = torch.optim.Adam(maker.parameters(), lr=5e-4, betas=(0.5, 0.99))
    judged = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.99))
    with st.watch({"maker": maker, "critic": critic}, [made, judged], rules=[]) as watch:
        for _ in range(steps):
            angle = torch.rand(64) * 2 * math.pi
            real, fake = torch.stack([angle.cos(), angle.sin()], 1), maker(torch.randn(64, 4))
            judged.zero_grad()
            loss = F.softplus(-critic(real)).mean() + F.softplus(critic(fake.detach())).mean()
            loss.backward()
            judged.step()
            made.zero_grad()
            F.softplus(-critic(fake)).mean().backward()
            made.step()
            watch.log(loss=loss)
    return watch.history


def policy_gradient(seed: int, steps: int = 600) -> History:
    torch.manual_seed(seed)
    model = mlp([6, 32, 32, 4], nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    answer = torch.randn(6, 4)
    with st.watch(model, optimizer, rules=[]) as watch:
        for _ in range(steps):
            state = torch.randn(16, 6)
            choice = torch.distributions.Categorical(logits=model(state))
            action = choice.sample()
            reward = (state @ answer).gather(1, action[:, None])[:, 0] + 2 * torch.randn(16)
            advantage = (reward - reward.mean()) / (reward.std() + 1e-6)
            loss = -(choice.log_prob(action) * advantage).mean() - 0.01 * choice.entropy().mean()
            loss.backward()
            watch.clip_grad_norm_(0.5)
            optimizer.step()
            optimizer.zero_grad()
            watch.log(loss=loss)
    return watch.history


WHOLE: dict[str, Callable[[int], History]] = {
    "GAN on a ring": gan,
    "policy gradient": policy_gradient,
}


@dataclass
class Result:
    case: str
    arch: str
    seed: int
    steps: int
    findings: list[Finding]
    site: str | None = None

    @property
    def only_scored(self) -> bool:
        return self.seed % 2 == 1


Job = tuple[str, str, str, int]


def run(job: Job, keep: Path | None = None) -> Result:
    """The run as the rules judge it now; made where it is not kept."""
    kind, case, arch, seed = job
    torch.set_num_threads(1)
    site = FAULTS[case].plant(arch, seed)[1] if kind == "faulty" else None
    path = None if keep is None else kept_path(keep, job)
    kept = None if path is None else read_kept(path)
    if kept is None:
        history, steps = measured(job)
        kept = Kept(history=history, steps=steps, seconds=0.0, watch_seconds=0.0, code="")
        if path is not None:
            write_kept(path, kept)
    return Result(case, arch, seed, kept.steps, judge(kept.history), site)


def measured(job: Job) -> tuple[History, int]:
    kind, case, arch, seed = job
    if case in WHOLE:
        return WHOLE[case](seed), 600
    setup = FAULTS[case].plant(arch, seed)[0] if kind == "faulty" else HEALTHY[case][1](arch, seed)
    return setup.run(), setup.steps


def kept_path(keep: Path, job: Job) -> Path:
    kind, case, arch, seed = job
    return keep / kind / arch / f"{case.replace(' ', '-').replace(',', '')}.{seed}.npz"


def wilson(hits: int, total: int) -> str:
    """`hits / total` with its 95% interval (Wilson 1927)."""
    return str(Share(hits=hits, total=total))


def found(result: Result) -> Finding | None:
    fault = FAULTS[result.case]
    return next(
        (f for f in result.findings if f.rule in fault.rules and f.step >= fault.onset), None
    )


def faulty_table(results: list[Result]) -> list[str]:
    lines = [
        "| fault | meant for | recall, seen | recall, only scored | median delay | worst | right layer | most severe other findings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, fault in FAULTS.items():
        mine = [r for r in results if r.case == case]
        hits = [(r, f) for r in mine if (f := found(r)) is not None]
        halves = [[r for r in mine if r.only_scored is side] for side in (False, True)]
        recall = [wilson(sum(found(r) is not None for r in half), len(half)) for half in halves]
        delays = sorted(f.step - fault.onset for _, f in hits)
        placed = [(r, f) for r, f in hits if r.site is not None]
        right = sum((f.site or "").startswith(r.site or "") for r, f in placed)
        others: dict[str, int] = defaultdict(int)
        for r in mine:
            for rule in {f.rule for f in r.findings if f.severity > Severity.NOTE} - set(
                fault.rules
            ):
                others[rule] += 1
        named = ", ".join(
            f"{rule} {n}" for rule, n in sorted(others.items(), key=lambda kv: -kv[1])[:4]
        )
        lines.append(
            f"| {case} | {', '.join(fault.rules)} | {' | '.join(recall)} | "
            f"{delays[len(delays) // 2] if delays else '-'} | {delays[-1] if delays else '-'} | "
            f"{f'{right}/{len(placed)}' if placed else '-'} | {named or '-'} |"
        )
    return lines


def healthy_table(results: list[Result]) -> list[str]:
    lines = [
        "| healthy run | steps | false alarms | per 1,000 steps | which | notes |",
        "|---|---|---|---|---|---|",
    ]
    for case in [*HEALTHY, *WHOLE]:
        mine = [r for r in results if r.case == case]
        said = [(r, f) for r in mine for f in r.findings]
        loud = [(r, f) for r, f in said if f.severity > Severity.NOTE]
        steps = sum(r.steps for r in mine)
        if not steps:
            lines.append(f"| {case} | not run | - | - | - | - |")
            continue
        which: dict[str, int] = defaultdict(int)
        for r, f in loud:
            which[f"{f.rule} ({r.arch})"] += 1
        text = ", ".join(f"{name} {n}" for name, n in sorted(which.items(), key=lambda kv: -kv[1]))
        lines.append(
            f"| {case} | {steps} | {len(loud)} | {1000 * len(loud) / max(steps, 1):.3f} | {text or '-'} | {len(said) - len(loud)} |"
        )
    return lines


def rule_table(faulty: list[Result], healthy: list[Result]) -> list[str]:
    lines = [
        "| rule | recall where it is meant | healthy runs with a false alarm, seen | only scored | per 1,000 steps |",
        "|---|---|---|---|---|",
    ]
    for rule in known_rules():
        meant = [r for r in faulty if rule in FAULTS[r.case].rules]
        hits = sum(
            any(f.rule == rule and f.step >= FAULTS[r.case].onset for f in r.findings)
            for r in meant
        )
        halves = [[r for r in healthy if r.only_scored is side] for side in (False, True)]
        loud = [
            sum(
                any(f.rule == rule and f.severity > Severity.NOTE for f in r.findings) for r in half
            )
            for half in halves
        ]
        alarms = sum(
            f.rule == rule and f.severity > Severity.NOTE for r in healthy for f in r.findings
        )
        steps = sum(r.steps for r in healthy)
        lines.append(
            f"| {rule} | {wilson(hits, len(meant))} | {wilson(loud[0], len(halves[0]))} | "
            f"{wilson(loud[1], len(halves[1]))} | {1000 * alarms / max(steps, 1):.3f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder of finished runs")
    parser.add_argument("--minutes", type=float, default=math.inf, help="with --keep: end after")
    parser.add_argument("--kept-only", action="store_true", help="only runs that are kept")
    parser.add_argument("--show", action="store_true", help="print the findings of every run")
    args = parser.parse_args()
    jobs = [
        ("faulty", case, arch, seed)
        for case, fault in FAULTS.items()
        for arch in fault.archs
        for seed in range(args.seeds)
    ]
    jobs += [
        ("healthy", case, arch, seed)
        for case, (archs, _) in HEALTHY.items()
        for arch in archs
        for seed in range(args.seeds)
    ]
    jobs += [("healthy", case, "-", seed) for case in WHOLE for seed in range(args.seeds)]
    jobs = [job for job in jobs if args.only in f"{job[0]}: {job[1]}"]
    wanted = len(jobs)
    if args.kept_only:
        jobs = [job for job in jobs if kept_path(args.keep, job).exists()]
    start = time.time()
    results: list[Result] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        left = [job for job in jobs if args.keep and not kept_path(args.keep, job).exists()]
        for start_of in range(0, len(left), 4 * args.jobs):
            if time.time() - start > 60 * args.minutes:
                sys.exit(f"{len(left) - start_of} of {len(jobs)} runs are left: call it once more")
            list(pool.map(partial(run, keep=args.keep), left[start_of : start_of + 4 * args.jobs]))
        for result in pool.map(partial(run, keep=args.keep), jobs):
            results.append(result)
            sys.stderr.write(
                f"{len(results)}/{len(jobs)} {result.case}, {result.arch}, seed {result.seed}\n"
            )
            for f in result.findings if args.show else ():
                sys.stderr.write(f"    {f.step} {f.severity.name} {f.rule} {f.site}: {f.message}\n")
    faulty = [r for r, job in zip(results, jobs, strict=True) if job[0] == "faulty"]
    healthy = [r for r, job in zip(results, jobs, strict=True) if job[0] == "healthy"]
    lines = [
        "# The rules on real networks",
        "",
        f"Measured {time.strftime('%Y-%m-%d')} by `python benchmarks/rule_faults.py --seeds {args.seeds} --write"
        f"{' --keep FOLDER --kept-only' if args.kept_only else ''}`; "
        f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}, "
        f"{os.cpu_count()} {platform.machine()} CPU cores; seeds 0 to "
        f"{args.seeds - 1}, {len(jobs)} of {wanted} runs. Even seeds were seen while limits were chosen, odd ones were only scored. "
        "Intervals are 95% (Wilson). An alarm is a finding of warning or above. A "
        f"dash stands for what was not run.",
        "", "## Planted faults", "", *faulty_table(faulty),
        "", "## Healthy runs", "", *healthy_table(healthy),
        "", "## Rules", "", *rule_table(faulty, healthy), "",
    ]  # fmt: skip
    text = "\n".join(lines)
    sys.stdout.write(f"{text}\n{len(results)} runs, {time.time() - start:.0f} s\n")
    if args.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
