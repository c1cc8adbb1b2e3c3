"""Autocast where asked, and a loss scale that neither reaches zero nor hides a skipped step."""

import pytest
import torch

from steadytrain.core.errors import UsageError
from steadytrain.optim import in_float32
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
    said = []
    scale = LossScale(torch.amp.GradScaler("cpu", init_scale=MIN_SCALE), on_floor=said.append)
    scale.scale(torch.tensor(1.0))
    for _ in range(300):
        _, optimizer = one_parameter(float("nan"))
        assert not scale.step(optimizer)
    assert scale.scaler.get_scale() == MIN_SCALE
    assert scale.num_floor_skips == 300
    assert len(said) == 1
    parameter, optimizer = one_parameter(MIN_SCALE)
    assert scale.step(optimizer)
    assert parameter.item() == 0.0
    assert scale.num_floor_skips == 0


def test_a_loss_scale_that_only_falls_does_not_end_in_zero_and_nan_weights():
    scaler = torch.amp.GradScaler("cpu")
    scale = LossScale(scaler, on_floor=lambda message: None)
    scale.scale(torch.tensor(1.0))
    for _ in range(200):
        scale.step(one_parameter(float("inf"))[1])
    parameter, optimizer = one_parameter(MIN_SCALE)
    assert scale.step(optimizer)
    assert torch.isfinite(parameter).all()


def test_speaks_at_the_floor_without_being_able_to_end_the_step(caplog):
    scale = LossScale(torch.amp.GradScaler("cpu", init_scale=MIN_SCALE))
    scale.scale(torch.tensor(1.0))
    assert not scale.step(one_parameter(float("nan"))[1])
    assert "floor of 0.03125" in caplog.text
    assert "not finite at any scale" in caplog.text


def test_a_skip_above_the_floor_is_ordinary():
    scale = LossScale(torch.amp.GradScaler("cpu", init_scale=4 * MIN_SCALE))
    scale.scale(torch.tensor(1.0))
    assert not scale.step(one_parameter(float("nan"))[1])
    assert scale.num_floor_skips == 0


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_floor_that_is_none(wrong):
    with pytest.raises(UsageError, match="min_scale"):
        LossScale(None, min_scale=wrong)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_refuses_a_device_where_autocast_would_fail(precision):
    with pytest.raises(UsageError, match="no autocast"):
        scaler_for(precision, torch.device("meta"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_refuses_a_device_where_autocast_switches_itself_off():
    with pytest.raises(UsageError, match="fp16 was asked for on cuda"):
        scaler_for("fp16", torch.device("cuda"))


def test_refuses_fp16_on_a_gpu_without_half_arithmetic(monkeypatch):
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (5, 0))
    with pytest.raises(UsageError, match="no autocast"):
        scaler_for("fp16", torch.device("cuda"))


def test_an_island_is_exact_where_autocast_would_round():
    values = torch.tensor([[1.0, 1.001]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        island = in_float32(torch.matmul)(values, values.T)
        rounded = values @ values.T
    assert island.item() == pytest.approx(2.002001)
    assert rounded.item() != pytest.approx(2.002001, abs=1e-4)


def test_an_island_widens_what_it_is_given_by_name_and_nothing_else():
    def function(index, *, value):
        return index.dtype, value.dtype, torch.is_autocast_enabled("cpu")

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = in_float32(function)(torch.tensor(1), value=torch.ones(1, dtype=torch.half))
    assert found == (torch.int64, torch.float32, False)
