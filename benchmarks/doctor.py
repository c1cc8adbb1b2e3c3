"""Ask the doctor about as many programs of the lab as there is time for, and write the table.

    python benchmarks/doctor.py --minutes 40
    python benchmarks/doctor.py --minutes 0        # only write the table of what is there

A verdict is kept until the doctor's source changes, so a second call goes on where the first one
stopped. `python benchmarks/lab.py doctor` does all of them in one go.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `benchmarks.lab` when run as a script

from benchmarks.lab import RESULTS, page
from steadytrain.lab import LabSettings
from steadytrain.lab.doctor import experiment_of
from steadytrain.lab.doctoring.examining import Examination, examine, kept
from steadytrain.lab.doctoring.plan import all_jobs, name_of, spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=40, help="begin no program after these")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/doctor"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    start = time.monotonic()
    jobs = spread(all_jobs(options.seeds, None, is_quick=False))
    asked = [Examination(job=job, folder=options.out / "verdicts") for job in jobs]
    for one in asked:
        if kept(one) is not None:
            continue
        if time.monotonic() - start >= 60 * options.minutes:
            break
        verdict = examine(one)
        print(name_of(one.job), "right" if verdict.is_right else "WRONG", file=sys.stderr)
    verdicts = [found for one in asked if (found := kept(one)) is not None]
    settings = LabSettings(out=options.out, seeds=options.seeds)
    found = experiment_of(verdicts, settings, len(asked))
    seconds = [one.seconds for one in verdicts] or [0.0]
    took = f"{statistics.median(seconds):.1f} in the median, {max(seconds):.0f} at most"
    found = replace(found, settings={**found.settings, "processor seconds of a diagnosis": took})
    clock, processors = time.monotonic() - start, sum(seconds)
    text = page(found, (clock / 60, processors / 60), "python benchmarks/doctor.py")
    text = text.replace("of the clock", "of the clock in its last call", 1)
    (options.results / "doctor.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
