"""Prevention around the optimizer step: schedules, clipping, groups, precision, accumulation."""

from __future__ import annotations

from steadytrain.core.lazy import lazily

_HOMES = {
    "ClipVerdict": "robust_clipping",
    "LossScale": "precision",
    "MomentAudit": "moments",
    "PercentileClip": "percentile_clipping",
    "RangeTest": "range_test",
    "RobustClip": "robust_clipping",
    "STARTING_RATES": "starting_rates",
    "Schedule": "schedules",
    "StartingRate": "starting_rates",
    "UpdateClip": "update_clipping",
    "accumulate": "accumulation",
    "agc_": "unit_clipping",
    "audit": "groups",
    "autocast": "precision",
    "check_moments": "moments",
    "clip_grad_norm_": "clipping",
    "clip_grad_norm_per_tensor_": "clipping",
    "clip_grad_value_": "clipping",
    "cosine_restarts": "warm_restarts",
    "in_float32": "float32_island",
    "lost_updates": "low_precision",
    "low_precision_adamw": "low_precision",
    "lr_range_test": "range_test",
    "one_cycle": "single_cycle",
    "parameter_groups": "groups",
    "reset_moments": "moments",
    "rewarm": "rewarming",
    "scaler_for": "precision",
    "starting_rate": "starting_rates",
    "starting_rate_table": "starting_rates",
    "untuned_warmup_steps": "starting_rates",
    "warmup_constant": "constant_rate",
    "warmup_cosine": "schedules",
    "warmup_inverse_sqrt": "inverse_square_root",
    "warmup_linear": "schedules",
    "warmup_polynomial": "polynomial_decay",
    "warmup_stable_decay": "schedules",
}
"""Public name -> the file it is in."""

__getattr__, __dir__ = lazily(__name__, _HOMES)
