"""What stands between `backward` and `step` in each run of the experiment `clipping`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from steadytrain.lab.clips.published import AdaGC, FloorlessAGC, ZClip
from steadytrain.optim import PercentileClip, RobustClip, agc_, clip_grad_norm_, clip_grad_value_

Clip = Callable[[Sequence[Tensor]], Any]
"""Changes the gradients of the parameters in place, or makes them None."""

PLAIN: Final = "no clipping"
ROBUST: Final = "RobustClip"
ZCLIP: Final = "ZClip"
ADAGC: Final = "AdaGC"
COMPOSER: Final = "composer's AGC"
TORCH: Final = "torch's clip by norm 1"
OWN_NORM: Final = "clip by norm 1"

PEER_OPTIMIZER: Final = "AdaGC (pytorch_optimizer)"
"""The authors' algorithm in a package of optimizers: run where that package is installed."""


def _nothing(parameters: Sequence[Tensor]) -> None:
    """The gradients stay as they are."""


_CLIPS: Final[dict[str, Callable[[], Clip]]] = {
    PLAIN: lambda: _nothing,
    TORCH: lambda: partial(torch.nn.utils.clip_grad_norm_, max_norm=1.0),
    OWN_NORM: lambda: partial(clip_grad_norm_, max_norm=1.0),
    "clip by value 1": lambda: partial(clip_grad_value_, clip_value=1.0),
    "AGC 0.01": lambda: partial(agc_, clip_factor=0.01),
    "percentile 10": PercentileClip,
    ROBUST: RobustClip,
    ZCLIP: ZClip,
    ADAGC: AdaGC,
    COMPOSER: FloorlessAGC,
}

ON_SERIES: Final[dict[str, Callable[[], Clip]]] = {
    OWN_NORM: _CLIPS[OWN_NORM],
    "percentile 10": PercentileClip,
    ROBUST: partial(RobustClip, warmup_max_norm=float("inf")),
    ZCLIP: partial(ZClip, max_norm=None),
    ADAGC: partial(AdaGC, absolute=float("inf")),
}
"""Those that judge a norm by norms, without a fixed limit beside it where they allow that."""


def names() -> list[str]:
    """Every handler that can run here."""
    peer = [PEER_OPTIMIZER] if find_spec("pytorch_optimizer") is not None else []
    return [*_CLIPS, *peer]


def build(name: str, parameters: Sequence[Tensor], rate: float) -> tuple[Optimizer, Clip]:
    """An AdamW without decay and the clip before it; a rival may bring its own optimizer."""
    if name == PEER_OPTIMIZER:
        from pytorch_optimizer import AdaGC as PeerAdaGC  # pyright: ignore[reportMissingImports]

        return PeerAdaGC(parameters, lr=rate, weight_decay=0.0), _nothing
    return AdamW(parameters, lr=rate, weight_decay=0.0), _CLIPS[name]()
