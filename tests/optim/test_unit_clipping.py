import math

import numpy as np
import pytest
import torch
from torch import nn

from steadytrain.core.errors import UsageError
from steadytrain.optim import agc_

SHAPES = [(6, 5), (6,), (), (4, 3, 2), (4, 3, 2, 2), (0, 3)]


def weights(seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    found = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    for place, weight in enumerate(found):
        size = scale * 10.0 ** (place - 3)
        weight.grad = torch.randn(weight.shape, generator=generator) * size
    found[0].data[2] = 0.0
    found[1].grad[:] = 0.0
    return found


def by_the_paper(weight, grad, clip_factor, eps):
    """The paper's formula in float64, unit by unit in a loop."""
    units = weight.shape[0] if weight.dim() > 1 else 1
    w = weight.detach().double().numpy().reshape(units, -1)
    g = grad.double().numpy().reshape(units, -1).copy()
    for unit in range(units):
        limit = clip_factor * max(np.linalg.norm(w[unit]), eps)
        if np.linalg.norm(g[unit]) > limit:
            g[unit] *= limit / np.linalg.norm(g[unit])
    return torch.from_numpy(g.reshape(grad.shape))


@pytest.mark.parametrize("clip_factor", [0.01, 0.16])
def test_every_unit_is_clipped_by_the_papers_formula(clip_factor):
    ours = weights()
    expected = [by_the_paper(w, w.grad, clip_factor, 1e-3) for w in ours if w.numel()]
    agc_(ours, clip_factor)
    for weight, grad in zip(ours, expected, strict=False):
        torch.testing.assert_close(weight.grad.double(), grad, rtol=1e-6, atol=1e-12)


def test_agrees_with_timm():
    agc = pytest.importorskip("timm.utils.agc")
    ours, theirs = weights(3), weights(3)
    agc_(ours, 0.02)
    agc.adaptive_clip_grad([w for w in theirs if w.numel()], 0.02)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-10)


def test_agrees_with_optax_in_its_own_layout():
    optax = pytest.importorskip("optax")
    ours = nn.Linear(5, 6)
    ours.weight.grad, ours.bias.grad = torch.randn(6, 5), torch.randn(6)
    params = {"w": ours.weight.detach().numpy().T, "b": ours.bias.detach().numpy()}
    grads = {"w": ours.weight.grad.numpy().T.copy(), "b": ours.bias.grad.numpy().copy()}
    rule = optax.adaptive_grad_clip(0.02)
    clipped, _ = rule.update(grads, rule.init(params), params)
    agc_(ours, 0.02)
    np.testing.assert_allclose(ours.weight.grad.numpy().T, clipped["w"], rtol=1e-6)
    np.testing.assert_allclose(ours.bias.grad.numpy(), clipped["b"], rtol=1e-6)


def test_a_layer_that_begins_at_zero_is_not_frozen():
    weight = nn.Parameter(torch.zeros(3, 4))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    for _ in range(50):
        weight.grad = torch.ones(3, 4)
        agc_([weight], clip_factor=0.1)
        optimizer.step()
    assert float(weight.detach().norm(dim=1).min()) > 4 * 0.1 * 1e-3


def test_a_vector_is_one_unit():
    bias = nn.Parameter(torch.tensor([3.0, 4.0]))
    bias.grad = torch.tensor([0.0, 10.0])
    agc_([bias], clip_factor=0.1)
    torch.testing.assert_close(bias.grad, torch.tensor([0.0, 0.5]))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_is_clipped_per_output(groups):
    layer = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    layer.weight.grad = torch.full_like(layer.weight, 1e-9)
    layer.weight.grad[0, 1] = 1e3
    agc_(layer, clip_factor=0.01)
    filters = layer.weight.detach()[: 4 // groups, 1]
    assert float(layer.weight.grad[0, 1].norm()) == pytest.approx(0.01 * float(filters.norm()))
    untouched = torch.ones(layer.weight.shape, dtype=torch.bool)
    untouched[: 4 // groups, 1] = False
    assert (layer.weight.grad[untouched] == 1e-9).all()


def test_the_head_is_left_out_by_its_name():
    model = nn.ModuleDict(
        {"body": nn.Linear(2, 2), "head": nn.Linear(2, 2), "header": nn.Linear(2, 2)}
    )
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 100.0)
    agc_(model, exclude="head")
    assert (model["head"].weight.grad == 100.0).all()
    assert (model["head"].bias.grad == 100.0).all()
    assert (model["header"].weight.grad < 1.0).all()
    assert (model["body"].weight.grad < 1.0).all()


def test_an_exclusion_that_excludes_nothing_is_refused():
    model = nn.Linear(2, 2)
    with pytest.raises(UsageError, match="'head'"):
        agc_(model.named_parameters(), exclude=["head"])


def test_a_unit_with_a_nan_leaves_the_other_units_right():
    weight = nn.Parameter(torch.ones(3, 2))
    weight.grad = torch.tensor([[math.nan, 1.0], [math.inf, 1.0], [30.0, 40.0]])
    agc_([weight], clip_factor=0.1)
    expected = torch.tensor([[math.nan, 1.0], [math.inf, 1.0]])
    torch.testing.assert_close(weight.grad[:2], expected, equal_nan=True)
    assert float(weight.grad[2].norm()) == pytest.approx(0.1 * math.sqrt(2))


@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 1e20), (torch.float16, 6e4)])
def test_a_unit_whose_norm_overflows_is_clipped_not_erased(dtype, size):
    weight = nn.Parameter(torch.ones(1, 4, dtype=dtype))
    weight.grad = torch.full((1, 4), size, dtype=dtype)
    agc_([weight], clip_factor=0.1)
    torch.testing.assert_close(weight.grad.float(), torch.full((1, 4), 0.1), rtol=1e-3, atol=0)


def test_a_complex_weight_is_clipped_by_its_magnitude():
    weight = nn.Parameter(torch.tensor([[3 + 4j, 0j]]))
    weight.grad = torch.tensor([[0j, 50j]])
    agc_([weight], clip_factor=0.1)
    torch.testing.assert_close(weight.grad, torch.tensor([[0j, 0.5j]]))


def test_sparse_gradients_are_refused_with_what_to_do():
    model = nn.Embedding(4, 2, sparse=True)
    model(torch.tensor([1])).sum().backward()
    with pytest.raises(UsageError, match="sparse=False"):
        agc_(model)


@pytest.mark.parametrize("options", [{"clip_factor": 0.0}, {"clip_factor": math.nan}, {"eps": 0.0}])
def test_numbers_that_would_freeze_everything_are_refused(options):
    with pytest.raises(UsageError, match="above zero"):
        agc_(weights(), **options)
