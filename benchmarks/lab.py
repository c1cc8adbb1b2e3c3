"""Run an experiment of the lab and write its tables to `results/`.

    python benchmarks/lab.py init
    python benchmarks/lab.py cookbook --data DIR --jobs 2

The file is named after the experiment; the cookbook's after its data set too: `init.md`,
`cookbook_digits.md`, `cookbook_mnist.md`.
"""

import argparse
import datetime
import os
import platform
import resource
import sys
import time
from pathlib import Path

import torch

from steadytrain.core.experiment import Experiment, Table
from steadytrain.lab import LabSettings, find_experiment
from steadytrain.lab.datasets import load
from steadytrain.store.documents import write_experiment

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the experiment, as `steadytrain lab` lists it")
    parser.add_argument(
        "--data", type=Path, help="folder of data files; the embedded data if left out"
    )
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, help="folder of the run; runs/benchmarks/NAME")
    parser.add_argument("--quick", action="store_true", help="a small size, to try the script")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out = options.out or Path("runs/benchmarks") / options.name
    settings = LabSettings(
        out=options.out,
        data=options.data,
        epochs=options.epochs,
        seeds=options.seeds,
        jobs=options.jobs,
        quick=options.quick,
    )
    start = time.perf_counter()
    result = find_experiment(options.name).run(settings, report_progress)
    minutes = (time.perf_counter() - start) / 60, cpu_seconds() / 60
    write_experiment(options.out, result.experiment)
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"{file_name(options)}.md"
    path.write_text(page(result.experiment, minutes, command(options)), encoding="utf-8")
    print(f"{path} after {minutes[0]:.1f} minutes")


def report_progress(done: int, total: int, what: str) -> None:
    print(f"{done}/{total} {what}", file=sys.stderr)


def cpu_seconds() -> float:
    """Processor time of this process and of those it has ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return sum(part.ru_utime + part.ru_stime for part in (own, children))


def file_name(options: argparse.Namespace) -> str:
    name = options.name.replace("-", "_")
    if name == "cookbook":
        name += "_" + load(options.data).name.lower().replace("-", "_")
    return name


def command(options: argparse.Namespace) -> str:
    parts = [f"python benchmarks/lab.py {options.name}"]
    parts += ["--data DIR"] if options.data else []
    parts += [
        f"--{name} {v:g}" for name in ("epochs", "seeds", "jobs") if (v := vars(options)[name])
    ]
    return " ".join([*parts, *(["--quick"] if options.quick else [])])


def page(experiment: Experiment, minutes: tuple[float, float], command: str) -> str:
    claims = Table(
        title="Expected and measured",
        columns=("question", "expected", "measured", "verdict", "comment"),
        rows=tuple(
            (c.question, c.expected, c.measured, c.verdict, c.comment) for c in experiment.claims
        ),
    )
    settings = "\n".join(f"* {name}: {value}" for name, value in experiment.settings.items())
    today = datetime.datetime.now(tz=datetime.UTC).date()
    parts = [
        f"# {experiment.title}\n\n{experiment.summary}",
        f"{experiment.data}. Written on {today} by `{command}` in {minutes[0]:.1f} "
        f"minutes of the clock and {minutes[1]:.1f} of processors.",
        f"{settings}\n* system: {platform.system()}",
        *(markdown(table) for table in (claims, *experiment.tables)),
    ]
    return "\n\n".join(parts) + "\n"


def markdown(table: Table) -> str:
    lines = [row(table.columns), row(["---"] * len(table.columns)), *map(row, table.rows)]
    note = f"\n\n{table.note}" if table.note else ""
    return f"## {table.title}\n\n" + "\n".join(lines) + note


def row(cells) -> str:
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
