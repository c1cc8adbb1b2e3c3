"""Dropout leaves too little of the signal.

## What it does
Reads the share that every dropout of the model drops, those inside recurrent layers and attention
included.

## Why it matters
Of ten units one is left, ten times as loud: what a layer can say in a step is next to nothing. The
usual reason is a share to keep handed to a layer that asks for what to drop.

## Passes when
Every share is below three quarters.

## Fails when
One drops three quarters or more and less than everything in training mode.

## What to do
`Dropout(0.1)` drops a tenth: PyTorch's argument is what is dropped, TensorFlow 1's was what is
kept. None where a layer is narrow.

## Source
Srivastava et al. 2014, section 7.3 and appendix A: 0.2 for inputs, 0.5 for hidden units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity


@check(code="INI252", causes=("dropout-too-high",), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdingDropout:
    """Options of the check."""

    min_share: float = 0.75
    """Share from which on dropping is too much."""

    def judge(self, scene: Scene, /) -> Answer:
        shares = dict(_shares(scene.model))
        if not shares:
            return not_applicable(self, "no dropout")
        most = max(shares.values())
        seen = f"{most:.0%} dropped at most"
        large = [path for path, share in shares.items() if not share < self.min_share]
        if not large:
            return passed(self, seen, most)
        return failed(
            self,
            seen,
            most,
            findings=[
                finding(
                    self,
                    f"{listed(large)} drop {most:.0%} of their units at every step, expected at "
                    "most a half. The argument is the share to drop, not to keep.",
                    severity=Severity.CRITICAL if most >= 0.9 else Severity.WARNING,
                    site=large[0],
                    evidence={"dropped": most, "sites": large[:8]},
                )
            ],
        )


def _shares(model: nn.Module) -> Iterator[tuple[str, float]]:
    for path, module in model.named_modules():
        if isinstance(module, _DropoutNd):
            share = module.p
        elif isinstance(module, nn.RNNBase):
            share = module.dropout if module.num_layers > 1 else 0.0
        elif isinstance(module, nn.MultiheadAttention):
            share = module.dropout
        else:
            continue
        if module.training and share > 0.0:
            yield path, float(share)
