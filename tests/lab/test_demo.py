import functools
import tempfile
from pathlib import Path

from steadytrain.lab.demo import run_demo
from steadytrain.store.reader import read_run


@functools.cache
def demo():
    reports = []
    out = Path(tempfile.mkdtemp())
    return run_demo(out, lambda *report: reports.append(report), quick=True), reports, out


def rules_of(name):
    return {
        finding.rule for run in demo()[0].broken if run.name == name for finding in run.findings
    }


def test_the_poisoned_batch_is_found_at_its_step():
    findings = next(run.findings for run in demo()[0].broken if run.name == "nan-batch")
    assert findings
    assert {finding.step for finding in findings if "nonfinite" in finding.rule} == {120}
    assert {"nonfinite-loss", "nonfinite-gradient"} <= rules_of("nan-batch")


def test_a_hundredfold_rate_without_norm_is_found():
    assert {"update-ratio-too-large", "dead-units"} & rules_of("learning-rate-x100")


def test_the_folder_holds_the_result_and_every_run():
    made, _, out = demo()
    assert read_run(out).experiment == made.experiment
    assert len(made.all_run_dirs) == 8
    assert all(read_run(run).history.step > 0 for run in made.all_run_dirs)


def test_the_doctor_proves_the_hundredfold_rate_and_its_fix_trains():
    cure = demo()[0].cure
    first = cure.diagnosis.causes[0]
    assert (first.name, first.proven) == ("lr-too-high", True)
    assert cure.last_loss < 1.0
    kept = read_run(cure.run_dir).experiment
    assert kept is not None
    assert kept.name == "diagnosis"


def test_progress_counts_the_broken_runs_too():
    reports = demo()[1]
    assert [done for done, _, _ in reports] == list(range(1, reports[0][1] + 1))
    assert {total for _, total, _ in reports} == {reports[0][1]}
