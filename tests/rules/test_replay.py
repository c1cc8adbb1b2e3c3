"""A saved run gives the findings it had while it was live."""

from __future__ import annotations

import pytest
from rule_histories import SITES, random_history, snapshot

from steadytrain import engine
from steadytrain.core.history import History
from steadytrain.store.reader import read_run
from steadytrain.store.writer import RunWriter


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_replaying_a_run_directory_says_what_was_said_live(tmp_path, seed):
    live, judge = History(SITES, capacity=1024), engine.Judge()
    writer = RunWriter(tmp_path / "run", meta={"name": "t"})
    for kind, names in SITES.items():
        writer.add_sites(kind, names)
    said = []
    for number, rows in enumerate(snapshot(random_history(seed, steps=300))):
        for step, stat, values, sites in rows:
            live.append(step, stat, values, sites)
            writer.add_row(step, stat, live.between(stat, step, step + 1)[0])
        if number % 10 == 9:
            said += judge.update(live)
            assert writer.flush()
    said += judge.update(live)
    for finding in said:
        writer.add_finding(finding)
    writer.close()
    assert len({finding.rule for finding in said}) >= 5
    assert engine.replay(tmp_path / "run") == said
    assert read_run(tmp_path / "run").findings == said
