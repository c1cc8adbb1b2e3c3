"""Autocast where asked, and a loss scale that neither reaches zero nor hides a skipped step."""

import pytest
import torch

from steadytrain.optim.precision import MIN_SCALE, LossScale, autocast, scaler_for

CPU = torch.device("cpu")


def one_parameter(grad):
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.tensor([grad])
    return parameter, torch.optim.SGD([parameter], lr=1.0)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_a_product_is_computed_in_the_precision(precision, dtype):
    with autocast(precision, CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype


def test_leaves_an_outer_autocast_alone_in_fp32():
    with torch.autocast("cpu", dtype=torch.bfloat16), autocast("fp32", CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_only_fp16_needs_a_scaler():
    assert scaler_for("fp32", CPU) is scaler_for("bf16", CPU) is None
    assert scaler_for("fp16", CPU).is_enabled()


@pytest.mark.parametrize("scaler", [None, torch.amp.GradScaler("cpu", enabled=False)])
def test_without_a_scale_every_operation_is_the_plain_one(scaler):
    scale = LossScale(scaler)
    parameter, optimizer = one_parameter(0.25)
    assert scale.scale(torch.tensor(3.0)) == 3.0
    scale.unscale(optimizer)
    assert scale.step(optimizer)
    assert parameter.item() == 0.75


@pytest.mark.parametrize(("grad", "moves"), [(16.0, True), (float("inf"), False)])
def test_says_whether_the_optimizer_moved(grad, moves):
    scale = LossScale(torch.amp.GradScaler("cpu", init_scale=16.0))
    scale.scale(torch.tensor(1.0))
    parameter, optimizer = one_parameter(grad)
    assert scale.step(optimizer) is moves
    assert parameter.item() == (0.0 if moves else 1.0)


def test_says_so_at_the_floor_too():
    scale = LossScale(torch.amp.GradScaler("cpu", init_scale=MIN_SCALE))
    scale.scale(torch.tensor(1.0))
    for _ in range(300):
        _, optimizer = one_parameter(float("nan"))
        assert not scale.step(optimizer)
    assert scale.scaler.get_scale() == MIN_SCALE
    parameter, optimizer = one_parameter(MIN_SCALE)
    assert scale.step(optimizer)
    assert parameter.item() == 0.0
