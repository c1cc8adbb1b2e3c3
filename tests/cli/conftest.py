import json
from dataclasses import dataclass

import numpy as np
import pytest

from steadytrain.cli._group import run


@dataclass
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def steadytrain(capfd, tmp_path, monkeypatch):
    """The command line, run in an empty folder; what it printed and its exit status."""
    monkeypatch.chdir(tmp_path)

    def invoke(*args):
        capfd.readouterr()
        status = run([str(arg) for arg in args])
        return Outcome(status, *capfd.readouterr())

    return invoke


@pytest.fixture
def saved_run(tmp_path):
    """Writes a run directory whose loss is as given."""
    from steadytrain.store.writer import RunWriter

    def write(losses, name="run"):
        writer = RunWriter(tmp_path / name, meta={"name": name})
        for step, loss in enumerate(losses):
            writer.add_row(step, "loss", np.array([loss]))
        writer.close()
        return writer.run_dir

    return write
