"""Every public name of the room is documented, and the examples in the documentation run."""

import re
import signal
import textwrap

import pytest

import steadytrain.snapshots as room
from steadytrain.snapshots import cadence

NAMES = {name: getattr(room, name) for name in room.__all__} | {"Cadence": cadence.Cadence}
EXAMPLES = {
    name: block
    for name, value in NAMES.items()
    for block in re.findall(r"```python\n(.*?)```", value.__doc__ or "", re.DOTALL)
}


@pytest.fixture(autouse=True)
def default_sigterm():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_room_shows_how_it_is_used():
    assert {"Cadence", "Checkpoints", "Seal", "SnapshotRing", "StopSignals", "Stream", "capture"} <= set(EXAMPLES)  # fmt: skip


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_documented(name):
    assert NAMES[name].__doc__.partition("\n")[0].endswith(".")


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_example_runs(name):
    exec(compile(textwrap.dedent(EXAMPLES[name]), name, "exec"), {"__name__": "__main__"})
