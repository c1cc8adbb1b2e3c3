"""Deep stacks of equal layers, with or without normalisation and shortcuts, and how to change one.

What a fault builds anew is drawn from the case's seed, so that the faulty program and its twin
differ in the fault and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Case, Parts

Activation = Callable[[], nn.Module]


class Layer(nn.Module):
    """Norm, linear, activation; added to its input where it has a shortcut."""

    def __init__(
        self, width: int, activation: Activation, *, has_norm: bool, has_shortcut: bool
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if has_norm else nn.Identity()
        self.linear, self.activation = nn.Linear(width, width), activation()
        self.has_shortcut = has_shortcut

    def forward(self, x: Tensor) -> Tensor:
        inner = self.activation(self.linear(self.norm(x)))
        return x + inner if self.has_shortcut else inner


def stack(
    parts: Parts,
    depth: int,
    activation: Activation,
    *,
    has_norm: bool = False,
    has_shortcut: bool = False,
) -> nn.Sequential:
    """Between the input and the output of the program's own network, `depth` layers.

    Linear layers are initialised as PyTorch does by default. The layers are the modules
    `2` to `depth + 1`.
    """
    own = [module for _, module in linears(parts.model)]
    width = parts.case.pick("stack width", (32, 48))
    with drawn_from(parts.case, "stack"):
        layers = [
            Layer(width, activation, has_norm=has_norm, has_shortcut=has_shortcut)
            for _ in range(depth)
        ]
        first = nn.Linear(own[0].in_features, width)
        return nn.Sequential(nn.Flatten(), first, *layers, nn.Linear(width, own[-1].out_features))


@contextmanager
def drawn_from(case: Case, purpose: str) -> Iterator[None]:
    """The global generator draws by the case's seed, and afterwards goes on as if it had not."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(case.generator(purpose).initial_seed())
        yield


def linears(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The linear layers and their paths, in order."""
    return [(path, one) for path, one in model.named_modules() if isinstance(one, nn.Linear)]


def paths_of(model: nn.Module, *kinds: type[nn.Module]) -> tuple[str, ...]:
    """The paths of the modules of these kinds, in order."""
    return tuple(path for path, one in model.named_modules() if isinstance(one, kinds))


def swap(model: nn.Module, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]) -> None:
    """Every module of exactly that kind is replaced by what `make` makes of it, under its path."""
    for path in [path for path, one in model.named_modules() if type(one) is kind]:
        above, _, name = path.rpartition(".")
        setattr(model.get_submodule(above), name, make(model.get_submodule(path)))
