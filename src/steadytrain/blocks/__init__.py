"""Building blocks that are right at the edges: initialisation, normalisation, residuals, attention, losses."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "ConvNorm": "conv_norm",
    "LayerScale": "channel_scale",
    "NormPlacement": "norm_placement",
    "NormalizerFree": "normalizer_free",
    "PreNormMLP": "pre_norm_mlp",
    "QKNorm": "query_key_norm",
    "RMSNorm": "rms_norm",
    "ReZero": "rezero_residual",
    "ScaleNorm": "scale_norm",
    "ScaledResidual": "scaled_residual",
    "StableMLP": "stable_mlp",
    "StableNet": "stable_net",
    "StochasticDepth": "drop_path",
    "WeightStandardizedConv2d": "weight_standardization",
    "combine_masks": "attention",
    "coordinate_check": "maximal_update",
    "gain_for": "gains",
    "gradient_penalty": "critic_penalty",
    "init_for": "initialization",
    "initialize": "initialization",
    "lsuv": "layer_sequential",
    "mup_groups": "maximal_update",
    "norm_for": "norm_choice",
    "normalize_advantages": "advantages",
    "qk_clip_": "query_key_clip",
    "qk_norm": "query_key_norm",
    "safe_attention": "attention",
    "sigma_reparam": "sigma_reparametrization",
    "soft_cap": "logit_cap",
    "z_loss": "logit_penalty",
}
"""Public name -> the file it is in."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)
