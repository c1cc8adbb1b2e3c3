"""The corpus: code with known mistakes, code without, and whole scripts without."""

from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def expected(path: Path) -> set[str]:
    """The names in the first line of the file, `# expect: name, name`."""
    head = path.read_text(encoding="utf-8").partition("\n")[0]
    names = head.removeprefix("# expect:") if head.startswith("# expect:") else ""
    return {name.strip() for name in names.split(",") if name.strip()}


def files(kind: str) -> list[Path]:
    """The files of `faulty`, `healthy` or `scripts`, in order of name."""
    return sorted((FOLDER / kind).glob("*.py"))
