"""What a run said while it lived is what its directory says afterwards."""

import pytest
import torch
from watched_runs import seed_all
from watched_zoo import cnn

import steadytrain as st
from steadytrain.engine import replay
from steadytrain.store.reader import read_run
from steadytrain.watching import outlet


def faulty_run(run_dir, *, flush_every, asks=()):
    """Sixty steps: an exploding loss from step 40, something infinite at step 50."""
    seed_all()
    model = cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with st.watch(model, optimizer, run_dir=run_dir, every=2, flush_every=flush_every) as watch:
        for step in range(60):
            scale = 1.0 if step < 40 else 1e3 if step < 50 else float("inf")
            loss = model(torch.randn(4, 1, 8, 8)).square().mean() * scale
            loss.backward()
            if "after backward" in asks:
                watch.findings()
            watch.clip_grad_norm_(1.0)
            if "after clip" in asks:
                watch.findings()
            optimizer.step()
            optimizer.zero_grad()
            if "before log" in asks:
                watch.findings()
            watch.log(loss=loss)
    return watch.findings()


@pytest.mark.parametrize("flush_every", [1, 7, 1000])
def test_live_findings_are_the_replayed_ones(tmp_path, flush_every):
    live = faulty_run(tmp_path / "run", flush_every=flush_every)
    assert {"nonfinite-loss", "nonfinite-gradient"} <= {finding.rule for finding in live}
    assert replay(tmp_path / "run") == live
    assert read_run(tmp_path / "run").findings == live


@pytest.mark.parametrize("ask", ["after backward", "after clip", "before log"])
def test_asking_for_findings_in_the_middle_of_a_step_changes_none(tmp_path, ask):
    quiet = faulty_run(tmp_path / "quiet", flush_every=10)
    asked = faulty_run(tmp_path / "asked", flush_every=10, asks=(ask,))
    assert asked == quiet
    assert replay(tmp_path / "asked") == asked


def judged_at(monkeypatch, run_dir, share):
    """The findings of a run whose judging may take `share` of its time, and how often it judged."""
    update, times = outlet.Judge.update, []

    def counted(judge, history):
        times.append(history.step)
        return update(judge, history)

    with monkeypatch.context() as patch:
        patch.setattr(outlet, "JUDGING_SHARE", share)
        patch.setattr(outlet.Judge, "update", counted)
        return faulty_run(run_dir, flush_every=1), len(times)


def test_judging_that_waits_says_the_same(tmp_path, monkeypatch):
    at_once, often = judged_at(monkeypatch, tmp_path / "at once", share=1e9)
    late, seldom = judged_at(monkeypatch, tmp_path / "late", share=1e-9)
    assert late == at_once
    assert seldom < often / 2
    assert replay(tmp_path / "late") == late
