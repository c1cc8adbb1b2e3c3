"""Which norm to take for an architecture and a batch size, and why: a rule as code.

Batch norm is ahead where a batch has many samples, because its noise regularises, and falls
behind quickly below sixteen per device: its statistics come from too few. What counts is the batch
of one forward pass on one device. Accumulating gradients does not enlarge it, and moves the
running statistics once per microbatch; more devices do so only through `SyncBatchNorm`.

## Formula
    cnn, unet, gan-generator: batch norm from 16 samples per device on, synchronised batch norm
    from 16 over all devices on, else group norm. gan-critic: group norm, because the gradient
    penalty is per sample. style-transfer: instance norm. transformer: RMS norm, before each
    branch. vit, rnn, rl: layer norm. mlp: RMS norm.

## Shape
    `NormChoice.build(features)` makes a norm for [N, C, H, W] (images) or [..., dim] (vectors).

## Dtype
    That of the norm it builds; all take their statistics in float32 for half precision.

## Cost
    None: it runs once.

## Source
    Wu & He 2018, table 2 (batch norm ahead of group norm at 32 and 16 samples per device, behind
    at 8, 4 and 2); Gulrajani et al. 2017, section 4 (no batch norm in the critic); Ulyanov et al.
    2016 (instance norm); Xiong et al. 2020 (before the branch); Zhang & Sennrich 2019 (RMS).

## Helps against
    `batchnorm-small-batch`, `batchnorm-running-stats`, `missing-norm`, `post-norm-depth`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import nn

from steadytrain.blocks._bounds import whole
from steadytrain.blocks._norm_kinds import Layout, NormKind, norm_of
from steadytrain.core.errors import UnknownNameError
from steadytrain.core.technique import Sample, technique

MIN_BATCH: Final = 16
"""Samples per forward pass from which on batch norm is the better choice (Wu & He 2018)."""

Site = Literal["after each convolution", "before each branch", "before each activation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NormChoice:
    """Which norm, where, and why. `print` shows it in one line.

    Example:
        >>> choice = norm_for("cnn", batch_size=64, verbose=False)
        >>> choice.kind, type(choice.build(32)).__name__
        ('batch', 'BatchNorm2d')
    """

    architecture: str
    batch_size: int
    kind: NormKind
    layout: Layout
    site: Site
    why: str

    def build(self, features: int) -> nn.Module:
        """A new norm over that many channels or features.

        Raises:
            UsageError: `features` is no positive whole number.
        """
        return norm_of(self.kind, features, self.layout)

    def __str__(self) -> str:
        where = f"{self.kind} norm {self.site}"
        return f"{self.architecture}, {self.batch_size} samples per pass: {where}, {self.why}"


def norm_for(
    architecture: str, batch_size: int, *, num_replicas: int = 1, verbose: bool = True
) -> NormChoice:
    """The norm to take, printed with its reason.

    Args:
        architecture: `"cnn"`, `"unet"`, `"gan-generator"`, `"gan-critic"`, `"style-transfer"`,
            `"transformer"`, `"vit"`, `"rnn"`, `"rl"` or `"mlp"`.
        batch_size: samples of one forward pass on one device: a microbatch, not the batch that
            is accumulated or collected over devices.
        num_replicas: devices that train together, each on its own samples.
        verbose: whether to print the choice.

    Raises:
        UnknownNameError: the architecture is none of these.
        UsageError: `batch_size` or `num_replicas` is no positive whole number.

    Example:
        >>> choice = norm_for("cnn", batch_size=2)
        cnn, 2 samples per pass: group norm after each convolution, because batch norm would take
        its statistics from 2 samples, and below 16 they are too noisy
        >>> choice.build(64).num_groups
        8
    """
    if architecture not in _RULES:
        raise UnknownNameError.build("architecture", architecture, _RULES)
    samples, replicas = whole("batch_size", batch_size), whole("num_replicas", num_replicas)
    layout, site, rule = _RULES[architecture]
    kind, why = rule(samples, replicas)
    choice = NormChoice(
        architecture=architecture,
        batch_size=samples,
        kind=kind,
        layout=layout,
        site=site,
        why=f"because {why}",
    )
    if verbose:
        print(choice)
    return choice


Rule = Callable[[int, int], tuple[NormKind, str]]


def _by_batch(samples: int, replicas: int) -> tuple[NormKind, str]:
    if samples >= MIN_BATCH:
        why = f"batches of {MIN_BATCH} and more give steady statistics, and their noise regularises"
        return "batch", why
    if replicas > 1 and samples * replicas >= MIN_BATCH:
        counted = f"{samples} samples are too few for batch statistics, but"
        return "sync-batch", f"{counted} {replicas} replicas have {samples * replicas} together"
    plural = "" if samples == 1 else "s"
    found = f"batch norm would take its statistics from {samples} sample{plural}"
    return "group", f"{found}, and below {MIN_BATCH} they are too noisy"


def _always(kind: NormKind, why: str) -> Rule:
    return lambda _samples, _replicas: (kind, why)


_AFTER: Final = "after each convolution"
_BEFORE: Final = "before each branch"
_CRITIC: Final = "the gradient penalty is per sample and batch norm couples the samples"
_STYLE: Final = "the contrast of each image is what must be removed"
_TOKENS: Final = "statistics per token need no batch, and the mean does not help"
_PATCHES: Final = "statistics per token need no batch, and pretrained weights expect it"
_STATES: Final = "statistics per step fit sequences of any length"
_POLICY: Final = "the data changes with the policy, so running statistics would be stale"
_FEATURES: Final = "statistics per sample need no batch, and shortcuts carry the mean"

_RULES: Final[dict[str, tuple[Layout, Site, Rule]]] = {
    "cnn": ("images", _AFTER, _by_batch),
    "unet": ("images", _AFTER, _by_batch),
    "gan-generator": ("images", _AFTER, _by_batch),
    "gan-critic": ("images", _AFTER, _always("group", _CRITIC)),
    "style-transfer": ("images", _AFTER, _always("instance", _STYLE)),
    "transformer": ("vectors", _BEFORE, _always("rms", _TOKENS)),
    "vit": ("vectors", _BEFORE, _always("layer", _PATCHES)),
    "rnn": ("vectors", "before each activation", _always("layer", _STATES)),
    "rl": ("vectors", "before each activation", _always("layer", _POLICY)),
    "mlp": ("vectors", _BEFORE, _always("rms", _FEATURES)),
}


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("NormChoice", "norm_for"),
    samples=(
        Sample(
            build=lambda: norm_for("cnn", 4, verbose=False).build(8),
            inputs=lambda: (torch.randn(2, 8, 4, 4),),
        ),
        Sample(
            build=lambda: norm_for("transformer", 4, verbose=False).build(8),
            inputs=lambda: (torch.randn(2, 3, 8),),
        ),
    ),
)
