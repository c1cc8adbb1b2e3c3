"""What a block costs beside the plainest way torch has to do the same.

    python benchmarks/blocks.py --write

Forward and backward of both, in turn, in random order; the median of the pairs' ratios.
"""

import argparse
import copy
import os
import platform
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import steadytrain
from benchmarks.overhead.ratios import Spread
from steadytrain.blocks import QKNorm, RMSNorm, safe_attention, z_loss
from steadytrain.optim import RobustClip, clip_grad_norm_

RESULTS = Path(__file__).parent / "results" / "blocks_cpu.md"
MAX_RATIO = 1.10
PAIRS_PER_ROUND = 10

Work = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """Two ways to do one thing."""

    name: str
    plain: str
    what: str
    make: Callable[[], tuple[Work, Work]]


def forward_backward(function: Callable[..., Tensor], *inputs: Tensor) -> Work:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]

    def work() -> None:
        for leaf in leaves:
            leaf.grad = None
        function(*leaves).square().mean().backward()

    return work


def rms_norm() -> tuple[Work, Work]:
    x = torch.randn(8 * 256, 512)
    return forward_backward(RMSNorm(512, eps=1e-5), x), forward_backward(
        nn.RMSNorm(512, eps=1e-5), x
    )


def attention_inputs() -> list[Tensor]:
    return [torch.randn(8, 8, 256, 64) for _ in range(3)]


def qk_normed() -> tuple[Work, Work]:
    ours, query, key = QKNorm(64), nn.RMSNorm(64, eps=1e-6), nn.RMSNorm(64, eps=1e-6)

    def with_ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(*ours(q, k), v, is_causal=True)

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query(q), key(k), v, is_causal=True)

    inputs = attention_inputs()
    return forward_backward(with_ours, *inputs), forward_backward(plain, *inputs)


def masked_attention() -> tuple[Work, Work]:
    mask = torch.rand(8, 1, 256, 256) > 0.2

    def with_ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return safe_attention(q, k, v, mask=mask)

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    inputs = attention_inputs()
    return forward_backward(with_ours, *inputs), forward_backward(plain, *inputs)


def logits_loss() -> tuple[Work, Work]:
    logits = torch.randn(1024, 8192)

    def plain(x: Tensor) -> Tensor:
        return 1e-4 * x.logsumexp(dim=-1).square().mean()

    return forward_backward(lambda x: z_loss(x, weight=1e-4), logits), forward_backward(
        plain, logits
    )


def with_gradients() -> nn.Module:
    width = 512
    model = nn.Sequential(*(nn.Linear(width, width) for _ in range(24)))
    for param in model.parameters():
        param.grad = torch.randn_like(param)
    return model


def robust_clipped() -> tuple[Work, Work]:
    model = with_gradients()
    other = copy.deepcopy(model)
    for param, twin in zip(model.parameters(), other.parameters(), strict=True):
        twin.grad = param.grad.clone()
    clip = RobustClip()
    params = list(model.parameters())
    twins = list(other.parameters())
    return lambda: clip(params), lambda: nn.utils.clip_grad_norm_(twins, 1e9)


def clipped() -> tuple[Work, Work]:
    params, twins = list(with_gradients().parameters()), list(with_gradients().parameters())
    return lambda: clip_grad_norm_(params, 1e9), lambda: nn.utils.clip_grad_norm_(twins, 1e9)


CASES = (
    Case("RMSNorm", "torch.nn.RMSNorm", "2,048 x 512, forward and backward", rms_norm),
    Case(
        "QKNorm",
        "two torch.nn.RMSNorm",
        "8 x 8 heads x 256 x 64 with SDPA, forward and backward",
        qk_normed,
    ),
    Case("z_loss", "logsumexp, square, mean", "1,024 x 8,192 logits", logits_loss),
    Case(
        "safe_attention",
        "scaled_dot_product_attention",
        "8 x 8 heads x 256 x 64, boolean mask",
        masked_attention,
    ),
    Case("RobustClip", "torch's clip_grad_norm_", "6.3M parameters, 48 tensors", robust_clipped),
    Case("clip_grad_norm_", "torch's clip_grad_norm_", "the same", clipped),
)


def measure(case: Case, rounds: int, order: random.Random) -> tuple[Spread, Spread]:
    """The ratio of ours to the plain one, and milliseconds of the plain one."""
    works = case.make()
    for work in works * 3:
        work()
    ratios: list[list[float]] = []
    plain: list[list[float]] = []
    for _ in range(rounds):
        seconds = [timed_pair(works, order) for _ in range(PAIRS_PER_ROUND)]
        ratios.append([ours / other for ours, other in seconds])
        plain.append([1e3 * other for _, other in seconds])
    return Spread.of(ratios), Spread.of(plain)


def timed_pair(works: tuple[Work, Work], order: random.Random) -> tuple[float, float]:
    seconds = [0.0, 0.0]
    for place in order.sample((0, 1), 2):
        start = time.perf_counter()
        works[place]()
        seconds[place] = time.perf_counter() - start
    return seconds[0], seconds[1]


def page(rows: list[str], rounds: int) -> str:
    cores = os.cpu_count()
    versions = f"steadytrain {steadytrain.__version__}, torch {torch.__version__}"
    return "\n".join(
        [
            "# What a block costs beside the plainest torch equivalent, on a CPU",
            "",
            f"`python benchmarks/blocks.py --write`, {datetime.now(UTC):%Y-%m-%d}, {versions}, python",
            f"{platform.python_version()}, {platform.machine()}, {cores} cores, torch on",
            f"{torch.get_num_threads()} threads, seed 0. {rounds} rounds of {PAIRS_PER_ROUND} pairs; median of the pairs' ratios, its 95%",
            f"interval in brackets. The bound is {MAX_RATIO}.",
            "",
            "| block | beside | on | plain ms | ratio | within |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="commit-ready table in results/")
    options = parser.parse_args()
    torch.manual_seed(0)
    order = random.Random(0)
    rows: list[str] = []
    for case in CASES:
        ratio, plain = measure(case, options.rounds, order)
        verdict = "yes" if ratio.median <= MAX_RATIO else "**no**"
        spread = f"{ratio.median:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
        cells = [case.name, case.plain, case.what, f"{plain.median:.2f}", spread, verdict]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], flush=True)
    if options.write:
        RESULTS.write_text(page(rows, options.rounds), encoding="utf-8")


if __name__ == "__main__":
    main()
