"""Whether what a network computes grows with its width while it trains.

A learning rate carries over from a narrow network to a wide one only if a step moves every
layer's output by the same. The check trains copies of several widths for a few steps and
compares the sizes of their outputs, layer by layer.

## Formula
    size(site, width, step) = geometric mean over seeds of RMS(output of the site)
    growth(site) = size at the widest / size at the narrowest, the largest over steps 1, 2, ...
    grows with width: growth(site) > limit for any site

## Shape
Any model that one function builds at every width.

## Dtype
Any floating one; sizes are taken in float32.

## Cost
len(widths) * seeds trainings of `steps` steps; one reduction per site and step.

## Source
Yang et al. 2022 (Tensor Programs V), appendix D.1 (coordinate checking).

## Helps against
`lr-too-high`, `init-too-large`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from steadytrain.blocks._bounds import positive, whole
from steadytrain.blocks._roles import anatomy_of
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import technique


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinateCheck:
    """Sizes of every site's output, by width and step; prints as a table with its verdict."""

    widths: tuple[int, ...]
    steps: int
    sizes: Mapping[str, tuple[tuple[float, ...], ...]]
    """Site -> width -> step; step 0 is before the first update. "(output)" is the model's own."""
    limit: float

    def growth(self, site: str) -> float:
        """The largest ratio of the widest network's size to the narrowest's, after an update."""
        narrow, wide = self.sizes[site][0], self.sizes[site][-1]
        ratios = [b / a if a > 0 else math.nan for a, b in zip(narrow[1:], wide[1:], strict=True)]
        return math.nan if any(map(math.isnan, ratios)) else max(ratios)

    @property
    def growing(self) -> tuple[str, ...]:
        """The sites whose outputs grow; one without a finite size counts."""
        return tuple(site for site in self.sizes if not self.growth(site) <= self.limit)

    @property
    def grows_with_width(self) -> bool:
        """Whether any site's output grows by more than `limit` from first width to last."""
        return bool(self.growing)

    def __str__(self) -> str:
        head = f"RMS after {self.steps} steps at width"
        names = max(len(head), *map(len, self.sizes))
        lines = [f"{head:<{names}}" + "".join(f"{width:>10}" for width in self.widths)]
        for site, rows in self.sizes.items():
            mark = "  grows" if site in self.growing else ""
            lines.append(f"{site:<{names}}" + "".join(f"{row[-1]:>10.3g}" for row in rows) + mark)
        verdict = "grows with width" if self.grows_with_width else "stays within the limit"
        lines.append(f"{verdict} (x{self.limit:g} from {self.widths[0]} to {self.widths[-1]})")
        return "\n".join(lines)


def coordinate_check(
    build: Callable[[int], nn.Module],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    batch: Any,
    loss_fn: Callable[[nn.Module, Any], torch.Tensor],
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    steps: int = 5,
    seeds: Sequence[int] = (0, 1, 2),
    limit: float = 2.0,
) -> CoordinateCheck:
    """Sizes of activations of the network at several widths, over the first steps of training.

    Random numbers are drawn aside: the caller's stream is untouched.

    Args:
        build: makes the network of a width.
        optimizer: makes the optimizer of a network: with `mup_groups`, or plainly.
        batch: what every step trains on.
        loss_fn: `loss_fn(model, batch)` -> scalar.
        widths: at least two, rising.
        steps: updates, at least 1.
        seeds: one network per width and seed.
        limit: growth from first to last width up to which a size counts as flat.

    Raises:
        UsageError: the widths do not rise, or a number is out of range.

    Shape:
        `sizes[site][width][step]`, with steps + 1 entries per width.

    Example:
        >>> def build(width):
        ...     return torch.nn.Sequential(
        ...         torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, 1)
        ...     )
        >>> batch = torch.randn(32, 8)
        >>> def plain(model):
        ...     return torch.optim.Adam(model.parameters(), lr=0.02)
        >>> def loss_fn(model, x):
        ...     return (model(x) - x.sum(-1, keepdim=True)).square().mean()
        >>> coordinate_check(build, plain, batch, loss_fn, widths=(16, 256)).grows_with_width
        True
    """
    _check_widths(widths)
    whole("steps", steps)
    _check_seeds(seeds)
    positive("limit", limit)
    by_width = [
        _averaged([_run(build, optimizer, batch, loss_fn, width, steps, seed) for seed in seeds])
        for width in widths
    ]
    sites = [site for site in by_width[0] if all(site in sizes for sizes in by_width)]
    return CoordinateCheck(
        widths=tuple(widths),
        steps=steps,
        sizes={site: tuple(sizes[site] for sizes in by_width) for site in sites},
        limit=limit,
    )


def _check_widths(widths: Sequence[int]) -> None:
    for width in widths:
        whole("width", width)
    if len(widths) < 2 or list(widths) != sorted(set(widths)):
        msg = f"widths must be at least two that rise, got {tuple(widths)}"
        raise UsageError(f"{msg}: try (64, 128, 256, 512).")


def _check_seeds(seeds: Sequence[int]) -> None:
    if not isinstance(seeds, Sequence) or not seeds:
        msg = f"seeds must be a sequence of at least one seed, got {seeds!r}: try (0, 1, 2)."
        raise UsageError(msg)


def _run(
    build: Callable[[int], nn.Module],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    batch: Any,
    loss_fn: Callable[[nn.Module, Any], torch.Tensor],
    width: int,
    steps: int,
    seed: int,
) -> dict[str, tuple[float, ...]]:
    """The sizes of one training, by site."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(width)
        stepper = optimizer(model)
        with _sizes_of(model) as sizes:
            for step in range(steps + 1):
                loss = loss_fn(model, batch)
                if step < steps:
                    stepper.zero_grad()
                    cast("Any", loss).backward()
                    stepper.step()
    return {site: tuple(torch.stack(seen[: steps + 1]).tolist()) for site, seen in sizes.items()}


@contextmanager
def _sizes_of(model: nn.Module) -> Iterator[dict[str, list[torch.Tensor]]]:
    """The size of each site's output at every forward, while the context lasts."""
    sizes: dict[str, list[torch.Tensor]] = {}

    def recording(site: str) -> Callable[..., None]:
        def record(_: nn.Module, __: object, output: object) -> None:
            first = output[0] if isinstance(output, tuple | list) else output
            if isinstance(first, torch.Tensor) and first.is_floating_point():
                sizes.setdefault(site, []).append(first.detach().float().square().mean().sqrt())

        return record

    hooks = [
        model.get_submodule(path).register_forward_hook(recording(path or "(output)"))
        for path in dict.fromkeys((*_sites(model), ""))
    ]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()


def _sites(model: nn.Module) -> Iterator[str]:
    anatomy = anatomy_of(model)
    blocks = {block.path for stack in anatomy.stacks for block in stack.blocks}
    places = {part.weight.place for part in anatomy.parts} | blocks
    return (path for path, _ in model.named_modules() if path in places)


def _averaged(runs: Sequence[Mapping[str, tuple[float, ...]]]) -> dict[str, tuple[float, ...]]:
    return {
        site: tuple(
            math.exp(sum(map(_log, at_step)) / len(runs))
            for at_step in zip(*(run[site] for run in runs), strict=True)
        )
        for site in runs[0]
    }


def _log(size: float) -> float:
    return math.log(size) if size > 0 else -math.inf if size == 0 else math.nan


TECHNIQUE = technique(__name__, __doc__, exports=("coordinate_check",))
