import subprocess
import sys
from pathlib import Path

import pytest

from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.lab import LabSettings, find_experiment
from steadytrain.lab.protocol import broken_experiments, experiment


@pytest.mark.parametrize(
    ("field", "value"),
    [("seeds", 0), ("epochs", 0), ("epochs", -1.0), ("epochs", float("nan")), ("jobs", 0)],
)
def test_settings_that_mean_nothing_are_refused(field, value):
    with pytest.raises(UsageError, match=f"{field} must be"):
        LabSettings(out=Path("out"), **{field: value})


def test_an_unknown_experiment_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean cookbook"):
        find_experiment("cook-book")


def test_an_undocumented_experiment_is_refused():
    def run(settings, report_progress=None, *, executor=None): ...

    with pytest.raises(UsageError, match="no section What is tried"):
        experiment(title="x")(run)


def test_nothing_of_ours_is_broken():
    assert broken_experiments() == []


def test_listing_does_not_import_torch():
    code = (
        "import sys; from steadytrain.lab import known_experiments; known_experiments();"
        "import steadytrain.lab.demo; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
