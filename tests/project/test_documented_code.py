"""The Python in the documentation runs as it stands."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import steadytrain

ROOT = Path(steadytrain.__file__).parents[2]


def blocks():
    """Every complete program of the documentation: one that imports what it uses."""
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for index, code in enumerate(
            re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
        ):
            if "import torch" in code:
                yield pytest.param(code, id=f"{path.relative_to(ROOT / 'docs')}-{index}")


def test_there_are_programs_to_run():
    assert len(list(blocks())) >= 6


@pytest.mark.parametrize("code", list(blocks()))
def test_runs_as_it_stands(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "documentation", "exec"), {"__name__": "__main__"})


def fragments():
    """Every other piece of Python: it goes on from a model, an optimizer and a loader."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        found = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
        for index, code in enumerate(found):
            if "import torch" not in code and "st: ignore" not in code:
                marks = [pytest.mark.slow] if "diagnose(" in code else []
                name = f"{path.relative_to(ROOT)}-{index}"
                yield pytest.param(code, id=name, marks=marks)


def what_a_reader_has(code):
    """The names that a fragment goes on from; the program fails where its cause is asked for."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    rate = 30.0 if "causes[0]" in code else 0.01
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    inputs = torch.randn(10, 32, 8)
    loader = [(x, x[:, :3].argmax(1)) for x in inputs]

    def loss_fn(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    names = {"st": steadytrain, "torch": torch, "model": model, "optimizer": optimizer}
    names |= {"loader": loader, "loss_fn": loss_fn, "ema": AveragedModel(model)}
    if "scheduler=scheduler" in code:
        names["scheduler"] = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    names["program"] = steadytrain.Program(
        model=model, optimizer=optimizer, batches=loader, loss_fn=loss_fn
    )
    return names


@pytest.mark.parametrize("code", list(fragments()))
def test_goes_on_from_what_a_reader_has(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = what_a_reader_has(code)
    if "replay(" in code:
        steadytrain.watch(names["model"], run_dir="runs/a").close()
    if "RobustClip" in code:
        names["loss_fn"](names["model"], names["loader"][0]).backward()
    exec(compile(code, "documentation", "exec"), names)
