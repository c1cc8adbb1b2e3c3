"""What the documentation shows as output is what comes out."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

import steadytrain
from steadytrain.cli._group import run
from steadytrain.report.diagnosis import print_diagnosis

ROOT = Path(steadytrain.__file__).parents[2]


def blocks(name, language):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def words(text):
    """The text without its line breaks, which depend on the width."""
    return " ".join(text.split())


def run_block(name, index, folder):
    program = blocks(name, "python")[index]
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def too_fast(tmp_path_factory):
    """The quickstart's run that goes wrong: what it printed, and the folder it stands in."""
    folder = tmp_path_factory.mktemp("quickstart")
    return run_block("docs/quickstart.md", 0, folder), folder


def test_the_quickstart_prints_the_finding_that_it_shows(too_fast):
    shown = blocks("docs/quickstart.md", "text")[0]
    assert words(shown) == words(too_fast[0].splitlines()[0])


def test_the_readme_shows_what_replay_says_of_it(too_fast, monkeypatch, capfd):
    command, _, shown = blocks("README.md", "text")[0].partition("\n")
    monkeypatch.chdir(too_fast[1])
    status = run(command.removeprefix("$ steadytrain ").split())
    said = words(capfd.readouterr().out)
    assert status == 1
    assert said.startswith(words(shown.removesuffix("...\n")))


def test_the_loss_of_it_is_gone_where_the_readme_says(too_fast):
    steps = {line.split()[2]: int(line.split()[0]) for line in too_fast[0].splitlines()}
    assert (steps["nonfinite-parameter"], steps["nonfinite-loss"]) == (3, 4)


def test_the_readme_shows_what_the_preflight_says(tmp_path):
    program = blocks("docs/preflight.md", "python")[0]
    shown = blocks("README.md", "text")[1]
    printed = (
        f"{program}\nfrom rich.console import Console\n"
        "from steadytrain.report.preflight import print_preflight\n"
        "print_preflight(Console(width=100), diagnosis)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", printed], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = words(done.stdout)
    assert said.startswith("False double-softmax")
    for line in shown.replace("...\n", "").splitlines():
        assert words(line) in said


def probabilities_for_logits():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(dim=-1))
    inputs = torch.randn(10, 32, 8)
    return steadytrain.Program(
        model=model,
        optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2),
        batches=[(x, x[:, :3].argmax(1)) for x in inputs],
        loss_fn=lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]),
    )


@pytest.mark.slow
def test_the_readme_shows_the_shape_of_what_the_doctor_says():
    """Its losses are those of one program; the verdict and the changes are of any such one."""
    diagnosis = steadytrain.diagnose(probabilities_for_logits(), steps=100, progress=False)
    console = Console(width=100, record=True, file=io.StringIO())
    print_diagnosis(console, diagnosis)
    said, shown = words(console.export_text()), blocks("README.md", "text")[2]
    verdict = "Diagnosis: double-softmax, proven The cause is double-softmax at layer 3 (proven)."
    assert words(shown).startswith(verdict)
    assert said.startswith(verdict)
    for change in ("nothing, as it is", "another seed (placebo)", "the loss given the form"):
        assert change in shown
        assert change in said
