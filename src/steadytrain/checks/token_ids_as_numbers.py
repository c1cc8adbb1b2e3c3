"""Indices of a vocabulary are fed to a layer as if they were quantities.

## What it does
Compares the whole-number tensors of the first batch with what the first layer with weights is
given.

## Why it matters
As a magnitude token 4000 is twice token 2000, which means nothing, and both are far from unit scale.

## Passes when
No whole-number tensor enters a linear, convolutional or recurrent layer with its values.

## Fails when
One does: a table of whole numbers from zero on with twenty or more different values and about the same
range at every position, or the very tokens that the program predicts the next of. Bytes are pixels, and columns of different range are counts or measures:
both are for `feature-scale` to judge.

## What to do
`nn.Embedding(vocabulary, width)` in front of the layer, or one-hot vectors where there are few.

## Source
Bengio et al. 2003 (A neural probabilistic language model): words enter by a table of vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._data import data_of
from steadytrain.checks._entrance import Entrance, entrance_of
from steadytrain.checks._positions import next_token
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed
from steadytrain.core.finding import Severity

_WHOLE = (torch.int16, torch.int32, torch.int64)
_PIXELS = 255
_FEWEST_ROWS, _FEWEST_POSITIONS = 8, 3


@check(code="DAT252", causes=("token-ids-as-numbers",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIdsAsNumbers:
    """Options of the check."""

    min_values: int = 20
    """Different values from which on integers are taken for indices."""

    def judge(self, scene: Scene, /) -> Answer:
        entrance, data = scene.once(entrance_of), scene.once(data_of)
        ids = [leaf for leaf in data.batches[0] if self._are_ids(leaf)]
        wrong = [leaf for leaf in (*ids, *_text_of(scene)) if _enters(leaf, entrance)]
        if not wrong:
            return passed(self, f"no index enters {entrance.path or 'the model'} as a number", 0)
        largest = int(wrong[0].max())
        return failed(
            self,
            f"integers up to {largest} enter {entrance.path or 'the model'}",
            largest,
            findings=[
                finding(
                    self,
                    f"Integers up to {largest} enter {entrance.path or 'the model'} as quantities, "
                    "and look like indices of a vocabulary. Put nn.Embedding in front of it.",
                    severity=Severity.CRITICAL,
                    site=entrance.path or None,
                    evidence={"largest": largest, "shape": tuple(wrong[0].shape)},
                )
            ],
        )

    def _are_ids(self, leaf: Tensor) -> bool:
        """Whole numbers from zero on, many of them, of the same range at every position."""
        if leaf.dim() != 2 or len(leaf) < _FEWEST_ROWS or leaf.shape[1] < _FEWEST_POSITIONS:
            return False
        is_whole = leaf.dtype in _WHOLE or _is_rounded(leaf)
        if not is_whole or not float(leaf.min()) >= 0 or len(leaf.unique()) < self.min_values:
            return False
        highest = leaf.amax(dim=0).double()
        return float(highest.max()) <= 3 * float(highest.min())


def _text_of(scene: Scene) -> list[Tensor]:
    """The integers of which the program predicts the next: then they are classes, not sizes."""
    try:
        return [scene.once(next_token).tokens]
    except Unseen:
        return []


def _is_rounded(leaf: Tensor) -> bool:
    """Floating point numbers that are whole, beyond the range of pixels."""
    if not leaf.is_floating_point() or not float(leaf.max()) > _PIXELS:
        return False
    return bool((leaf == leaf.round()).all())


def _enters(leaf: Tensor, entrance: Entrance) -> bool:
    """Whether what the layer was given are these numbers."""
    given, values = entrance.given, leaf.double()
    size = 1
    for length in given.shape:
        size *= length
    same_mean = abs(given.mean - float(values.mean())) < 1e-3 * max(1.0, float(values.abs().mean()))
    return size == leaf.numel() and given.max_abs == float(values.abs().max()) and same_mean
