"""Attaching and detaching, copies of what is watched, wrong arguments, programs that just end."""

import copy
import logging
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from watched_runs import seed_all
from watched_zoo import cnn, mlp

import steadytrain as st
from steadytrain.core.errors import UsageError
from steadytrain.store.reader import read_run


@pytest.fixture
def model():
    seed_all()
    return mlp()


@pytest.fixture
def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def step(model, optimizer):
    model(torch.randn(4, 8)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def hooks(model, optimizer):
    """Every place where a hook may hang, with what hangs there."""
    names = [name for name in vars(nn.Module()) if "hooks" in name]
    found = [dict(getattr(module, name)) for module in model.modules() for name in names]
    found += [dict(param._backward_hooks or {}) for param in model.parameters()]
    found += [list(param._post_accumulate_grad_hooks or []) for param in model.parameters()]
    found += [dict(getattr(optimizer, n)) for n in vars(optimizer) if n.endswith("hooks")]
    return found


@pytest.mark.parametrize("when", ["at once", "while sampling", "between samples"])
def test_close_leaves_no_hook_behind(model, optimizer, when):
    mine = model.register_forward_hook(lambda *args: None)
    before = hooks(model, optimizer)
    watch = st.watch(model, optimizer, every=2)
    assert hooks(model, optimizer) != before
    for _ in range({"at once": 0, "while sampling": 2, "between samples": 3}[when]):
        step(model, optimizer)
    watch.close()
    assert hooks(model, optimizer) == before
    mine.remove()


def test_a_second_close_does_nothing_and_the_loop_goes_on(model, optimizer):
    watch = st.watch(model, optimizer)
    step(model, optimizer)
    watch.close()
    watch.close()
    step(model, optimizer)
    watch.log(loss=1.0)
    (model(torch.randn(4, 8)).sum()).backward()
    assert watch.clip_grad_norm_(0.1) > 0
    assert (watch.history.step, watch.step) == (0, 1)


def test_the_context_closes_and_lets_the_users_error_pass(model, optimizer, tmp_path):
    def loop():
        with st.watch(model, optimizer, run_dir=tmp_path / "run") as watch:
            for number in range(5):
                step(model, optimizer)
                watch.log(loss=1 / (3 - number))

    before = hooks(model, optimizer)
    with pytest.raises(ZeroDivisionError):
        loop()
    assert hooks(model, optimizer) == before
    saved = read_run(tmp_path / "run")
    assert saved.history.series("loss").tolist()[:3] == [1 / 3, 1 / 2, 1]
    assert saved.history.step == 3
    assert not saved.missing


def test_the_loss_of_a_step_that_never_came_is_not_lost(model, optimizer):
    watch = st.watch(model, optimizer)
    for number in range(4):
        loss = model(torch.randn(4, 8)).sum() * (float("nan") if number == 3 else 1)
        watch.log(loss=loss)
        if torch.isfinite(loss):
            loss.backward()
            optimizer.step()
    watch.close()
    assert watch.history.series("loss_num_nonfinite").tolist() == [0, 0, 0, 1]
    assert watch.step == 3


def test_two_watches_see_the_same_and_part_in_peace(model, optimizer):
    first, second = st.watch(model, optimizer, every=1), st.watch(model, optimizer, every=1)
    for _ in range(3):
        step(model, optimizer)
    first.close()
    step(model, optimizer)
    second.close()
    assert (first.history.step, second.history.step) == (2, 3)
    for stat in ("grad_norm", "update_norm", "act_rms"):
        assert np.array_equal(first.history.window(stat), second.history.window(stat)[:3])


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("sampling", [True, False])
def test_copies_do_not_feed_the_watch(model, optimizer, copier, sampling):
    watch = st.watch(model, optimizer, every=2)
    for _ in range(2 if sampling else 3):
        step(model, optimizer)
    twin, twin_optimizer = copier((model, optimizer))
    rows = watch.step
    for _ in range(4):
        step(twin, twin_optimizer)
    watch.close()
    assert watch.step == rows
    assert watch.history.step == rows - 1
    assert not torch.equal(next(twin.parameters()), next(model.parameters()))


def test_a_copy_is_not_measured_as_the_original(model, optimizer):
    watch = st.watch(model, optimizer, every=1)
    twin = copy.deepcopy(model)
    twin(torch.full((4, 8), 1e9))
    step(model, optimizer)
    watch.close()
    assert watch.history.window("act_max").max() < 100


def test_a_copy_does_not_become_the_newest_call(model, optimizer):
    watch = st.watch(model, optimizer)
    twin = copy.deepcopy(model)
    loss = model(torch.randn(4, 8)).sum() * float("inf")
    twin(torch.full((4, 8), float("nan")))
    loss.backward()
    optimizer.step()
    watch.close()
    assert watch.history.series("batch_num_nonfinite")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (lambda m, o: {"model": None}, "NoneType"),
        (lambda m, o: {"model": "mlp"}, "str"),
        (lambda m, o: {"model": []}, "list"),
        (lambda m, o: {"model": {"a": m, "b": 3}}, "dict"),
        (lambda m, o: {"model": nn.ReLU()}, "no parameters"),
        (lambda m, o: {"model": list(m.parameters())}, "list"),
        (lambda m, o: {"optimizer": 0.1}, "float"),
        (lambda m, o: {"optimizer": [o, m]}, "Sequential"),
        (lambda m, o: {"optimizer": m.parameters()}, "Parameter"),
        (lambda m, o: {"every": 0}, "every.*0"),
        (lambda m, o: {"every": -3}, "every.*-3"),
        (lambda m, o: {"every": 2.5}, "every.*2.5"),
        (lambda m, o: {"every": float("nan")}, "every.*nan"),
        (lambda m, o: {"every": "often"}, "every.*often"),
        (lambda m, o: {"every": None}, "every.*None"),
        (lambda m, o: {"every": True}, "every.*True"),
        (lambda m, o: {"flush_every": 0}, "flush_every.*0"),
        (lambda m, o: {"first_step": -1}, "first_step.*-1"),
        (lambda m, o: {"first_step": 1.5}, "first_step.*1.5"),
        (lambda m, o: {"scaler": 2.0}, "scaler.*float"),
        (lambda m, o: {"rules": ["loss-spike"]}, "rules.*str"),
        (lambda m, o: {"run_dir": 3}, "run_dir.*int"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_attached(model, optimizer, arguments, words):
    before = hooks(model, optimizer)
    options = {"model": model, "optimizer": optimizer} | arguments(model, optimizer)
    with pytest.raises(UsageError, match=f"watch.*{words}") as caught:
        st.watch(**options)
    assert re.search("expected|at least", str(caught.value))
    assert str(caught.value).endswith(".")
    assert hooks(model, optimizer) == before


def test_whole_numbers_of_numpy_are_whole_numbers(model, optimizer):
    watch = st.watch(model, optimizer, every=np.int64(2), flush_every=np.int32(1))
    step(model, optimizer)
    watch.close()
    assert watch.history.step == 0


def test_parameters_of_nobody_are_said_and_others_are_named(model):
    stranger = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(stranger.parameters(), lr=0.1)
    watch = st.watch(model, optimizer)
    stranger(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    watch.close()
    held = dict(zip(watch.history.sites("in_optimizer"), watch.history.window("in_optimizer")[0], strict=True))  # fmt: skip
    assert [name for name, flag in held.items() if flag] == [
        "optimizer0.group0.0",
        "optimizer0.group0.1",
    ]
    assert (watch.history.window("grad_norm")[0, 4:] > 0).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lost": 1.0}, "lost"),
        ({"grad_norm": 1.0}, "grad_norm"),
        ({"loss": torch.ones(3)}, "shape \\(3,\\)"),
        ({"loss": torch.ones(0)}, "shape \\(0,\\)"),
        ({"loss": torch.tensor(1j)}, "shape"),
        ({"loss": None}, "NoneType"),
        ({"loss": "low"}, "str"),
        ({"loss": [1.0]}, "list"),
    ],
)
def test_what_cannot_be_logged_is_said_once_and_left_out(model, optimizer, caplog, values, words):
    watch = st.watch(model, optimizer)
    with caplog.at_level(logging.WARNING, "steadytrain"):
        for _ in range(3):
            step(model, optimizer)
            watch.log(**values)
    watch.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert words.replace("\\", "") in said[0]
    assert "loss" not in watch.history
    assert not [f for f in watch.findings() if f.rule == "broken-probe"]


@pytest.mark.parametrize(
    "value", [3, 2.5, np.float32(2), torch.tensor(2), torch.ones(1, 1), torch.tensor(True)]
)
def test_anything_that_is_one_number_can_be_logged(model, optimizer, value):
    watch = st.watch(model, optimizer)
    step(model, optimizer)
    watch.log(loss=value)
    watch.close()
    assert watch.history.series("loss").tolist() == [float(value)]


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_beyond_all_floats_is_a_loss_that_is_not_finite(model, optimizer, value):
    watch = st.watch(model, optimizer)
    step(model, optimizer)
    watch.log(loss=value)
    watch.close()
    assert watch.history.series("loss_num_nonfinite").tolist() == [1.0]
    assert not [f for f in watch.findings() if f.rule == "broken-probe"]


def test_a_run_directory_without_a_name_is_refused(model, optimizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="empty path"):
        st.watch(model, optimizer, run_dir="")
    assert list(tmp_path.iterdir()) == []


def test_a_logged_tensor_is_taken_as_it_is_now(model, optimizer):
    watch = st.watch(model, optimizer)
    step(model, optimizer)
    loss = torch.tensor(1.0)
    watch.log(loss=loss)
    loss += 5
    watch.close()
    assert watch.history.series("loss").tolist() == [1.0]


PROGRAM = """
import torch, steadytrain as st
def main():
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer, run_dir={run_dir!r})
    for step in range(3):
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        watch.log(loss=step)
    {end}
{call}
"""


@pytest.mark.parametrize(
    ("end", "call", "code"),
    [
        pytest.param("return model, watch", "kept = main()", 0, marks=pytest.mark.slow),
        ("pass", "main()\nimport gc; gc.collect(); import os; os._exit(0)", 0),
        ("raise ValueError('mine')", "main()", 1),
        pytest.param("raise SystemExit(7)", "main()", 7, marks=pytest.mark.slow),
        pytest.param("raise KeyboardInterrupt", "main()", None, marks=pytest.mark.slow),
    ],
)
def test_a_program_that_ends_without_close_loses_nothing(tmp_path, end, call, code):
    source = PROGRAM.format(run_dir=str(tmp_path / "run"), end=end, call=call)
    command = [sys.executable, "-W", "error", "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code or (code is None and done.returncode != 0), done.stderr
    assert "steadytrain" not in done.stderr
    assert read_run(tmp_path / "run").history.series("loss").tolist() == [0, 1, 2]


def test_a_model_of_several_parts_is_named_by_its_keys():
    models = {"encoder": mlp(), "decoder": cnn()}
    params = [p for m in models.values() for p in m.parameters()]
    watch = st.watch(models, torch.optim.SGD(params, lr=0.1))
    watch.close()
    assert watch.history.sites("grad_norm")[0] == "encoder.0.weight"
    assert "decoder.4.bias" in watch.history.sites("grad_norm")


def test_shared_parameters_count_once():
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer)
    model(torch.randn(3, 4)).sum().backward()
    expected = sum(p.grad.square().sum() for p in layer.parameters()) ** 0.5
    assert torch.allclose(watch.clip_grad_norm_(1e9), expected)
    optimizer.step()
    watch.close()
    assert watch.history.sites("grad_norm") == ("0.weight", "0.bias")
    assert watch.history.series("grad_norm_total") == pytest.approx(expected.item())


def test_hostile_names_are_only_names():
    model = nn.Sequential()
    for name in ("<script>alert(1)<", "\x1b[31m", "a/b", "new\nline", "__proto__", "\u202e"):
        model.add_module(name, nn.Linear(3, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = st.watch(model, optimizer, every=1)
    model(torch.randn(2, 3)).sum().backward()
    optimizer.step()
    watch.close()
    assert watch.history.sites("act_rms") == tuple(dict(model.named_children()))
    assert not [f for f in watch.findings() if f.rule == "broken-probe"]
