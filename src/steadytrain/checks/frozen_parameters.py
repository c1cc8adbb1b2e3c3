"""Layers that were never trained are frozen.

## What it does
Looks at the parameters that want no gradient: whether there is anything else, and whether the
layers that hold them still are as an initialisation leaves them: gains of one, biases of zero or
within PyTorch's bounds, running statistics of no batch.

## Why it matters
Freezing keeps what was learned. Of a new network it keeps random features, on which the layers that
do learn cannot build.

## Passes when
Nothing is frozen; or what is frozen is in no optimizer either, which says that it is meant; was
trained before; is a copy or twin of a trainable part (target networks, teachers); holds no matrix;
or does not tell.

## Fails when
Everything is frozen; or a frozen layer with a matrix is fresh, and an optimizer was given it.

## What to do
Take out the line that freezes (`requires_grad_(False)`), or load the weights that it was meant to
keep before it.

## Source
The initialisations are those of `torch.nn`: `reset_parameters` of its layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from steadytrain.checks._holdings import holdings_of
from steadytrain.checks._naming import listed
from steadytrain.checks._origin import origin_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Severity


@check(code="OPT253", causes=("frozen-params",), stage="optimizer")
@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenParameters:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        own = scene.parameters
        frozen = [name for name, parameter in own.items() if not parameter.requires_grad]
        seen = f"{len(frozen)} of {len(own)} parameters are frozen"
        if len(frozen) == len(own):
            return self._failed(seen, frozen, "Every parameter is frozen", Severity.CRITICAL)
        if not frozen:
            return passed(self, seen, 0)
        held = holdings_of(scene.program).held
        fresh = _fresh(scene.model, frozenset(held))
        if not fresh:
            return passed(self, f"{seen}, on purpose as it seems", len(frozen))
        what = f"{listed(fresh)} are frozen and still as they were initialised"
        return self._failed(f"{seen}, {len(fresh)} layers untrained", fresh, what, Severity.WARNING)

    def _failed(self, seen: str, names: list[str], what: str, severity: Severity) -> Answer:
        return failed(
            self,
            seen,
            len(names),
            findings=[
                finding(
                    self,
                    f"{what}: nothing was learned that freezing could keep. Set requires_grad to "
                    "True, or load trained weights before freezing.",
                    severity=severity,
                    site=names[0],
                    evidence={"sites": names[:8], "num_frozen": len(names)},
                )
            ],
        )


def _fresh(model: nn.Module, held: frozenset[int]) -> list[str]:
    """Frozen layers that an optimizer holds, if none was ever trained and one has a matrix."""
    twins = set(_with_trainable_twin(model))
    frozen = {
        path: module
        for path, module in model.named_modules()
        if _is_frozen(module, held)
        and not any(path == t or path.startswith(f"{t}.") for t in twins)
    }
    if origin_of(frozen.values()) != "fresh":
        return []
    names = [path for path, one in frozen.items() if origin_of([one]) == "fresh"]
    has_matrix = any(p.dim() > 1 for n in names for p in frozen[n].parameters(recurse=False))
    return names if has_matrix else []


def _is_frozen(module: nn.Module, held: frozenset[int]) -> bool:
    """Whether nothing in it learns though an optimizer was given it to be trained."""
    own = list(module.parameters(recurse=False))
    given = any(id(one) in held for one in own)
    return given and not any(one.requires_grad for one in own)


def _with_trainable_twin(model: nn.Module) -> Iterator[str]:
    """Frozen parts of the shape of a trainable part: targets, teachers, moving averages."""
    shapes: dict[str, tuple[object, ...]] = {}
    trainable: set[tuple[object, ...]] = set()
    for path, module in model.named_modules():
        own = list(module.parameters())
        learning = [tuple(one.shape) for one in own if one.requires_grad]
        if path and len(own) > 2 and not learning:
            shapes[path] = tuple(tuple(one.shape) for one in own)
        trainable.add(tuple(learning))
    yield from (path for path, shape in shapes.items() if shape in trainable)
