"""Many tensors, many steps: the work stays in proportion, and the memory where it is."""

import pytest
import torch
from torch import nn
from watched_runs import seed_all
from watched_zoo import mlp

import steadytrain as st
from steadytrain.watching.optimizers import WatchedOptimizer
from steadytrain.watching.sites import ParameterSites

READS = ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy")


class Wide(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(number // 2))

    def forward(self, x):
        return sum(layer(x).sum() for layer in self.layers)


def many(number):
    model = Wide(number)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def step(model, optimizer):
    model(torch.ones(1, 2)).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.slow
def test_ten_thousand_tensors_are_watched():
    model, optimizer = many(10_000)
    watch = st.watch(model, optimizer, every=1, flush_every=1)
    for _ in range(3):
        step(model, optimizer)
    watch.close()
    assert watch.history.window("grad_norm").shape == (3, 10_000)
    assert (watch.history.window("update_norm") > 0).all()
    assert len(watch.history.sites("act_rms")) == 5_000
    assert not [f for f in watch.findings() if f.rule == "broken-probe"]


@pytest.mark.parametrize("number", [4, 400])
def test_the_calls_of_torch_between_samples_do_not_grow_with_the_tensors(number):
    model, optimizer = many(number)
    with st.watch(model, optimizer, every=1000, flush_every=1000) as watch:
        step(model, optimizer)
        model(torch.ones(1, 2)).backward()
        with torch.profiler.profile() as profile:
            watch.clip_grad_norm_(1e9)
            optimizer.step()
    bare_model, bare_optimizer = many(number)
    step(bare_model, bare_optimizer)
    bare_model(torch.ones(1, 2)).backward()
    with torch.profiler.profile() as bare:
        nn.utils.clip_grad_norm_(bare_model.parameters(), 1e9)
        bare_optimizer.step()

    def calls(events):
        names = ("aten::cat", "aten::stack", "aten::_foreach_norm", "aten::item", "aten::_local_scalar_dense")  # fmt: skip
        return {name: sum(e.count for e in events.key_averages() if e.key == name) for name in names}  # fmt: skip

    watched, plain = calls(profile), calls(bare)
    assert all(watched[name] <= plain[name] + 8 for name in watched), (watched, plain)


def scale_as_on_a_device(params, max_norm, total, factor, error_if_nonfinite, foreach):
    nn.utils.clip_grads_with_norm_(params, max_norm, total, foreach)


def test_only_a_flush_reads_a_number_from_a_tensor_where_it_would_wait_for_a_device(monkeypatch):
    """The two places that do more on a CPU, the alarm and an idle clip, do what they do elsewhere.

    This counts the reads that Python makes; copies inside torch's operators, and the optimizer's
    own, are not seen by it. It is no substitute for `torch.cuda.set_sync_debug_mode`.
    """
    seed_all()
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    watch = st.watch(model, optimizer, flush_every=100, every=2)
    reads = []

    def spied(name, original):
        def read(self, *args, **kwargs):
            reads.append(name)
            return original(self, *args, **kwargs)

        return read

    for _ in range(4):
        loss = model(torch.randn(6, 8)).square().sum()
        loss.backward()
        with monkeypatch.context() as patch:
            for name in READS:
                patch.setattr(torch.Tensor, name, spied(name, getattr(torch.Tensor, name)))
            patch.setattr("steadytrain.watching.alarm.Alarm.check", lambda *args, **options: None)
            patch.setattr("steadytrain.watching.clipping.scale_by", scale_as_on_a_device)
            watch.clip_grad_norm_(0.1)
            optimizer.step()
            watch.log(loss=loss)
        optimizer.zero_grad()
    assert reads == []
    watch.close()
    assert watch.history.step == 3


def test_a_large_models_samples_stay_below_two_percent_of_it():
    model = nn.Sequential(*[nn.Linear(1200, 1200, bias=False) for _ in range(60)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watched = WatchedOptimizer(optimizer, ParameterSites({"": model}, [optimizer]))
    watched.remember()
    held = sum(s.before.nbytes + s.after.nbytes for s in watched._samples)
    assert held <= 0.02 * sum(param.nbytes for param in model.parameters())


@pytest.mark.slow
def test_the_memory_of_a_long_run_is_bounded():
    seed_all()
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sizes = []
    with st.watch(model, optimizer, every=50) as watch:
        for number in range(5000):
            model.weight.grad = torch.ones(1, 2)
            optimizer.step()
            if number in (2500, 4999):
                watch.flush()
                sizes.append(watch.history.num_bytes)
    assert sizes[1] <= sizes[0] * 1.01
