import sys

import pytest

PROGRAM = """
import torch
from torch import nn
import steadytrain as st

def healthy(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(8, 16, 4)
    return st.Program(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2),
        batches=[(b, b.sum(1, keepdim=True)) for b in x],
        loss_fn=lambda model, batch: nn.functional.mse_loss(model(batch[0]), batch[1]),
    )

def uncleared(seed):
    program = healthy(seed)
    program.optimizer = torch.optim.SGD(program.model.parameters(), lr=0.1)
    def step(program, batch):
        loss = program.loss_fn(program.model, batch)
        loss.backward()
        program.optimizer.step()
        return loss.detach()
    program.step_fn = step
    return program
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "doctored.py"
    path.write_text(PROGRAM)
    yield path.name
    sys.modules.pop("doctored", None)


@pytest.fixture
def doctor(steadytrain, file):
    def invoke(name, *options):
        return steadytrain("doctor", f"{file}:{name}", "--no-preflight", "--steps", 60, *options)

    return invoke


def test_a_healthy_program_ends_with_status_0(doctor):
    done = doctor("healthy")
    assert done.status == 0, done.err
    assert "healthy" in done.out


def test_a_proven_cause_ends_with_status_1_and_is_named_with_its_remedy(doctor):
    done = doctor("uncleared")
    assert done.status == 1, done.err
    assert "missing-zero-grad" in done.out
    assert "(the proof)" in done.out
    assert "zero_grad" in done.out


def test_json_is_the_whole_diagnosis_and_out_keeps_it_with_a_page(doctor, tmp_path):
    done = doctor("uncleared", "--json", "--out", "kept", "--fail-on", "never")
    assert done.status == 0
    assert done.json["causes"][0]["name"] == "missing-zero-grad"
    assert (tmp_path / "kept" / "diagnosis.json").is_file()
    assert "missing-zero-grad" in (tmp_path / "kept" / "report.html").read_text()


def test_what_means_nothing_is_refused(doctor):
    assert doctor("healthy", "--budget", 0).status == 2
    assert doctor("unknown").status == 2
