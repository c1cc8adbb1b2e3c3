"""Every starting rate is one that its optimizer takes, and scales with the batch."""

import math

import pytest
import torch

from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.optim import (
    STARTING_RATES,
    starting_rate,
    starting_rate_table,
    untuned_warmup_steps,
)

TORCH = {name.lower(): getattr(torch.optim, name) for name in torch.optim.__all__}


@pytest.mark.parametrize("row", STARTING_RATES, ids=lambda row: f"{row.optimizer}-{row.setting}")
def test_torch_takes_what_a_row_says(row):
    if row.optimizer not in TORCH:
        pytest.skip("not an optimizer of this torch")
    options = dict(row.options) | {"lr": row.lr, "weight_decay": row.weight_decay}
    TORCH[row.optimizer]([torch.nn.Parameter(torch.ones(2, 2))], **options)


def test_every_row_names_its_source_and_stands_once():
    keys = [(row.optimizer, row.setting) for row in STARTING_RATES]
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)
    assert all("20" in row.source for row in STARTING_RATES)


def test_sgd_scales_with_the_batch_and_adam_with_its_root():
    assert starting_rate("sgd", "cnn").for_batch(512).lr == pytest.approx(0.2)
    assert starting_rate("adamw", "vit").for_batch(256).lr == pytest.approx(5e-4)


def test_refuses_to_scale_from_no_batch_and_to_none():
    with pytest.raises(UsageError, match="has no batch size"):
        starting_rate("adamw", "transformer").for_batch(8)
    with pytest.raises(UsageError, match="got 0"):
        starting_rate("sgd", "cnn").for_batch(0)


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(UnknownNameError, match="adamw transformer"):
        starting_rate("adamw", "transformers")


def test_the_table_has_a_line_for_every_row():
    lines = starting_rate_table().splitlines()
    assert len(lines) == len(STARTING_RATES) + 1
    assert all(row.source in line for row, line in zip(STARTING_RATES, lines[1:], strict=True))


@pytest.mark.parametrize("wrong", [1.0, -0.1, math.nan])
def test_refuses_a_beta_that_is_none(wrong):
    with pytest.raises(UsageError, match="beta2 must be"):
        untuned_warmup_steps(wrong)
