"""The first signal lets the step finish, the second one does not wait."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from steadytrain.snapshots import StopSignals

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(autouse=True)
def default_handlers():
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in CODES]


@pytest.mark.parametrize("number", sorted(CODES))
def test_the_first_signal_is_only_noted(number):
    with StopSignals() as stop:
        assert (stop.requested, stop.exit_code, stop.by) == (False, 0, "")
        signal.raise_signal(number)
        assert stop.requested
    assert stop.exit_code == CODES[number]
    assert stop.is_preemption == (number == signal.SIGTERM)
    assert handlers() == [signal.default_int_handler, signal.SIG_DFL]


def stop_twice(stop):
    with stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_a_second_ctrl_c_raises_at_once():
    stop = StopSignals()
    with pytest.raises(KeyboardInterrupt):
        stop_twice(stop)
    assert stop.exit_code == 130


SECOND = """
import signal
from steadytrain.snapshots.signals import StopSignals
with StopSignals():
    signal.raise_signal(signal.{first})
    print("still here", flush=True)
    signal.raise_signal(signal.SIGTERM)
    print("never", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("first", ["SIGTERM", "SIGINT"])
def test_a_second_sigterm_ends_the_process_at_once(first):
    code = SECOND.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM
    assert done.stdout == "still here\n"


def test_signals_that_the_user_handles_are_left_to_them():
    seen = []
    signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    with StopSignals() as stop:
        signal.raise_signal(signal.SIGTERM)
    assert seen == [1]
    assert not stop.requested


def test_in_another_thread_nothing_is_installed():
    found = []

    def enter():
        with StopSignals():
            found.extend(handlers())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler, signal.SIG_DFL]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker_dies_of_the_signal_as_it_would_have():
    with StopSignals() as stop:
        worker = os.fork()
        if not worker:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(7)
        status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    assert status == -signal.SIGTERM
    assert not stop.requested
