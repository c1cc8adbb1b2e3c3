"""The experiment `recovery`: what it must find at any size."""

from dataclasses import replace

from steadytrain.lab import LabSettings
from steadytrain.lab.recovery import all_jobs


def jobs_by_way(tmp_path, window):
    jobs = all_jobs(LabSettings(out=tmp_path, quick=True))
    return {(job.way, job.poison): job for job in jobs if job.window == window}


def test_a_guarded_run_ends_with_the_bits_of_the_clean_one(tmp_path):
    guarded = jobs_by_way(tmp_path, 20)["guard", "one NaN pixel"].run()
    clean = replace(guarded.job, way="clip only", window=0).run()
    assert guarded.digest == clean.digest
    assert guarded.num_left_out == 20
    assert guarded.num_extra == 1


def test_a_run_that_skips_by_hand_keeps_the_poison_in_its_statistics(tmp_path):
    by_hand = jobs_by_way(tmp_path, 5)[
        "clip, skip a loss that is not finite", "one NaN pixel"
    ].run()
    assert by_hand.num_left_out == 5
    assert not by_hand.is_finite


def test_the_clean_run_of_every_seed_is_there_to_compare_with(tmp_path):
    jobs = all_jobs(LabSettings(out=tmp_path, quick=True, seeds=2))
    assert [job.seed for job in jobs if job.window == 0] == [0, 1]
