import sys

import pytest

PROGRAM = """
import torch
from torch import nn
import steadytrain as st

def healthy(seed):
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(8, 16, 4)
    return st.Program(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2),
        batches=[(b, b.sum(1, keepdim=True)) for b in x],
        loss_fn=lambda model, batch: nn.functional.mse_loss(model(batch[0]), batch[1]),
    )

def broken(seed):
    program = healthy(seed)
    program.optimizer = torch.optim.SGD(program.model.parameters(), lr=1e6)
    program.clip = None
    return program

def chatty(seed):
    print("hello from the factory")
    return healthy(seed)

def raises_later(seed):
    program = healthy(seed)
    program.loss_fn = lambda model, batch: 1 / 0
    return program
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "toy_programs.py"
    path.write_text(PROGRAM)
    yield path.name
    for name in [name for name in sys.modules if name.startswith("toy_programs")]:
        del sys.modules[name]


def test_a_healthy_run_ends_with_status_0_and_is_kept(steadytrain, file, tmp_path):
    done = steadytrain("train", f"{file}:healthy", "--steps", 20)
    assert done.status == 0, done.err
    assert (tmp_path / "runs" / "toy_programs" / "run.json").is_file()


def test_a_run_never_goes_into_the_folder_of_an_older_one(steadytrain, file):
    places = [
        steadytrain("train", f"{file}:healthy", "--steps", 2, "--json").json["run"]
        for _ in range(3)
    ]
    assert places == ["runs/toy_programs", "runs/toy_programs-2", "runs/toy_programs-3"]


def test_a_broken_run_ends_with_status_1_and_says_why(steadytrain, file):
    done = steadytrain("train", f"{file}:broken", "--steps", 60)
    assert done.status == 1
    assert "nonfinite" in done.out


def test_fail_on_never_leaves_the_findings_and_the_status(steadytrain, file):
    done = steadytrain("train", f"{file}:broken", "--steps", 60, "--fail-on", "never", "--json")
    assert done.status == 0
    assert done.json["findings"]


def test_the_rules_asked_for_are_the_ones_that_judge(steadytrain, file):
    done = steadytrain(
        "train", f"{file}:broken", "--steps", 60, "--select", "nonfinite-loss", "--json"
    )
    assert {finding["rule"] for finding in done.json["findings"]} == {"nonfinite-loss"}


def test_stdout_is_one_document_whatever_the_users_code_prints(steadytrain, file):
    done = steadytrain("train", f"{file}:chatty", "--steps", 3, "--json")
    assert done.json["steps"] == 3
    assert done.json["metrics"]["loss"] > 0
    assert "hello from the factory" in done.err


def test_what_the_users_code_raises_while_training_is_theirs(steadytrain, file):
    done = steadytrain("train", f"{file}:raises_later", "--steps", 3)
    assert done.status == 2
    assert "ZeroDivisionError" in done.err
    assert "1 / 0" in done.err
    assert "error in steadytrain" not in done.err


def test_goes_on_from_a_checkpoint(steadytrain, file):
    place = f"{file}:healthy"
    steadytrain("train", place, "--steps", 4, "--run-dir", "a", "--checkpoint-every", 2)
    done = steadytrain("train", place, "--steps", 6, "--run-dir", "a", "--resume", "--json")
    assert done.json["steps"] == 6
    assert [event["kind"] for event in done.json["events"]] == ["resume"]


def test_starting_over_where_a_checkpoint_was_hoped_for_is_said(steadytrain, file):
    steadytrain("train", f"{file}:healthy", "--steps", 4, "--run-dir", "a")
    done = steadytrain("train", f"{file}:healthy", "--steps", 6, "--run-dir", "a", "--resume")
    assert done.status == 0
    assert "no checkpoint in a: started from step 0" in done.err


def test_resume_needs_a_run(steadytrain, file):
    done = steadytrain("train", f"{file}:healthy", "--resume")
    assert done.status == 2
    assert "--resume got no --run-dir" in done.err


def test_an_unknown_rule_is_found_before_the_file_is_executed(steadytrain, file):
    done = steadytrain("train", f"{file}:healthy", "--select", "los-spike")
    assert done.status == 2
    assert "Did you mean loss-spike" in done.err
    assert "executes" not in done.err
