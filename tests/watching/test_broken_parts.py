"""A part of the watch that breaks is said once, and training goes on to the bit."""

import logging

import pytest
import torch
from watched_runs import equal, everything, seed_all
from watched_zoo import cnn

import steadytrain as st
from steadytrain.store.writer import RunWriter
from steadytrain.watching import alarm, clipping, forward, measuring, optimizers, origin, outlet
from steadytrain.watching.forward import WatchedForward
from steadytrain.watching.logged import Logged
from steadytrain.watching.measuring import Measuring
from steadytrain.watching.origin import LastCall
from steadytrain.watching.rows import Table
from steadytrain.watching.scaling import Scaling
from steadytrain.watching.stepping import Stepping

PLACES = {
    "remembering parameters": (optimizers.updates, "remember"),
    "measuring updates": (optimizers.updates, "measure"),
    "norms of gradients": (measuring, "gradient_entries"),
    "elements of gradients": (optimizers, "element_statistics"),
    "the rates": (optimizers.WatchedOptimizer, "learning_rates"),
    "arrivals": (measuring.Sentinel, "arrive"),
    "taking arrivals": (measuring.Sentinel, "take"),
    "activations": (forward.ModuleProbe, "see"),
    "attaching": (WatchedForward, "attach"),
    "detaching": (forward.ModuleProbe, "clear"),
    "the newest call": (LastCall, "remember"),
    "training mode": (WatchedForward, "training_share"),
    "the alarm": (alarm.Alarm, "check"),
    "the second look": (forward, "look_again"),
    "counting": (alarm, "count_nonfinite"),
    "the batch": (WatchedForward, "batch_num_nonfinite"),
    "the scaler": (Scaling, "found_inf"),
    "the scale": (Scaling, "scale"),
    "rows": (Stepping, "needs_row_for_step"),
    "rows of clips": (Stepping, "needs_row_for_clip"),
    "held": (Measuring, "held"),
    "a logged value": (Logged, "one_number"),
    "a logged name": (Logged, "is_for_next"),
    "the factor": (clipping, "coefficient"),
    "shared norms": (clipping, "shareable"),
    "the table": (Table, "blocks"),
    "memory": (outlet.memory, "resident_bytes"),
    "the history": (outlet.History, "extend"),
    "the judge": (outlet.Judge, "update"),
    "the disk": (RunWriter, "add_row"),
    "the flush": (RunWriter, "flush"),
}


class Injected(Exception):
    pass


def explode(*args, **kwargs):
    raise Injected("on purpose")


def train(watched, tmp_path, break_it=lambda: None):
    """Eight steps, of which the sixth has an infinite loss; broken after the second."""
    seed_all()
    model = cnn()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    watch = (
        st.watch(model, optimizer, run_dir=tmp_path, every=2, flush_every=1) if watched else None
    )
    for step in range(8):
        if step == 2:
            break_it()
        loss = model(torch.randn(4, 1, 8, 8)).square().mean() * (1e39 if step == 5 else 1)
        loss.backward()
        if watch:
            watch.clip_grad_norm_(1.0)
        else:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if watch:
            watch.log(loss=loss)
    state = everything([model], [optimizer])
    if watch:
        watch.close()
    return state, watch, model, optimizer


@pytest.mark.parametrize("place", PLACES)
def test_training_goes_on_to_the_bit(place, monkeypatch, tmp_path, caplog):
    without, *_ = train(False, None)
    owner, name = PLACES[place]
    with caplog.at_level(logging.CRITICAL, "steadytrain"):
        state, watch, model, optimizer = train(
            True, tmp_path / "run", lambda: monkeypatch.setattr(owner, name, explode)
        )
        assert equal(without, state)
        broken = [f for f in watch.findings() if f.rule.startswith("broken")]
    parts = [f.evidence["part"] for f in broken]
    assert parts
    assert len(parts) == len(set(parts))
    assert "Injected: on purpose" in broken[0].message
    assert not left_behind(model, optimizer)


def left_behind(model, optimizer):
    """Every hook that hangs on the model, its parameters or the optimizer."""
    hooks = [
        hook
        for module in model.modules()
        for store in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        for hook in store.values()
    ]
    hooks += [h for p in model.parameters() for h in (p._backward_hooks or {}).values()]
    hooks += optimizer._optimizer_step_pre_hooks.values()
    return [*hooks, *optimizer._optimizer_step_post_hooks.values()]


def test_a_healthy_run_reports_nothing_broken(tmp_path):
    _, watch, model, optimizer = train(True, tmp_path / "run")
    assert not [f for f in watch.findings() if f.rule.startswith("broken")]
    assert not left_behind(model, optimizer)


def test_a_report_that_cannot_be_written_is_no_error_either(monkeypatch, tmp_path):
    def break_both():
        monkeypatch.setattr(optimizers.updates, "measure", explode)
        monkeypatch.setattr(RunWriter, "add_finding", explode)

    without, *_ = train(False, None)
    assert equal(without, train(True, tmp_path / "run", break_both)[0])


def test_the_other_parts_go_on(monkeypatch, tmp_path):
    def break_it():
        monkeypatch.setattr(forward.ModuleProbe, "see", explode)

    _, watch, *_ = train(True, tmp_path / "run", break_it)
    assert watch.history.step == 7
    assert watch.history.measured("num_microbatches")[0].tolist() == [*range(8)]
    assert watch.history.measured("act_rms")[0].tolist() == [0]


def test_what_broke_is_named_in_the_log(monkeypatch, tmp_path, caplog):
    def break_it():
        monkeypatch.setattr(origin, "count_nonfinite", explode)

    train(True, tmp_path / "run", break_it)
    assert any("Injected" in record.getMessage() for record in caplog.records)


def test_torchs_own_error_of_the_clip_is_still_raised():
    model = cnn()
    watch = st.watch(model, torch.optim.SGD(model.parameters(), lr=0.1))
    (model(torch.randn(4, 1, 8, 8)).sum() * float("nan")).backward()
    with pytest.raises(RuntimeError, match="not finite"):
        watch.clip_grad_norm_(1.0, error_if_nonfinite=True)
    watch.close()
