"""Where non-finite values come from, and that looking for it changes nothing."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from watched_runs import equal, everything, seed_all

import steadytrain as st

NAN, INF = float("nan"), float("inf")


class Faulty(nn.Module):
    """Three layers; `fault` says what goes wrong between or inside them."""

    def __init__(self, fault=""):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.act = Logarithm() if fault == "inside a module" else nn.Tanh()
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(4, 1)
        self.fault = fault

    def forward(self, x):
        hidden = self.drop(self.act(self.norm(self.first(x))))
        if self.fault == "between modules":
            hidden = hidden / 0.0 * 0.0
        out = self.last(hidden)
        if self.fault == "backward only":
            out = (out - out.detach()).square().sum(1).sqrt()
        return out


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x * 0.0) * 0.0


def run(fault, *, steps=1, watched=True, model=None, batch=None, scale=1.0, **options):
    seed_all()
    model = model or Faulty(fault)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer, **options) if watched else None
    for _ in range(steps):
        loss = model(torch.randn(8, 4) if batch is None else batch).square().mean() * scale
        if fault == "backward only":
            loss = model(torch.randn(8, 4)).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if watch:
            watch.log(loss=loss)
    if watch:
        watch.close()
        assert not [f for f in watch.findings() if f.rule == "broken-probe"]
    return everything([model], [optimizer]), watch


def counts(watch, stat, row=0):
    values = watch.history.window(stat)[row]
    return dict(zip(watch.history.sites(stat), values.tolist(), strict=True))


def first_bad(watch, stat="act_num_nonfinite"):
    return next((name for name, count in counts(watch, stat).items() if count > 0), None)


def test_a_bad_batch_is_bad_before_the_first_module():
    batch = torch.randn(8, 4)
    batch[2, 1], batch[5, 0] = NAN, INF
    _, watch = run("", batch=batch)
    assert watch.history.series("batch_num_nonfinite")[0] == 2
    assert counts(watch, "input_num_nonfinite")["first"] == 2
    assert first_bad(watch) == "first"
    assert not watch.history.window("param_num_nonfinite_at_rest").any()


def test_a_bad_weight_is_found_at_rest():
    model = Faulty()
    with torch.no_grad():
        model.last.weight[0, 3] = NAN
    _, watch = run("", model=model)
    assert watch.history.series("batch_num_nonfinite")[0] == 0
    at_rest = counts(watch, "param_num_nonfinite_at_rest")
    assert [name for name, count in at_rest.items() if count] == ["last.weight"]
    assert at_rest["last.weight"] == 1
    assert first_bad(watch) == "last"


def test_the_module_in_which_it_is_born_has_a_finite_input():
    _, watch = run("inside a module")
    assert first_bad(watch) == "act"
    assert counts(watch, "input_num_nonfinite")["act"] == 0
    assert counts(watch, "act_num_nonfinite")["act"] == 32
    assert counts(watch, "act_num_nonfinite")["norm"] == 0


def test_between_two_modules_the_input_is_bad_and_every_output_before_is_not():
    _, watch = run("between modules")
    assert first_bad(watch, "input_num_nonfinite") == "last"
    assert first_bad(watch) == "last"


def test_a_fault_of_the_backward_alone_leaves_every_output_finite():
    _, watch = run("backward only")
    assert first_bad(watch) is None
    assert counts(watch, "act_num_nonfinite")["last"] == 0
    assert watch.history.window("grad_num_nonfinite")[0].sum() > 0
    assert watch.history.series("loss_num_nonfinite")[0] == 0


def test_an_infinite_loss_is_counted_and_no_value():
    _, watch = run("", scale=INF)
    assert watch.history.series("loss_num_nonfinite")[0] == 1
    assert "loss" not in watch.history
    assert first_bad(watch) is None


def test_modules_stand_in_order_of_execution():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.b = nn.Linear(4, 1)
            self.a = nn.Linear(4, 4)

        def forward(self, x):
            return self.b(self.a(x))

    _, watch = run("", model=Backwards(), scale=INF)
    assert watch.history.sites("act_num_nonfinite") == ("a", "b")


def test_inputs_by_keyword_are_counted():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return self.inner(values=x / 0.0 * 0.0)

    class Inner(nn.Linear):
        def __init__(self):
            super().__init__(4, 1)

        def forward(self, *, values):
            return super().forward(values)

    _, watch = run("", model=Keyword())
    assert counts(watch, "input_num_nonfinite")["inner"] == 32


class Stateful(nn.Module):
    """Everything a forward may change: generators, buffers in place and exchanged, weights."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4, max_norm=0.5)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(4, 1)
        self.register_buffer("exchanged", torch.zeros(4))
        self.register_buffer("written", torch.zeros(4))

    def forward(self, x):
        hidden = self.drop(self.norm(self.embed(x)))
        self.exchanged = 0.9 * self.exchanged + hidden.detach().mean(0)
        self.written.data.mul_(0.5).add_(random.random() + np.random.rand())
        self.last.weight.data.mul_(0.99)
        return self.last(hidden + self.exchanged)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_second_look_leaves_no_trace(steps):
    states = []
    for watched in (False, True):
        seed_all()
        tokens = torch.tensor([1, 2, 3, 3])
        state, _ = run("", steps=steps, watched=watched, model=Stateful(), batch=tokens, scale=INF)
        states.append(state)
    assert equal(*states)


def test_the_second_look_puts_back_what_a_forward_writes_into_trained_weights():
    weights = []
    for watched in (False, True):
        seed_all()
        model = Stateful()
        model.alone = nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch = st.watch(model, optimizer) if watched else None
        (model(torch.tensor([1, 2, 3, 3])).sum() + model.alone.sum() * INF).backward()
        optimizer.step()
        weights.append(model.last.weight.detach().clone())
        if watch:
            watch.close()
            assert counts(watch, "act_num_nonfinite")["last"] == 0
    assert weights[0].isfinite().all()
    assert torch.equal(*weights)


def test_a_graph_that_is_still_to_be_differentiated_survives_the_second_look():
    seed_all()
    generator, critic = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (generator, critic)]
    watch = st.watch([generator, critic], optimizers)
    fake = generator(torch.randn(8, 4))
    (critic(fake.detach()).mean() * INF).backward()
    optimizers[1].step()
    fake.sum().backward()
    optimizers[0].step()
    watch.close()
    assert "act_num_nonfinite" in watch.history


def test_a_model_that_cannot_run_twice_loses_only_the_origin():
    class Once(Faulty):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 1:
                raise ValueError("once only")
            return super().forward(x)

    seed_all()
    model = Once()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer)
    (model(torch.randn(8, 4)).sum() * INF).backward()
    optimizer.step()
    watch.close()
    parts = [f.evidence["part"] for f in watch.findings() if f.rule == "broken-probe"]
    assert parts == ["second look"]
    assert watch.history.window("grad_num_nonfinite").sum() > 0
    assert {"update_norm", "param_num_nonfinite_at_rest"} <= set(watch.history.stats)


def test_finite_but_huge_gradients_are_no_nonfinite_ones_however_long_they_last():
    seed_all()
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer)
    for _ in range(6):
        model.weight.grad = torch.full((1, 4), 1e25)
        total = watch.clip_grad_norm_(1.0)
        optimizer.step()
    watch.close()
    assert total.isinf()
    assert watch.history.window("grad_norm").tolist() == pytest.approx(np.full((6, 1), 2e25))
    assert not (watch.history.window("grad_num_nonfinite") > 0).any()
    assert watch.history.series("grad_norm_total") == pytest.approx(np.full(6, 2e25))
    assert watch.history.series("clip_coefficient").tolist() == [0.0] * 6


def test_one_bad_element_is_counted_as_one():
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer)
    model.weight.grad, model.bias.grad = torch.ones(2, 4), torch.tensor([NAN, INF])
    optimizer.step()
    watch.close()
    assert watch.history.window("grad_num_nonfinite").tolist() == [[0, 2]]
    assert "grad_norm_total" not in watch.history


def test_the_last_batch_is_not_held_after_the_step():
    import weakref

    model = Faulty()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer)
    batch = torch.randn(8, 4)
    gone = weakref.ref(batch)
    model(batch).sum().backward()
    optimizer.step()
    del batch
    assert gone() is None
    watch.close()


def test_a_validation_between_two_steps_is_not_taken_for_a_training_step():
    seed_all()
    model = Faulty()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer, every=1)
    for _ in range(2):
        model(torch.ones(8, 4)).sum().backward()
        optimizer.step()
        with torch.no_grad():
            model(torch.full((8, 4), 1e6))
    watch.close()
    firsts = watch.history.window("act_max")[:, list(watch.history.sites("act_max")).index("first")]
    assert firsts[0] == firsts[1] < 100
