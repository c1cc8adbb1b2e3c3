"""A window of microbatches is one batch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.optim.accumulation import Window


def loss_of(weight, inputs):
    return (torch.tanh(inputs @ weight) - 0.3).square().mean()


@settings(deadline=None)
@given(size=st.integers(1, 9), items=st.integers(1, 7), seed=st.integers(0, 99))
def test_equal_microbatches_equal_the_large_batch(size, items, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(size * items, 3, generator=generator)
    weight = torch.randn(3, generator=generator, requires_grad=True)
    expected = loss_of(weight, inputs)
    (gradient,) = torch.autograd.grad(expected, weight)
    window = Window(size)
    for part in inputs.split(items):
        window.add(loss_of(weight, part), lambda loss: loss)
    assert weight.grad is not None
    assert (weight.grad - gradient).abs().max() <= 1e-6
    assert abs(float(window.loss) - float(expected.detach())) <= 1e-6


def test_one_microbatch_is_left_as_it_is():
    weight = torch.randn(3, requires_grad=True)
    loss = loss_of(weight, torch.randn(4, 3))
    window = Window(1)
    window.add(loss, lambda loss: loss)
    assert torch.equal(window.loss, loss.detach())


def test_scales_what_is_differentiated_and_not_what_is_reported():
    weight = torch.ones(1, requires_grad=True)
    window = Window(2)
    for _ in range(2):
        window.add(3 * weight, lambda loss: 8 * loss)
    assert weight.grad.item() == 24
    assert window.loss.item() == 3


def test_the_mean_of_half_precision_losses_is_kept_in_float32():
    weight = torch.ones((), requires_grad=True, dtype=torch.float16)
    window = Window(3)
    for _ in range(3):
        window.add(weight * 1.0, lambda loss: loss)
    assert window.loss.dtype == torch.float32
