"""Every number in the history is what an independent computation gives."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from watched_runs import seed_all
from watched_zoo import cnn, mlp

import steadytrain as st


def value(history, stat, site, step=-1):
    return history.window(stat)[step, history.sites(stat).index(site)]


@pytest.fixture(params=[mlp, cnn], ids=["mlp", "cnn"])
def recorded(request):
    """Three steps, and what a person would note down beside them."""
    seed_all()
    model = request.param()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    watch, notes = st.watch(model, optimizer, every=1), []
    for step in range(3):
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        shape = (6, 8) if request.param is mlp else (6, 1, 8, 8)
        F.cross_entropy(model(torch.randn(shape)), torch.arange(6) % 4).backward()
        grads = {name: p.grad.double().clone() for name, p in model.named_parameters()}
        before = {name: p.detach().double().clone() for name, p in model.named_parameters()}
        watch.clip_grad_norm_(0.25)
        optimizer.step()
        after = {name: p.detach().double().clone() for name, p in model.named_parameters()}
        notes.append((grads, before, after))
        optimizer.zero_grad()
    watch.close()
    return watch.history, notes


PER_PARAMETER = {
    "grad_norm": lambda grad, before, after: grad.norm(),
    "grad_rms": lambda grad, before, after: grad.square().mean().sqrt(),
    "grad_max": lambda grad, before, after: grad.abs().max(),
    "grad_zero_fraction": lambda grad, before, after: (grad == 0).double().mean(),
    "param_norm": lambda grad, before, after: after.norm(),
    "update_norm": lambda grad, before, after: (after - before).norm(),
    "update_ratio": lambda grad, before, after: (after - before).norm() / after.norm(),
}


@pytest.mark.parametrize("stat", PER_PARAMETER)
def test_of_a_parameter(recorded, stat):
    history, notes = recorded
    for step, (grads, before, after) in enumerate(notes):
        for name in grads:
            expected = PER_PARAMETER[stat](grads[name], before[name], after[name]).item()
            found = value(history, stat, name, step)
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-9), name


def test_of_all_gradients_together(recorded):
    history, notes = recorded
    for step, (grads, _, _) in enumerate(notes):
        total = math.sqrt(sum(grad.square().sum().item() for grad in grads.values()))
        factor = min(1.0, 0.25 / (total + 1e-6))
        assert history.series("grad_norm_total")[step] == pytest.approx(total, rel=1e-5)
        assert history.series("clip_coefficient")[step] == pytest.approx(factor, rel=1e-5)
        assert history.series("grad_norm_clipped")[step] == pytest.approx(total * factor, rel=1e-5)


def test_of_the_loop(recorded):
    history, _ = recorded
    assert history.window("learning_rate")[:, 0] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert history.series("num_microbatches").tolist() == [1, 1, 1]
    assert history.series("max_grad_norm").tolist() == [0.25] * 3
    assert history.series("training_mode").tolist() == [1, 1, 1]
    assert history.series("stale_grad_fraction")[1:].tolist() == [0, 0]
    assert history.window("in_optimizer")[0].tolist() == [1.0] * len(history.sites("in_optimizer"))
    seconds, inside = history.series("step_seconds")[1:], history.series("watch_seconds")[1:]
    assert (seconds > inside).all()
    assert (inside > 0).all()
    assert history.measured("memory_bytes")[1].min() > 1e7


def test_healthy_numbers_are_in_no_nonfinite_count(recorded):
    history, _ = recorded
    assert not [stat for stat in history.stats if "nonfinite" in stat and history.window(stat)[0].any() > 0]  # fmt: skip


def test_of_an_activation():
    seed_all()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4), nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch, batch = st.watch(model, optimizer), torch.randn(32, 8) * 10
    outputs = {}
    for name, module in model.named_children():
        batch = module(batch)
        outputs[name] = batch.detach().double()
    model(torch.randn(32, 8))
    watch.close()
    seed_all()
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4), nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer)
    batch = torch.randn(32, 8) * 10
    model(batch).sum().backward()
    optimizer.step()
    watch.close()
    for name, out in outputs.items():
        expected = {
            "act_mean": out.mean(),
            "act_std": out.std(correction=0),
            "act_rms": out.square().mean().sqrt(),
            "act_max": out.abs().max(),
            "act_zero_fraction": (out == 0).double().mean(),
        }
        for stat, number in expected.items():
            assert value(watch.history, stat, name, 0) == pytest.approx(number.item(), rel=1e-4, abs=1e-6)  # fmt: skip
    saturated = (outputs["3"].abs() > 0.98).double().mean().item()
    assert value(watch.history, "saturated_fraction", "3", 0) == pytest.approx(saturated)
    assert np.isnan(value(watch.history, "saturated_fraction", "1", 0))


def test_a_unit_is_dead_when_no_input_of_the_window_wakes_it():
    seed_all()
    model = nn.Sequential(nn.Linear(8, 10), nn.ReLU(), nn.Linear(10, 2))
    with torch.no_grad():
        model[0].bias[:3] = -1e6
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer, every=1)
    for _ in range(3):
        model(torch.randn(128, 8)).sum().backward()
        optimizer.step()
    watch.close()
    steps, rows = watch.history.measured("dead_fraction")
    assert steps.tolist() == [2]
    assert rows[0, watch.history.sites("dead_fraction").index("1")] == pytest.approx(0.3)
    assert value(watch.history, "input_dead_fraction", "2", 2) == pytest.approx(0.3)
    assert value(watch.history, "act_zero_fraction", "1", 0) > 0.4


def test_a_healthy_rectifier_has_no_dead_unit_though_half_of_it_is_zero():
    seed_all()
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer, every=1)
    for _ in range(3):
        model(torch.randn(100, 1, 8, 8)).sum().backward()
        optimizer.step()
    watch.close()
    assert value(watch.history, "dead_fraction", "1", 2) == 0
    assert 0.2 < value(watch.history, "act_zero_fraction", "1", 0) < 0.8


def test_the_unit_of_a_linear_layer_is_its_last_dimension():
    seed_all()
    model = nn.Sequential(nn.Linear(5, 6), nn.Sigmoid(), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = st.watch(model, optimizer, every=1)
    mask = torch.tensor([1.0, 1, 1, 0, 0, 0])
    model[1].register_forward_hook(lambda module, inputs, output: output * mask)
    for _ in range(3):
        model(torch.randn(100, 2, 3, 5)).sum().backward()
        optimizer.step()
    watch.close()
    assert value(watch.history, "input_dead_fraction", "2", 2) == pytest.approx(0.5)


def test_a_rectifier_of_one_number_breaks_nothing():
    class Hinge(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.relu = nn.Linear(4, 1), nn.ReLU()

        def forward(self, x):
            return self.relu(1 - self.linear(x).mean())

    model = Hinge()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer, every=1)
    for _ in range(4):
        model(torch.randn(3, 4)).backward()
        optimizer.step()
    watch.close()
    assert not [f for f in watch.findings() if f.rule == "broken-probe"]
    assert value(watch.history, "act_mean", "relu", 0) > 0


def loop(step_of, *, steps=4, **options):
    seed_all()
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    watch = st.watch(model, optimizer, **options)
    for step in range(steps):
        step_of(model, optimizer, step)
    watch.close()
    return watch.history


def backward(model):
    model(torch.randn(6, 8)).square().sum().backward()


def test_a_missing_zero_grad_leaves_every_gradient_stale():
    def step_of(model, optimizer, step):
        backward(model)
        optimizer.step()

    assert loop(step_of).series("stale_grad_fraction")[1:].tolist() == [1, 1, 1]


@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_cleared_gradients_are_not_stale(set_to_none, before):
    def step_of(model, optimizer, step):
        if before:
            optimizer.zero_grad(set_to_none=set_to_none)
        backward(model)
        optimizer.step()
        if not before:
            optimizer.zero_grad(set_to_none=set_to_none)

    assert loop(step_of).series("stale_grad_fraction")[1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("set_to_none", [True, False])
def test_accumulated_gradients_are_not_stale(set_to_none):
    def step_of(model, optimizer, step):
        optimizer.zero_grad(set_to_none=set_to_none)
        for _ in range(3):
            backward(model)
        optimizer.step()

    history = loop(step_of)
    assert history.series("stale_grad_fraction")[1:].tolist() == [0, 0, 0]
    assert history.series("num_microbatches").tolist() == [3, 3, 3, 3]


def test_gradients_that_pass_through_another_model_are_not_stale():
    seed_all()
    generator, critic = mlp(), nn.Linear(4, 1)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (generator, critic)]
    watch = st.watch([generator, critic], optimizers)
    for _ in range(4):
        critic.zero_grad()
        fake = generator(torch.randn(6, 8))
        (critic(fake.detach()).mean() - critic(torch.randn(6, 4)).mean()).backward()
        optimizers[1].step()
        generator.zero_grad()
        (-critic(fake).mean()).backward()
        optimizers[0].step()
    watch.close()
    assert watch.history.series("stale_grad_fraction")[1:].tolist() == [0, 0, 0]


def test_norms_under_a_scaler_are_those_without_it():
    norms = []
    for enabled in (False, True):
        for unscale in (False, True):
            for fused in (False, True):
                seed_all()
                model = mlp()
                optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
                scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, enabled=enabled)
                watch = st.watch(model, optimizer, scaler=scaler, every=1)
                for _ in range(3):
                    loss = model(torch.randn(6, 8)).square().sum()
                    scaler.scale(loss).backward()
                    if unscale:
                        scaler.unscale_(optimizer)
                    if fused or unscale:  # torch unscales by itself, after our clip, otherwise
                        watch.clip_grad_norm_(1e9)
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad()
                watch.close()
                norms.append(watch.history.window("grad_norm"))
                if enabled:
                    assert watch.history.series("loss_scale").tolist() == [2.0**12] * 3
                largest = watch.history.window("grad_max")
                assert (largest <= norms[-1] * 1.001).all()
    assert all(np.allclose(norms[0], other, rtol=1e-4) for other in norms[1:])


@pytest.mark.parametrize("fused", [False, True])
def test_a_skipped_step_is_marked_and_moves_nothing(fused):
    seed_all()
    model = mlp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
    watch = st.watch(model, optimizer, scaler=scaler)
    for step in range(4):
        scaler.scale(model(torch.randn(6, 8)).sum() * (math.inf if step == 2 else 1)).backward()
        if not fused:
            scaler.unscale_(optimizer)
            watch.clip_grad_norm_(1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    watch.close()
    skipped = np.nan_to_num(watch.history.series("step_skipped"))
    assert skipped.tolist() == [0, 0, 1, 0]
    assert watch.history.series("loss_scale").tolist() == [16, 16, 16, 8]
    moved = np.nan_to_num(watch.history.window("update_norm"))
    assert [bool(row.any()) for row in moved] == [True, True, False, True]


@pytest.mark.parametrize("lr", [0.1, 1e-5])
def test_lost_updates_are_the_elements_that_stayed_though_they_had_a_gradient(lr):
    seed_all()
    model = nn.Linear(64, 64, dtype=torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    watch = st.watch(model, optimizer, every=1)
    model(torch.randn(8, 64, dtype=torch.bfloat16)).square().sum().backward()
    model.weight.grad[:32] = 0
    before = model.weight.detach().clone()
    optimizer.step()
    watch.close()
    wanted = model.weight.grad != 0
    lost = (wanted & (model.weight == before)).sum() / wanted.sum()
    assert value(watch.history, "lost_update_fraction", "weight") == pytest.approx(lost.item())
    assert (lost > 0.9) == (lr == 1e-5)


def test_full_precision_loses_no_update():
    def step_of(model, optimizer, step):
        backward(model)
        optimizer.step()

    assert "lost_update_fraction" not in loop(step_of, every=1).stats


def test_a_low_precision_gradient_of_another_layout_breaks_nothing():
    model = nn.Linear(8, 4, dtype=torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer, every=1)
    model.weight.grad = torch.ones(1, 1, dtype=torch.bfloat16).expand(4, 8)
    model.bias.grad = torch.ones(4, dtype=torch.bfloat16)
    optimizer.step()
    watch.close()
    assert not [f for f in watch.findings() if f.rule == "broken-probe"]
    assert value(watch.history, "grad_norm", "weight") == pytest.approx(32**0.5)


def test_complex_parameters_count_both_parts():
    model = nn.ParameterList([nn.Parameter(torch.tensor([3 + 4j, 0j]))])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    watch = st.watch(model, optimizer, every=1)
    model[0].grad = torch.tensor([1 + 2j, 2 + 0j])
    optimizer.step()
    watch.close()
    assert value(watch.history, "grad_norm", "0") == pytest.approx(3.0)
    assert value(watch.history, "update_norm", "0") == pytest.approx(3.0)
    assert value(watch.history, "param_norm", "0") == pytest.approx(12**0.5)


def test_a_large_model_is_sampled_within_five_percent():
    seed_all()
    model = nn.Sequential(nn.Linear(1500, 1500), nn.Linear(1500, 1000))
    for name, optimizer in {
        "sgd": torch.optim.SGD(model.parameters(), lr=0.1),
        "adamw": torch.optim.AdamW(model.parameters(), lr=1e-3),
    }.items():
        watch = st.watch(model, optimizer)
        model(torch.randn(4, 1500)).square().mean().backward()
        before = [p.detach().double().clone() for p in model.parameters()]
        optimizer.step()
        watch.close()
        for place, param in enumerate(model.parameters()):
            update = (param.detach().double() - before[place]).norm().item()
            found = watch.history.window("update_norm")[0, place]
            assert found == pytest.approx(update, rel=0.05), (name, place)
            norm = param.detach().double().norm().item()
            assert watch.history.window("param_norm")[0, place] == pytest.approx(norm, rel=1e-4)
        optimizer.zero_grad()


def test_frozen_parameters_are_no_ones_and_move_nowhere():
    seed_all()
    model = mlp()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    watch = st.watch(model, optimizer)
    backward(model)
    optimizer.step()
    watch.close()
    assert np.isnan(watch.history.window("grad_norm")[0, :2]).all()
    assert np.isnan(watch.history.window("in_optimizer")[0, :2]).all()
    assert watch.history.window("in_optimizer")[0, 2:].tolist() == [1, 1]


def test_a_model_that_is_used_by_its_methods_is_measured_from_the_second_sample_on(monkeypatch):
    monkeypatch.setattr("steadytrain.watching.forward._anything_is_compiled", lambda: False)

    class Methods(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def encode(self, x):
            return self.linear(x)

    model = Methods()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer, every=2)
    for _ in range(5):
        model.encode(torch.randn(3, 4)).sum().backward()
        optimizer.step()
    watch.close()
    assert watch.history.measured("act_rms")[0].tolist() == [2, 4]
