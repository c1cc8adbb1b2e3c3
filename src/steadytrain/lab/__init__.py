"""One file, one experiment with its expected result."""

from steadytrain.lab.protocol import (
    ExperimentInfo,
    LabResult,
    LabSettings,
    ProgressReport,
    find_experiment,
    known_experiments,
)

__all__ = [
    "ExperimentInfo",
    "LabResult",
    "LabSettings",
    "ProgressReport",
    "find_experiment",
    "known_experiments",
]
