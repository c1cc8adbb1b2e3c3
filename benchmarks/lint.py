"""How fast the linter reads code, and how often it is right on the corpus.

    python -m benchmarks.lint --write

Speed is in processor seconds, files read again and again in random order; the median of the rounds,
with the slowest and fastest. Python files of other folders are given as PATHS.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import steadytrain
from steadytrain.core.finding import Severity
from steadytrain.lint._files import Problem, find_files, read_text
from steadytrain.lint._linter import Linter, choose_checks, known_checks

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "lint" / "corpus"
RESULTS = Path(__file__).parent / "results" / "lint.md"
MAX_FILES = 400

FIRST_SIGHT = """Most of the corpus was written before the checks had seen it. At first sight 175 of 189
mistakes were named (93%), 175 of the 181 things that were said were right (97%), and 5 of 143 files of
idioms and none of 29 scripts were warned of wrongly. The table counts after what was missed was put
right, so it is code that the checks were made for.
"""


@dataclass(frozen=True)
class Speed:
    """Files and kilobytes per processor second."""

    name: str
    num_files: int
    num_kilobytes: float
    rates: list[float]

    @property
    def row(self) -> str:
        median = statistics.median(self.rates)
        spread = f"{min(self.rates):.0f} to {max(self.rates):.0f}"
        size = self.num_kilobytes / self.num_files
        cells = (
            self.name,
            self.num_files,
            f"{size:.1f}",
            f"{median:.0f}",
            spread,
            f"{median * size:.0f}",
        )
        return f"| {' | '.join(map(str, cells))} |"


def texts_in(paths: list[Path]) -> list[tuple[str, str]]:
    """The text and name of every file, a fixed sample where there are many."""
    files, _ = find_files(paths, ())
    if len(files) > MAX_FILES:
        files = random.Random(0).sample(files, MAX_FILES)
    read = [(read_text(file), str(file)) for file in files]
    return [(text, name) for text, name in read if not isinstance(text, Problem)]


def measure(name: str, paths: list[Path], rounds: int) -> Speed:
    """How fast the files of `paths` are linted with every check."""
    linter = Linter(choose_checks())
    texts = texts_in(paths)
    order = random.Random(1)
    rates: list[float] = []
    for _ in range(rounds + 1):
        order.shuffle(texts)
        start = time.process_time()
        for text, path in texts:
            linter.text(text, path)
        rates.append(len(texts) / (time.process_time() - start))
    kilobytes = sum(len(text) for text, _ in texts) / 1000
    return Speed(name, len(texts), kilobytes, rates[1:])


def expected(text: str) -> set[str]:
    head = text.partition("\n")[0]
    names = head.removeprefix("# expect:") if head.startswith("# expect:") else ""
    return {name.strip() for name in names.split(",") if name.strip()}


def quality(kind: str) -> str:
    """One row: files, mistakes, found, missed, wrongly said."""
    linter = Linter(choose_checks())
    wanted = found = wrong = 0
    paths = sorted((CORPUS / kind).glob("*.py"))
    for path in paths:
        text = path.read_text(encoding="utf-8")
        names = expected(text)
        said = {
            f.name
            for f in linter.text(text, path.name)
            if f.severity >= Severity.WARNING or f.name in names
        }
        wanted, found, wrong = (
            wanted + len(names),
            found + len(names & said),
            wrong + len(said - names),
        )
    return f"| {kind} | {len(paths)} | {wanted} | {found} | {wanted - found} | {wrong} |"


def page(speeds: list[Speed], rounds: int) -> str:
    made = f"Made {datetime.now(UTC):%Y-%m-%d} by `python -m benchmarks.lint --write`: steadytrain "
    versions = f"{steadytrain.__version__}, Python {platform.python_version()}, one core of {platform.machine()}"
    return "\n".join(
        [
            "# The linter",
            "",
            f"{made}{versions}, {len(known_checks())} checks, {rounds} rounds.",
            "",
            "## Speed",
            "",
            "| files of | number | kB per file | files per second | from round to round | kB per second |",
            "| --- | --- | --- | --- | --- | --- |",
            *(speed.row for speed in speeds),
            "",
            "## How often it is right",
            "",
            FIRST_SIGHT,
            "| corpus | files | mistakes | found | missed | wrongly said at warning level |",
            "| --- | --- | --- | --- | --- | --- |",
            *(quality(kind) for kind in ("faulty", "healthy", "scripts")),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "paths", nargs="*", type=Path, help="further folders to measure the speed on"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    folders = [
        ("the corpus, mistakes", [CORPUS / "faulty"]),
        ("the corpus, whole scripts", [CORPUS / "scripts"]),
        ("steadytrain itself", [ROOT / "src"]),
        *((path.name, [path]) for path in args.paths),
    ]
    text = page([measure(name, paths, args.rounds) for name, paths in folders], args.rounds)
    print(text)
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
