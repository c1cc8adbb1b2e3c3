"""A window of unequal microbatches is one batch: items, tokens, tails, ranks, half precision."""

import math

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from steadytrain.core.errors import UsageError
from steadytrain.optim import accumulate

PADDING = -100
ROWS = [1, 5, 2, 7, 3, 4, 6, 1]


def language_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(11, 8), nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 11))


def padded_batches(rows=ROWS, seed=0):
    """Microbatches of different size, half of whose tokens are padding, more in some."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for place, count in enumerate(rows):
        tokens = torch.randint(11, (count, 9), generator=generator)
        dropped = torch.rand(tokens.shape, generator=generator) < 0.9 * place / len(rows)
        batches.append((tokens, tokens.roll(1).masked_fill(dropped, PADDING)))
    return batches


def mean_loss(model, batch):
    return cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def sum_loss(model, batch):
    return cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten(), reduction="sum")


def num_tokens(batch):
    return (batch[1] != PADDING).sum()


def gradient(model):
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def large_batch_gradient(batches, loss_fn=mean_loss):
    model = language_model()
    whole = tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
    loss = loss_fn(model, whole)
    loss.backward()
    return gradient(model), float(loss.detach())


def accumulated(batches, loss_fn=mean_loss, **options):
    """The gradient and loss of every window."""
    model = language_model()
    found = []
    for window in accumulate(batches, 3, count=num_tokens, **options):
        for batch in window:
            window.backward(loss_fn(model, batch))
        found.append((gradient(model), float(window.loss)))
        model.zero_grad()
    return found


def relative(one, other):
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize(("loss_fn", "reduction"), [(mean_loss, "mean"), (sum_loss, "sum")])
def test_every_window_is_the_large_batch_with_any_number_of_tokens_and_in_the_tail(
    loss_fn, reduction
):
    batches = padded_batches()
    windows = accumulated(batches, loss_fn, reduction=reduction)
    assert len(windows) == 3
    for place, (found, loss) in enumerate(windows):
        expected, expected_loss = large_batch_gradient(batches[3 * place : 3 * place + 3])
        assert relative(found, expected) <= 1e-6
        assert loss == pytest.approx(expected_loss, rel=1e-6)


def test_the_mean_of_means_would_overweight_short_sequences():
    batches = padded_batches([1, 12, 1])
    expected, _ = large_batch_gradient(batches)
    model = language_model()
    for batch in batches:
        (mean_loss(model, batch) / 3).backward()
    assert relative(gradient(model), expected) > 0.1
    assert relative(accumulated(batches)[0][0], expected) <= 1e-6


def test_clipping_each_microbatch_is_not_clipping_the_window():
    batches = padded_batches(ROWS[:3])
    model = language_model()
    (window,) = accumulate(batches, 3, count=num_tokens)
    for batch in window:
        window.backward(mean_loss(model, batch))
    assert relative(gradient(model), large_batch_gradient(batches)[0]) <= 1e-6
    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    assert float(norm) == pytest.approx(float(large_batch_gradient(batches)[0].norm()), rel=1e-5)
    for parameter in model.parameters():
        parameter.grad = None
    for batch in window:
        window.backward(mean_loss(model, batch))
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    small = large_batch_gradient(batches)[0]
    assert relative(gradient(model), small * 0.01 / small.norm()) > 1e-3


def test_a_microbatch_of_padding_only_does_not_poison_the_window():
    batches = padded_batches(ROWS[:3])
    nothing = (batches[0][0], torch.full_like(batches[0][1], PADDING))
    ((found, loss),) = accumulated([batches[0], nothing, batches[1]])
    assert relative(found, large_batch_gradient(batches[:2])[0]) <= 1e-6
    assert math.isfinite(loss)


def test_a_window_of_padding_only_is_passed_over():
    tokens = torch.zeros(2, 9, dtype=torch.long)
    nothing = (tokens, torch.full_like(tokens, PADDING))
    assert len(accumulated([nothing] * 3 + padded_batches(ROWS[:2]))) == 1


def test_rows_are_counted_where_nothing_else_is_said():
    batches = [{"x": torch.ones(n, 2), "y": 0} for n in (3, 1)]
    (window,) = accumulate(batches, 2)
    assert window.num_items == 4
    weight = torch.ones(2, requires_grad=True)
    for batch in window:
        window.backward((batch["x"] @ weight).mean())
    assert torch.equal(weight.grad, torch.ones(2))


def test_the_length_counts_the_tail_window():
    assert len(accumulate([torch.ones(1)] * 7, 3)) == 3


def test_every_pass_over_a_list_gives_the_windows_again():
    windows = accumulate([torch.ones(1)] * 3, 2)
    assert [len(w) for w in windows] == [len(w) for w in windows] == [2, 1]


def test_a_generator_consumed_twice_is_an_error_and_not_an_empty_epoch():
    windows = accumulate((torch.ones(1) for _ in range(3)), 2)
    assert len(list(windows)) == 2
    with pytest.raises(UsageError, match="a generator that was read before"):
        next(iter(windows))


def test_a_used_up_generator_is_an_error():
    empty = iter(())
    with pytest.raises(UsageError, match="a whole pass gave none"):
        list(accumulate(empty, 2))


def test_a_forgotten_window_backward_is_noticed():
    (window,) = accumulate([torch.ones(1)], 1)
    with pytest.raises(UsageError, match="called 0 times for 1"):
        for _ in window:
            pass


@pytest.mark.parametrize(
    ("batches", "options", "match"),
    [
        ([], {}, "length 0"),
        (3, {}, "got int"),
        ([1], {"size": 0}, "got 0"),
        ([1], {"size": True}, "got True"),
        ([1], {"size": 2.0}, "got 2.0"),
        ([1], {"reduction": "none"}, "got 'none'"),
        ([1], {"count": 5}, "got int"),
    ],
)
def test_refuses_at_construction_what_cannot_be_meant(batches, options, match):
    with pytest.raises(UsageError, match=match):
        accumulate(batches, **{"size": 2} | options)


@pytest.mark.parametrize("wrong", [-1, 0.5, math.nan, math.inf, "3", torch.ones(2)])
def test_refuses_a_count_that_is_no_number_of_items(wrong):
    with pytest.raises(UsageError, match=r"accumulate\(count\) returned"):
        next(iter(accumulate([torch.ones(1)], 1, count=lambda batch: wrong)))


def test_refuses_to_guess_the_items_of_a_batch_without_tensors():
    with pytest.raises(UsageError, match="give count="):
        next(iter(accumulate([{"text": "hello"}], 1)))


def test_batch_statistics_of_microbatches_are_not_silent():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with pytest.warns(RuntimeWarning, match=r"4 times per step. Set momentum=0.026"):
        accumulate([torch.ones(1)], 4, model=model)
    accumulate([torch.ones(1)], 4, model=model.eval())
    accumulate([torch.ones(1)], 1, model=model.train())


def test_the_momentum_it_names_remembers_as_many_steps_as_one_large_batch():
    slow, plain = nn.BatchNorm1d(1, momentum=0.026), nn.BatchNorm1d(1, momentum=0.1)
    for _ in range(10):
        plain(torch.ones(2, 1))
        for _ in range(4):
            slow(torch.ones(2, 1))
    assert float(slow.running_mean) == pytest.approx(float(plain.running_mean), abs=0.01)


def test_half_precision_shares_do_not_underflow():
    weight = torch.ones((), requires_grad=True)
    (window,) = accumulate([torch.ones(1)] * 2, 2, count=lambda batch: 60_000)
    for _ in window:
        window.backward((weight * 1e-7).half())
    assert float(window.loss) == pytest.approx(float(torch.tensor(1e-7).half()))


def test_a_loss_scale_reaches_the_gradient_and_not_the_loss():
    weight = torch.ones(1, requires_grad=True)
    (window,) = accumulate([torch.ones(1)] * 2, 2)
    for _ in window:
        window.backward(3 * weight.sum(), scale=lambda loss: 8 * loss)
    assert weight.grad.item() == 24
    assert window.loss.item() == 3


@pytest.fixture
def one_rank():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_ddp_synchronises_the_last_microbatch_only(one_rank):
    model = DistributedDataParallel(language_model())
    calls = []

    def hook(state, bucket):
        calls.append(bucket.index())
        done = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    model.register_comm_hook(None, hook)
    batches = padded_batches(ROWS[:3])
    (window,) = accumulate(batches, 3, count=num_tokens, model=model)
    for batch in window:
        assert calls == []
        window.backward(mean_loss(model, batch))
    assert calls == [0]
    assert relative(gradient(model), large_batch_gradient(batches)[0]) <= 1e-6


class Sharded(nn.Linear):
    """What FSDP2 adds to a module, recorded."""

    def __init__(self):
        super().__init__(2, 1)
        self.said = []

    def set_requires_gradient_sync(self, wanted):
        self.said.append(wanted)


def test_fsdp2_synchronises_the_last_microbatch_only(one_rank):
    model = Sharded()
    (window,) = accumulate([torch.ones(1, 2)] * 3, 3, model=model)
    for batch in window:
        window.backward(model(batch).sum())
    assert model.said == [False, True, False, True]


def test_a_wrapper_without_ranks_is_a_plain_model():
    model = Sharded()
    (window,) = accumulate([torch.ones(1, 2)] * 2, 2, model=model)
    for batch in window:
        window.backward(model(batch).sum())
    assert model.said == []


def train_on_rank(rank, path, batches):
    store = dist.FileStore(path, 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    model = DistributedDataParallel(language_model())
    own = batches[rank::2]
    for window in accumulate(own, 4, count=num_tokens, model=model):
        for batch in window:
            window.backward(mean_loss(model, batch))
        found = gradient(model)
    expected, expected_loss = large_batch_gradient(batches)
    mean = window.loss.clone()
    dist.all_reduce(mean)
    assert relative(found, expected) <= 1e-6
    assert float(mean) / 2 == pytest.approx(expected_loss, rel=1e-6)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_with_different_token_counts_are_one_large_batch(tmp_path):
    batches = padded_batches()
    nothing = torch.full_like(batches[2][1], PADDING)
    batches[2] = (batches[2][0], nothing)
    mp.spawn(train_on_rank, args=(str(tmp_path / "store"), batches), nprocs=2)
