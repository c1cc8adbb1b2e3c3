import gzip
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from steadytrain.core.errors import UsageError
from steadytrain.lab import LabSettings, find_experiment
from steadytrain.lab.lesson.plan import break_jobs, main_jobs, run_dir_of, scale_for
from steadytrain.lab.lesson.recipes import RECIPES

RUN = find_experiment("cookbook").run


def idx_folder(folder):
    random = np.random.default_rng(0)
    for name, count in (("train", 96), ("t10k", 32)):
        arrays = {
            "images-idx3": random.integers(0, 256, (count, 28, 28), dtype=np.uint8),
            "labels-idx1": np.arange(count, dtype=np.uint8) % 10,
        }
        for kind, array in arrays.items():
            sizes = struct.pack(f">{array.ndim}I", *array.shape)
            content = bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    return folder


def test_runs_on_a_folder_of_idx_files(tmp_path):
    settings = LabSettings(out=tmp_path / "out", data=idx_folder(tmp_path), quick=True, seeds=1)
    assert "96 training and 32 test images of 28x28" in RUN(settings).experiment.data


def test_a_folder_that_is_not_there_fails_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="is not a folder"):
        RUN(LabSettings(out=tmp_path / "out", data=tmp_path / "none"))
    assert not (tmp_path / "out").exists()


def test_runs_through_any_executor(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        result = RUN(LabSettings(out=tmp_path, quick=True, seeds=1), executor=pool)
    assert len(result.run_dirs) == len(RECIPES)


def test_twice_into_the_same_folder_gives_the_same_and_keeps_both(tmp_path):
    settings = LabSettings(out=tmp_path, quick=True, seeds=1)
    first, second = RUN(settings), RUN(settings)
    assert first.experiment == second.experiment
    assert not set(first.run_dirs) & set(second.run_dirs)
    assert [run.name for run in second.run_dirs][:2] == ["no-tricks-2", "batchnorm-2"]


def test_no_run_is_made_twice(tmp_path):
    settings = LabSettings(out=tmp_path)
    scale = scale_for(settings)
    jobs = [*main_jobs(scale, settings), *break_jobs(scale, settings)]
    keys = {(job.recipe, job.seed, job.epochs, job.rate_factor) for job in jobs}
    assert len(keys) == len(jobs) == 75


def test_a_longer_comparison_leaves_the_break_test_short(tmp_path):
    settings = LabSettings(out=tmp_path, data=tmp_path, epochs=5)
    scale = scale_for(settings)
    assert {job.epochs for job in main_jobs(scale, settings)} == {5}
    assert {job.epochs for job in break_jobs(scale, settings)} == {1}
    assert {job.rate_factor for job in break_jobs(scale, settings)} == set(scale.factors)


def test_a_large_data_set_is_broken_under_fewer_seeds_unless_asked(tmp_path):
    for seeds, num_runs in ((None, 55), (3, 75)):
        settings = LabSettings(out=tmp_path, data=tmp_path, seeds=seeds)
        scale = scale_for(settings)
        assert len(main_jobs(scale, settings) + break_jobs(scale, settings)) == num_runs


def test_configurations_have_folders_a_shell_can_name(tmp_path):
    names = [run_dir_of(tmp_path, recipe).name for recipe in RECIPES]
    assert names == [
        "no-tricks",
        "batchnorm",
        "groupnorm-1-c",
        "all-tricks",
        "all-tricks-as-written",
    ]
