"""The watch's clip is torch's, to the bit."""

import pytest
import torch
from torch import nn
from watched_runs import equal

import steadytrain as st

NAN, INF = float("nan"), float("inf")


def parameters(gradients):
    params = []
    for gradient in gradients:
        param = nn.Parameter(torch.zeros_like(gradient, layout=torch.strided))
        param.grad = gradient.clone()
        params.append(param)
    return params


def normal(*shape, dtype=torch.float32, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return (torch.randn(*shape, generator=generator, dtype=torch.float32) * scale).to(dtype)


def with_element(value):
    gradient = normal(5, 3)
    gradient[2, 1] = value
    return gradient


GRADIENTS = {
    "several": [normal(4, 3), normal(7), normal(2, 2, 3)],
    "one": [normal(40, 30)],
    "many": [normal(3, 3, seed=seed) for seed in range(300)],
    "none": [],
    "empty": [normal(4), normal(0, 3)],
    "no dimensions": [normal(4), torch.tensor(2.5)],
    "bf16": [normal(40, 30, dtype=torch.bfloat16), normal(7, dtype=torch.bfloat16)],
    "fp16": [normal(40, 30, dtype=torch.float16), normal(7, dtype=torch.float16)],
    "fp64": [normal(40, 30, dtype=torch.float64), normal(7, dtype=torch.float64)],
    "mixed": [normal(9), normal(9, dtype=torch.bfloat16), normal(40, scale=5), normal(3).double()],
    "complex": [torch.complex(normal(5), normal(6)[:5]), torch.complex(normal(7), normal(8)[:7])],
    "NaN": [with_element(NAN), normal(7)],
    "Inf": [with_element(INF), normal(7)],
    "huge": [normal(4, 3, scale=1e25), normal(7)],
    "overflowing total": [torch.full((2,), 2e38), torch.full((2,), 2e38)],
    "fp16 overflow": [torch.full((64,), 3e4, dtype=torch.float16)],
    "tiny": [normal(4, 3, scale=1e-30), normal(7, scale=1e-42)],
    "zero": [torch.zeros(4, 3), torch.zeros(7)],
    "channels last": [normal(2, 3, 4, 5).to(memory_format=torch.channels_last), normal(7)],
    "strided": [normal(8, 8)[::2, ::2], normal(6, 5).t()],
}

NORM_TYPES = [2.0, 2, 1.0, 3.0, INF, "inf"]


def both(gradients, max_norm, **options):
    """What torch's clip and the watch's return (or raise), and the gradients they leave."""
    results = []
    for watched in (False, True):
        params = parameters(gradients)
        model = nn.ParameterList([*params, nn.Parameter(torch.zeros(2))])
        watch = st.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), every=1)
        try:
            if watched:
                total = watch.clip_grad_norm_(max_norm, **options)
            else:
                total = nn.utils.clip_grad_norm_(model.parameters(), max_norm, **options)
        except (RuntimeError, TypeError, NotImplementedError) as error:
            total = type(error).__name__
        watch.close()
        assert not [f for f in watch.findings() if f.rule.startswith("broken")]
        results.append((total, [param.grad for param in params]))
    return results


@pytest.mark.parametrize("max_norm", [0.1, 1e6])
@pytest.mark.parametrize("gradients", GRADIENTS)
def test_total_and_gradients_are_torchs(gradients, max_norm):
    theirs, ours = both(GRADIENTS[gradients], max_norm)
    assert equal(theirs, ours)


@pytest.mark.parametrize("norm_type", NORM_TYPES)
@pytest.mark.parametrize("gradients", ["several", "mixed", "NaN", "empty", "bf16", "complex"])
def test_of_every_order(gradients, norm_type):
    theirs, ours = both(GRADIENTS[gradients], 0.1, norm_type=norm_type)
    assert equal(theirs, ours)


@pytest.mark.parametrize("foreach", [True, False, None])
@pytest.mark.parametrize("gradients", ["several", "mixed", "huge", "empty"])
def test_by_every_implementation(gradients, foreach):
    theirs, ours = both(GRADIENTS[gradients], 0.1, foreach=foreach)
    assert equal(theirs, ours)


@pytest.mark.parametrize("gradients", ["NaN", "Inf", "huge", "several"])
@pytest.mark.parametrize("norm_type", [2.0, INF])
def test_an_error_is_raised_where_torch_raises_one(gradients, norm_type):
    options = {"error_if_nonfinite": True, "norm_type": norm_type}
    theirs, ours = both(GRADIENTS[gradients], 0.1, **options)
    assert equal(theirs, ours)
    assert (theirs[0] == "RuntimeError") is (gradients in ("NaN", "Inf") or (gradients == "huge" and norm_type == 2.0))  # fmt: skip


def test_sparse_gradients_go_the_way_torch_sends_them():
    sparse = torch.sparse_coo_tensor([[0, 0, 2]], normal(3, 4), (5, 4), check_invariants=True)
    outcomes = []
    for watched in (False, True):
        model = nn.ParameterList([nn.Parameter(torch.zeros(5, 4)), nn.Parameter(torch.zeros(3))])
        model[0].grad, model[1].grad = sparse.clone(), normal(3)
        watch = st.watch(model, torch.optim.SGD(model.parameters(), lr=0.1))
        clip = watch.clip_grad_norm_ if watched else None
        try:
            total = clip(0.1) if clip else nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        except (RuntimeError, NotImplementedError) as error:
            total = str(error)
        watch.close()
        outcomes.append((total, model[0].grad.to_dense(), model[1].grad))
    assert equal(*outcomes)


def test_a_tensor_a_list_or_a_generator_may_be_clipped():
    for form in (lambda p: p[0], list, lambda p: (x for x in p)):
        params = parameters([normal(3), normal(4)])
        model = nn.ParameterList(params)
        watch = st.watch(model, torch.optim.SGD(model.parameters(), lr=0.1))
        total = watch.clip_grad_norm_(0.1, parameters=form(list(model)))
        expected = parameters([normal(3), normal(4)])
        assert torch.equal(total, nn.utils.clip_grad_norm_(form(expected), 0.1))
        assert equal([p.grad for p in model], [p.grad for p in expected])
        watch.close()


def clipped(gradients, max_norm, parts=None, **options):
    """The history after one clipped step."""
    model = nn.ParameterList(parameters(gradients))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer, every=1)
    for part in parts or [list(range(len(gradients)))]:
        watch.clip_grad_norm_(max_norm, parameters=[model[i] for i in part], **options)
    optimizer.step()
    watch.close()
    return watch.history


def test_norms_are_those_before_the_clip():
    history = clipped([torch.tensor([3.0, 4.0]), torch.tensor([12.0])], 1.3)
    assert history.window("grad_norm").tolist() == [[5.0, 12.0]]
    assert history.series("grad_norm_total") == pytest.approx(13.0)
    assert history.series("clip_coefficient") == pytest.approx(0.1)
    assert history.series("grad_norm_clipped") == pytest.approx(1.3)
    assert history.series("max_grad_norm") == 1.3


def test_an_idle_clip_has_the_factor_one():
    history = clipped([torch.tensor([3.0, 4.0])], 100.0)
    assert history.series("clip_coefficient") == 1.0
    assert history.series("grad_norm_clipped") == 5.0


def test_the_factor_of_another_order_is_that_orders():
    history = clipped([torch.tensor([3.0, 4.0])], 2.0, norm_type=INF)
    assert history.series("grad_norm_total") == 5.0
    assert history.series("clip_coefficient") == pytest.approx(0.5)
    assert history.series("grad_norm_clipped") == pytest.approx(2.5)


def test_only_what_was_clipped_is_smaller():
    history = clipped([torch.tensor([3.0, 4.0]), torch.tensor([12.0])], 0.5, parts=[[0]])
    assert history.series("grad_norm_total") == pytest.approx(13.0)
    assert history.series("clip_coefficient") == pytest.approx(0.1)
    assert history.series("grad_norm_clipped") == pytest.approx((0.5**2 + 144) ** 0.5)


def test_two_clips_of_one_step_are_one_row():
    history = clipped([torch.tensor([3.0, 4.0]), torch.tensor([12.0])], 0.5, parts=[[0], [1]])
    assert len(history) == 1
    assert history.series("grad_norm_clipped") == pytest.approx(0.5**0.5)


@pytest.mark.parametrize(
    "dtypes", [(torch.float32, torch.bfloat16), (torch.float64, torch.float32)]
)
def test_norms_of_mixed_precisions_stand_at_their_own_parameters(dtypes):
    one, other = dtypes
    gradients = [torch.full((4,), float(2**i), dtype=(one, other)[i % 2]) for i in range(6)]
    history = clipped(gradients, 1.0)
    assert history.window("grad_norm")[0].tolist() == [2.0 * 2**i for i in range(6)]


def test_norms_of_half_precision_are_measured_in_single():
    gradient = normal(1000, dtype=torch.bfloat16)
    history = clipped([gradient], 1.0)
    assert history.window("grad_norm")[0, 0] == pytest.approx(gradient.double().norm().item(), 1e-5)
