"""Building blocks that are right at the edges: initialisation, normalisation, residuals, attention, losses."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "ChannelLayerNorm": "channel_layer_norm",
    "ConvNorm": "conv_norm",
    "Float32Island": "fp32_island",
    "GroupNorm": "group_norm",
    "LayerScale": "channel_scale",
    "NormChoice": "norm_choice",
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
    "coordinate_check": "coordinates",
    "deepnorm_constants": "deep_norm",
    "gain_for": "gains",
    "gradient_penalty": "critic_penalty",
    "group_count": "group_norm",
    "init_deepnorm": "deep_norm",
    "init_depth_aware": "depth_aware_init",
    "init_fixup": "fixup",
    "init_for": "initialization",
    "init_small": "small_init",
    "init_subln": "sub_layer_norm",
    "init_t_fixup": "t_fixup",
    "init_transformer": "transformer_init",
    "init_wang": "small_init",
    "initialize": "initialization",
    "linear_drop_rates": "drop_path",
    "lsuv": "layer_sequential",
    "max_attention_logit": "attention_logits",
    "mup_groups": "maximal_update",
    "norm_for": "norm_choice",
    "normalize_advantages": "advantages",
    "normalizer_free_gain": "normalizer_free",
    "qk_clip_": "query_key_clip",
    "qk_norm": "query_key_norm",
    "refresh_spectral_norm": "weight_parametrizations",
    "residual_scale": "scaled_residual",
    "safe_attention": "attention",
    "scale_free": "scale_free_weights",
    "sigma_reparam": "sigma_reparametrization",
    "soft_cap": "logit_cap",
    "spectral_norm": "weight_parametrizations",
    "weight_norm": "weight_parametrizations",
    "z_loss": "logit_penalty",
    "zero_outputs": "zero_output",
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
