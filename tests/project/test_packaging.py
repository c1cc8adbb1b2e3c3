import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import steadytrain

ROOT = Path(steadytrain.__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_asks_for_no_other_torch_than_any_from_2_6_on():
    asked = [need for need in PROJECT["dependencies"] if need.startswith("torch")]
    assert asked == ["torch>=2.6"]


def test_the_extras_never_bring_a_torch():
    extras = [need for needs in PROJECT["optional-dependencies"].values() for need in needs]
    names = {re.split(r"[\s\[<>=!~;]", need)[0] for need in extras}
    # these pin a torch of their own; torch-optimi and torchao take the one that is there
    assert not names & {"torch", "torchvision", "torchaudio", "torchtext", "composer", "mosaicml"}


def test_the_development_pins_hold_torch_and_every_tool():
    pins = {
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    tools = {need.split(">=")[0].split("[")[0] for need in PROJECT["optional-dependencies"]["dev"]}
    assert "torch" in pins
    assert tools <= pins


def test_the_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src"
    kept = {".py", ".npz", ".md", ".txt", ".css", ".js", ".html"}
    files = [path for path in (source / "steadytrain").rglob("*") if path.suffix in kept]
    assert {str(path.relative_to(source)) for path in files} <= set(wheel.namelist())
    assert any(name.endswith(".npz") for name in wheel.namelist())


def test_the_wheel_holds_the_licence(wheel):
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_licence_is_the_apache_licence_in_full():
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_version_stands_in_two_places_and_is_one():
    assert PROJECT["version"] == steadytrain.__version__
