import operator
from concurrent.futures import ThreadPoolExecutor

import pytest

from steadytrain.lab.sweep import InProcess, executor_for, run_all


def sweep(work, jobs, executor):
    reports = []
    found = run_all(jobs, work, executor, lambda *report: reports.append(report), str)
    return found, reports


def test_records_come_in_the_order_of_the_jobs_and_each_is_reported():
    found, reports = sweep(operator.neg, [3, 1, 2], InProcess())
    assert found == [-3, -1, -2]
    assert reports == [(1, 3, "3"), (2, 3, "1"), (3, 3, "2")]


def test_any_executor_will_do():
    with ThreadPoolExecutor(2) as pool:
        found, reports = sweep(operator.neg, list(range(20)), pool)
    assert found == [-job for job in range(20)]
    assert [done for done, _, _ in reports] == list(range(1, 21))


def test_processes_give_the_same_records():
    with executor_for(2) as pool:
        found, _ = sweep(operator.neg, [1, 2, 3], pool)
    assert found == [-1, -2, -3]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_error_ends_the_sweep(jobs):
    with executor_for(jobs) as pool, pytest.raises(TypeError, match="bad operand"):
        sweep(operator.neg, [1, "not a number", 2], pool)


def test_one_job_stays_in_this_process():
    with executor_for(1) as pool:
        assert isinstance(pool, InProcess)
