import sys

import pytest

PROGRAMS = """
import torch
from torch import nn
import steadytrain as st

def healthy(seed):
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    x = torch.randn(4, 24, 4)
    return st.Program(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2),
        batches=[(b, b[:, :3].argmax(1)) for b in x],
        loss_fn=lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]),
    )

def softmaxed(seed):
    program = healthy(seed)
    program.model.append(nn.Softmax(dim=-1))
    return program

def raising(seed):
    raise OSError("no such data set")

def empty(seed):
    program = healthy(seed)
    program.batches = type("Empty", (), {"__iter__": lambda self: iter(())})()
    return program

def unfit(seed):
    program = healthy(seed)
    program.batches = [(x[:, :2], y) for x, y in program.batches]
    return program
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "checked_programs.py"
    path.write_text(PROGRAMS)
    yield path.name
    for name in [name for name in sys.modules if name.startswith("checked_programs")]:
        del sys.modules[name]


def test_a_healthy_program_ends_with_status_0_and_a_table_of_the_steps(steadytrain, file):
    done = steadytrain("check", f"{file}:healthy", "--quick")
    assert done.status == 0, done.out
    assert "1. shapes and dtypes" in done.out
    assert "label-encoding" in done.out


def test_a_failure_ends_with_status_1_and_names_the_cause(steadytrain, file):
    done = steadytrain("check", f"{file}:softmaxed", "--quick", "--select", "outputs")
    assert done.status == 1
    assert "double-softmax" in done.out
    assert "FAIL" in done.out


@pytest.mark.parametrize(("fail_on", "status"), [("note", 1), ("critical", 1), ("never", 0)])
def test_the_severity_that_fails_can_be_chosen(steadytrain, file, fail_on, status):
    place = f"{file}:softmaxed"
    done = steadytrain("check", place, "--select", "LOS202", "--fail-on", fail_on)
    assert done.status == status


def test_json_is_the_diagnosis_and_nothing_else(steadytrain, file):
    import steadytrain as st

    done = steadytrain("check", f"{file}:softmaxed", "--select", "LOS202", "--json")
    diagnosis = st.Diagnosis.from_json(done.json)
    assert diagnosis.causes[0].name == "double-softmax"
    assert done.json["answers"][0]["verdict"] == "failed"


def test_a_factory_that_raises_is_one_message_without_a_traceback(steadytrain, file):
    done = steadytrain("check", f"{file}:raising")
    assert done.status == 2
    assert "no such data set" in done.err
    assert f"line {1 + PROGRAMS.splitlines().index('def raising(seed):') + 1}" in done.err
    assert "Traceback" not in done.err


def test_a_traceback_is_shown_when_it_is_asked_for(steadytrain, file):
    done = steadytrain("check", f"{file}:raising", "--traceback")
    assert done.status == 2
    assert "Traceback" in done.err


def test_data_without_a_batch_are_one_message(steadytrain, file):
    done = steadytrain("check", f"{file}:empty")
    assert done.status == 2
    assert "no batch" in done.err
    assert "Traceback" not in done.err


def test_a_step_that_raises_is_a_finding_with_its_module(steadytrain, file):
    done = steadytrain("check", f"{file}:unfit", "--quick", "--json")
    assert done.status == 1
    finding = done.json["findings"][0]
    assert (finding["rule"], finding["site"]) == ("first-step", "0")


def test_a_file_that_does_not_parse_is_one_message(steadytrain, tmp_path):
    (tmp_path / "torn.py").write_text("def make(:\n")
    done = steadytrain("check", "torn.py:make")
    assert done.status == 2
    assert "SyntaxError" in done.err
    assert "Traceback" not in done.err


def test_an_unknown_check_is_a_mistake_of_use(steadytrain, file):
    done = steadytrain("check", f"{file}:healthy", "--select", "softmax-twice")
    assert done.status == 2
    assert "unknown check" in done.err


@pytest.mark.parametrize("name", ["probabilities-for-logits", "LOS202"])
def test_explain_shows_the_page_of_a_check(steadytrain, name):
    done = steadytrain("explain", name, "--json")
    (entry,) = done.json["entries"]
    assert (entry["kind"], entry["code"]) == ("preflight check", "LOS202")
    assert "Fails when" in steadytrain("explain", name).out


def configured(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)


def test_the_configuration_chooses_checks_and_sets_their_options(steadytrain, file, tmp_path):
    configured(tmp_path, '[tool.steadytrain.check]\nselect = ["initial-loss"]\n')
    assert "label-encoding" not in steadytrain("check", f"{file}:healthy", "--quick").out
    strict = "[tool.steadytrain.check.initial-loss]\nmax_excess = -9.0\nmax_squared_ratio = 1.0\n"
    configured(tmp_path, f'[tool.steadytrain.check]\nselect = ["shapes"]\n{strict}')
    assert steadytrain("check", f"{file}:healthy", "--quick").status == 0
    configured(tmp_path, '[tool.steadytrain.check]\nignore = ["outputs"]\nfail-on = "never"\n')
    assert steadytrain("check", f"{file}:unfit", "--quick").status == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("selct = []\n", "unknown key 'selct'"),
        ('ignore = ["XYZ"]\n', "unknown check 'XYZ'"),
        ("[tool.steadytrain.check.tiny-bach]\nmax_steps = 3\n", "Did you mean tiny-batch"),
        ("[tool.steadytrain.check.tiny-batch]\nsteps = 3\n", "check.tiny-batch.steps"),
        ('[tool.steadytrain.check.tiny-batch]\nmax_steps = "3"\n', "found '3', expected int"),
    ],
)
def test_a_configuration_that_cannot_be_meant_ends_with_status_2(
    steadytrain, file, tmp_path, text, says
):
    configured(tmp_path, f"[tool.steadytrain.check]\n{text}")
    done = steadytrain("check", f"{file}:healthy", "--quick")
    assert done.status == 2
    assert says in done.err
