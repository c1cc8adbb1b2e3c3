"""Nothing in the package can execute what it reads; what may is listed here with its reason."""

import re
from pathlib import Path

import pytest

import steadytrain

SOURCE = Path(steadytrain.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

FORBIDDEN = {
    r"\b(c?[pP]ickle|dill|marshal|shelve|joblib)\b": "runs code from a file",
    r"(?<![.\w])eval\(": "runs text",
    r"(?<![.\w])exec\(": "runs text",
    r"\.exec_module\(": "runs a file",
    r"\brunpy\b|\bspec_from_file_location\b": "runs a file",
    r"\bos\.(system|popen)\b": "runs a shell",
    r"shell\s*=\s*True": "runs a shell",
    r"weights_only\s*=\s*False": "runs code from a checkpoint",
    r"\byaml\.(unsafe_|full_)?load\b": "runs code from YAML",
    r"allow_pickle\s*=\s*True": "runs code from an array file",
    r"\b(urlopen|requests\.|http\.client)\b": "speaks to a network",
}

ALLOWED = {
    # asks whether a program can be sent to another process; nothing is ever read back by it
    ("doctor/pool.py", r"\b(c?[pP]ickle|dill|marshal|shelve|joblib)\b"),
    # `steadytrain train FILE:FACTORY` executes the user's own file, and says so
    ("cli/_factory.py", r"\.exec_module\("),
    ("cli/_factory.py", r"\brunpy\b|\bspec_from_file_location\b"),
}


def code_of(path):
    """The file without its comments and strings of documentation, where the words may stand."""
    text = re.sub(r"\"\"\".*?\"\"\"", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"#.*", "", text)


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_in_the_package(pattern):
    uses = {str(path.relative_to(SOURCE)) for path in FILES if re.search(pattern, code_of(path))}
    allowed = {name for name, allowed_pattern in ALLOWED if allowed_pattern == pattern}
    assert uses == allowed, f"{pattern} {FORBIDDEN[pattern]}"


def test_every_torch_load_is_weights_only():
    loads = [call for path in FILES for call in re.findall(r"torch\.load\([^)]*\)", code_of(path))]
    assert all("weights_only=True" in call for call in loads)


@pytest.mark.parametrize(
    "text", ["x = eval('1')", "import pickle", "run(c, shell=True)", "os.system('ls')"]
)
def test_the_gate_sees(text):
    assert any(re.search(pattern, text) for pattern in FORBIDDEN)


@pytest.mark.parametrize("text", ["model.eval()", "retrieval(x)", "regex.exec(x)"])
def test_the_gate_lets_pass(text):
    assert not any(re.search(pattern, text) for pattern in FORBIDDEN)
