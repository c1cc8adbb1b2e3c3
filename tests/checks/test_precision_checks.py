"""What the checks of precision say of weights and activations with 16 bits."""

import pytest
import torch
from preflight_programs import answer, classifier, cross_entropy
from torch import nn


class ThroughHalf(nn.Module):
    """What passes is rounded to float16, and so is the gradient on its way back."""

    def forward(self, x):
        return x.half().float()


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "passed"), (1e-8, "failed")])
def test_gradients_that_vanish_in_float16_are_seen(factor, verdict):
    def loss_fn(model, batch):
        return factor * cross_entropy(model, batch)

    program = classifier(loss_fn=loss_fn, tail=(ThroughHalf(),))
    assert answer(program, "half-precision-underflow").verdict == verdict


def test_a_scaler_keeps_small_gradients():
    def loss_fn(model, batch):
        return 1e-6 * cross_entropy(model, batch)

    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    program = classifier(loss_fn=loss_fn, tail=(ThroughHalf(),), scaler=scaler)
    assert answer(program, "half-precision-underflow").verdict == "passed"


def test_small_gradients_in_float32_are_no_underflow():
    def loss_fn(model, batch):
        return 1e-12 * cross_entropy(model, batch)

    said = answer(classifier(loss_fn=loss_fn), "half-precision-underflow")
    assert said.verdict == "not-applicable"


class Squared(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        size = x.to(self.dtype).square().sum(-1, keepdim=True)
        return (x / (1 + size)).float()


@pytest.mark.parametrize(
    ("dtype", "verdict"), [(torch.float32, "passed"), (torch.float16, "failed")]
)
def test_a_later_batch_that_overflows_is_found(dtype, verdict):
    program = classifier()
    program.model.insert(0, Squared(dtype))
    program.model.insert(1, nn.Hardtanh())
    program.batches[3][0].mul_(1000)
    program.batches[3][0][0, 0] = 0.0
    said = answer(program, "nonfinite-later")
    assert said.verdict == "passed"
    program.model[0] = Overflowing(dtype)
    said = answer(program, "nonfinite-later")
    assert said.verdict == verdict
    if verdict == "failed":
        assert said.findings[0].site == "0"
        assert said.findings[0].causes[0] == "fp16-overflow"
        assert said.findings[0].evidence["batch"] == 3


class Overflowing(Squared):
    """A variance as the mean of squares: infinity minus infinity once it overflows."""

    def forward(self, x):
        y = x.to(self.dtype)
        variance = y.square().mean(-1, keepdim=True) - y.square().mean().expand(len(y), 1)
        return (y + variance).float().clamp(-10, 10)


def test_a_logarithm_of_zero_in_a_later_batch_is_no_overflow():
    class Logged(nn.Module):
        def forward(self, x):
            return x.abs().log()

    program = classifier()
    program.model.insert(0, Logged())
    program.batches[2][0][0, 0] = 0.0
    said = answer(program, "nonfinite-later")
    assert said.verdict == "failed"
    assert "fp16-overflow" not in said.findings[0].causes


@pytest.mark.parametrize(("rate", "verdict"), [(1e-1, "passed"), (1e-6, "failed")])
def test_updates_of_bfloat16_weights_that_are_rounded_away_are_counted(rate, verdict):
    def loss_fn(model, batch):
        return nn.functional.cross_entropy(model(batch[0].bfloat16()).float(), batch[1])

    program = classifier(loss_fn=loss_fn)
    program.model.bfloat16()
    program.optimizer = torch.optim.Adam(program.model.parameters(), lr=rate)
    said = answer(program, "lost-updates")
    assert said.verdict == verdict
    assert (said.number > 0.9) == (verdict == "failed")


def test_float32_weights_lose_nothing():
    assert answer(classifier(), "lost-updates").verdict == "not-applicable"
