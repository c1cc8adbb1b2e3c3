"""The fragments of this folder become one section of CHANGELOG.md.

Without arguments the section is printed. With a version it is written to the top of
CHANGELOG.md and the fragments are removed.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent
KINDS = ("added", "changed", "fixed", "removed")
HEADING = "# Changelog\n"


def fragments(folder: Path) -> dict[str, list[Path]]:
    """The fragment files by kind, each kind in order of name; a file of no kind is an error."""
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        if path.name == "README.md":
            continue
        kind = path.name.removesuffix(".md").rpartition(".")[2]
        if kind not in found:
            sys.exit(f"{path}: found the kind {kind!r}, expected one of {', '.join(KINDS)}.")
        found[kind].append(path)
    return found


def section(title: str, found: dict[str, list[Path]]) -> str:
    """The changelog section called `title`."""
    parts = [f"## {title}"]
    for kind, paths in found.items():
        if paths:
            lines = (" ".join(path.read_text(encoding="utf-8").split()) for path in paths)
            parts.append(f"### {kind.capitalize()}\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"


def release(version: str, folder: Path, changelog: Path) -> None:
    """The fragments stand in `changelog` under `version`, newest first, and are gone."""
    found = fragments(folder)
    old = changelog.read_text(encoding="utf-8") if changelog.exists() else HEADING
    new = section(f"{version} ({datetime.now(UTC):%Y-%m-%d})", found)
    body = old.removeprefix(HEADING)
    changelog.write_text(f"{HEADING}\n{new}{body}", encoding="utf-8")
    for path in (path for paths in found.values() for path in paths):
        path.unlink()


def main(args: list[str]) -> None:
    """Print the section, or release it under the version in `args`."""
    if args:
        release(args[0], FOLDER, FOLDER.parent / "CHANGELOG.md")
    else:
        print(section("Unreleased", fragments(FOLDER)), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
