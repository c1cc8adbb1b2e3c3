"""Programs that predict the next token: which input is shifted into the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from steadytrain.checks._losses import CLASSES, ignored, target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.check import Unseen

_SAME: Final = 0.95
"""Share of positions at which the target is the next input; the others may be masked."""

_REPEATED: Final = 0.9
"""Share of positions that repeat the one before them; above it the shift cannot be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextToken:
    """The first module's argument whose next position is the target."""

    argument: int
    """Which of the tensors that the first module was given."""
    tokens: Tensor
    """That argument. Shape: [n, time]"""


def next_token(scene: Scene) -> NextToken:
    """How the program predicts the next token.

    Raises:
        Unseen: it does not.
    """
    first = scene.first
    calls = [call for call in first.calls if call.name in CLASSES]
    for entry in first.entries[:1]:
        for place, given in enumerate(entry.arguments):
            if _is_text(given) and any(_is_next(given, call) for call in calls):
                return NextToken(argument=place, tokens=given)
    raise Unseen("the targets are not the next tokens of the input")


def _is_text(given: Tensor) -> bool:
    if given.dim() != 2 or given.is_floating_point() or given.shape[1] < 4:
        return False
    repeated = (given[:, 1:] == given[:, :-1]).float().mean()
    return float(repeated) < _REPEATED and int(given.max()) > 1


def _is_next(given: Tensor, call: Call) -> bool:
    """Whether the call's targets are `given`, one position on."""
    target, rows, time = target_of(call), given.shape[0], given.shape[1]
    if target.is_floating_point() or target.numel() not in (rows * time, rows * (time - 1)):
        return False
    laid = target.reshape(rows, -1)
    shifted = laid[:, : time - 1]
    counts = shifted != ignored(call)
    if not bool(counts.any()):
        return False
    return float((shifted == given[:, 1:])[counts].float().mean()) >= _SAME


def later_replaced(tokens: Tensor, start: int) -> Tensor:
    """The tokens with other ones of the same texts from position `start` on."""
    changed = tokens.clone()
    later = tokens[:, start:]
    changed[:, start:] = torch.where(
        later.roll(1, dims=0) != later, later.roll(1, dims=0), later.flip(dims=(1,))
    )
    return changed
