"""A process that is killed loses steps, never the run."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_programs import assert_same, everything, make_program

import steadytrain as st
from steadytrain.store.reader import read_run

VICTIM = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from training_programs import make_program, mean_squared_error
import steadytrain as st

program = make_program()
def loss_fn(model, batch):
    if program.step == int(sys.argv[3]):
        import threading
        threading.Timer(float(sys.argv[4]), os.kill, (os.getpid(), signal.SIGKILL)).start()
    return mean_squared_error(model, batch)
program.loss_fn = loss_fn
st.train(program, 10_000, run_dir=sys.argv[2], checkpoint_every=1, progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.003, 0.007, 0.02])
def test_what_was_saved_before_the_kill_is_resumed_bit_for_bit(tmp_path, delay):
    here = str(Path(__file__).parent)
    arguments = [here, str(tmp_path), "9", str(delay)]
    killed = subprocess.run([sys.executable, "-c", VICTIM, *arguments], timeout=200)
    assert killed.returncode == -signal.SIGKILL
    resumed = make_program()
    start = max(int(path.stem[5:]) for path in (tmp_path / "checkpoints").glob("step-*.snapshot"))
    run = st.train(resumed, start + 6, run_dir=tmp_path, resume=True, progress=False)
    end = everything(resumed)
    straight = make_program()
    st.train(straight, start + 6, watch=False, progress=False)
    assert_same(everything(straight), end)
    assert start >= 8
    assert read_run(run.run_dir).history.steps.tolist() == list(range(start + 6))
