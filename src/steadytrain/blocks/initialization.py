"""Initialise any model by name, or by a rule that reads it and says what it chose and why.

## Formula
The rule, first match wins:

1. something attends: `transformer`;
2. a recurrent cell: `orthogonal`;
3. sums along a residual stream and no norm: `fixup`;
4. norms: `kaiming`, because each rescales what comes, and only ratios within a layer matter;
5. a plain stack in which the exact gain changes the gradients by less than 2 in all, and the seeds
   spread by less than 2: `kaiming`;
6. any other plain stack: `mirrored` where most of its layers follow each other directly, else
   `orthogonal`.

The gradients' change is the product over the layers of E[phi'^2] / E[phi^2]; the seeds' spread is
exp(sqrt(5 sum 1/width)) over the hidden layers. GELU leaves `kaiming` at 10 layers, tanh at 4, ReLU of width 512 at 50.

## Shape
Any model: hand-written, convolutional, recurrent, transformers.

## Dtype
Weights keep their dtype and device.

## Cost
The model is traced symbolically, not run. One pass over the weights; a QR decomposition per matrix
for the orthogonal schemes.

## Source
He et al. 2015; Saxe et al. 2014; Balduzzi et al. 2017; Zhang et al. 2019; Radford et al. 2019;
Hanin & Rolnick 2018 (spread over seeds). The order of the rule is this library's.

## Helps against
`init-too-small`, `init-too-large`, `vanishing-gradient`, `exploding-gradient`, `symmetric-init`,
`residual-growth`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._facts import Facts, facts_of
from steadytrain.blocks._init_rule import chosen, notes
from steadytrain.blocks._weights import check_materialized
from steadytrain.core.discovery import modules
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.technique import Sample, technique


@dataclass(frozen=True, slots=True, kw_only=True)
class InitChoice:
    """Which initialisation a model should have, and why."""

    name: str
    """A name that `initialize` knows."""
    why: str
    facts: Facts
    """What was read from the model."""
    notes: tuple[str, ...] = ()
    """What to know or do beside it."""

    def __str__(self) -> str:
        lines = [f"initialisation: {self.name}", f"  why: {self.why}", f"  seen: {self.facts}"]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def init_for(model: nn.Module, *, verbose: bool = True) -> InitChoice:
    """The initialisation that suits a model, chosen from its structure; the model is untouched.

    Args:
        model: not run; its code is read and, where possible, traced symbolically.
        verbose: whether the choice and its reason are printed.

    Raises:
        UsageError: a parameter is lazy or on the meta device, or the model has no weights.

    Example:
        >>> from torch import nn
        >>> layers = [nn.Sequential(nn.Linear(64, 64), nn.GELU()) for _ in range(30)]
        >>> init_for(nn.Sequential(*layers), verbose=False).name
        'mirrored'
        >>> init_for(nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2)), verbose=False).why
        'a plain stack, shallow enough for the exact gain of its activations'
    """
    check_model(model)
    facts, _ = facts_of(model)
    if not facts.num_layers:
        msg = f"{type(model).__name__} has no linear layer, convolution or recurrent cell"
        raise UsageError(f"{msg}: there is nothing to initialise. Pass the whole model.")
    name, why = chosen(facts)
    choice = InitChoice(name=name, why=why, facts=facts, notes=tuple(notes(facts, name)))
    if verbose:
        print(choice)
    return choice


def initialize(
    model: nn.Module, scheme: str = "auto", *, seed: int | None = None, verbose: bool = True
) -> list[Change]:
    """Initialise a model in place and return what was done, one change per module.

    Args:
        model: its weights are overwritten; frozen ones are left alone, tied ones are written once,
            the padding rows of embeddings become zero.
        scheme: `"auto"` for what `init_for` chooses, or a name: `"kaiming"` (`"he"`), `"xavier"`,
            `"lecun"`, `"orthogonal"`, `"mirrored"`, `"transformer"` and every other that a file
            of this folder has in its table `SCHEMES`.
        seed: for torch's random numbers while it draws, which go on afterwards as if it had not
            drawn; None draws from the numbers as they stand.
        verbose: whether the choice and the changes are printed.

    Raises:
        UnknownNameError: no scheme of that name.
        UsageError: a parameter is lazy or on the meta device, or the model has no weights.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 2))
        >>> _ = initialize(model, "xavier", seed=0)
        initialisation: xavier
          0: uniform, +-0.289, bias 0 (its input came through no activation, and SiLU() has a scale, gain 1)
          2: uniform, +-0.302, bias 0 (it gives the output, gain 1)
    """
    check_model(model)
    known = known_schemes()
    if scheme != "auto" and scheme not in known:
        raise UnknownNameError.build("initialisation", scheme, ["auto", *known])
    choice = init_for(model, verbose=False) if scheme == "auto" else None
    name = scheme if choice is None else choice.name
    with _seeded(model, seed):
        changes = known[name](model)
    if verbose:
        print(f"initialisation: {name}" if choice is None else choice)
        print("\n".join(_lines(changes)))
    return changes


def check_model(model: object) -> None:
    """Raise where there is no module, or no numbers that could be set.

    Raises:
        UsageError: it is no module, or a parameter is lazy or on the meta device.
    """
    if not isinstance(model, nn.Module):
        msg = f"expected a torch.nn.Module to initialise, got {type(model).__name__}"
        raise UsageError(f"{msg}: pass the model itself.")
    check_materialized(model)


def known_schemes() -> dict[str, Scheme]:
    """Every scheme in the folder, by name."""
    found: dict[str, Scheme] = {}
    for module in modules("steadytrain.blocks"):
        found |= getattr(module, "SCHEMES", {})
    return dict(sorted(found.items()))


def _lines(changes: Iterable[Change]) -> Iterator[str]:
    """The changes, those that say the same in one line."""
    same: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        same.setdefault((change.what, change.why), []).append(change.path or "(model)")
    for (what, why), paths in same.items():
        shown = ", ".join(paths) if len(paths) < 4 else f"{paths[0]}, {paths[1]} ... {paths[-1]}"
        count = f" [{len(paths)}]" if len(paths) > 3 else ""
        yield f"  {shown}{count}: {what} ({why})"


@contextmanager
def _seeded(model: nn.Module, seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    devices = {p.device for p in model.parameters() if p.device.type not in ("cpu", "meta")}
    kind = next((device.type for device in devices), "cuda")
    with torch.random.fork_rng(devices=list(devices), device_type=kind):
        torch.manual_seed(seed)
        yield


def _build_sample() -> nn.Module:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    initialize(model, verbose=False)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_for", "initialize"),
    samples=(Sample(build=_build_sample, inputs=lambda: (torch.randn(4, 6),)),),
)
