"""The norms by name: which module each is for images and for feature vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from torch import nn

from steadytrain.blocks._bounds import whole
from steadytrain.blocks.channel_layer_norm import ChannelLayerNorm
from steadytrain.blocks.group_norm import GroupNorm, group_count
from steadytrain.blocks.rms_norm import RMSNorm
from steadytrain.core.errors import UnknownNameError

NormKind = Literal["batch", "sync-batch", "group", "instance", "layer", "rms", "none"]
Layout = Literal["images", "vectors"]
"""`images` are [N, C, H, W], `vectors` are [..., dim]."""

_IMAGES: Final[dict[str, Callable[[int], nn.Module]]] = {
    "batch": nn.BatchNorm2d,
    "sync-batch": nn.SyncBatchNorm,
    "group": lambda channels: GroupNorm(group_count(channels), channels),
    # without affine parameters, as torch has it, the scale of a channel could not be learned
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "layer": ChannelLayerNorm,
    "none": lambda _: nn.Identity(),
}

_VECTORS: Final[dict[str, Callable[[int], nn.Module]]] = {
    "batch": nn.BatchNorm1d,
    "sync-batch": nn.SyncBatchNorm,
    "layer": nn.LayerNorm,
    "rms": RMSNorm,
    "none": lambda _: nn.Identity(),
}

KINDS: Final[dict[Layout, dict[str, Callable[[int], nn.Module]]]] = {
    "images": _IMAGES,
    "vectors": _VECTORS,
}


def norm_of(kind: str, features: int, layout: Layout) -> nn.Module:
    """A new norm over `features` channels or features.

    Raises:
        UnknownNameError: the layout has no norm of that name.
        UsageError: `features` is no positive whole number.
    """
    table = KINDS[layout]
    if kind not in table:
        raise UnknownNameError.build(f"norm for {layout}", kind, table)
    return table[kind](whole("features", features))
