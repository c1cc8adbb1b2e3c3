"""What the machine and the installation give is said, also where they are broken."""

import platform
import shutil

import torch

from steadytrain.cli import _environment


def test_a_machine_that_can_train_is_status_0(steadytrain):
    done = steadytrain("doctor-env")
    assert done.status == 0, done.out
    assert torch.__version__ in done.out
    assert platform.python_version() in done.out


def test_the_document_holds_what_the_table_shows(steadytrain):
    done = steadytrain("doctor-env", "--json")
    assert done.json["healthy"] is True
    names = {fact["name"] for fact in done.json["facts"]}
    assert {"python", "torch", "device", "threads", "disk", "pyarrow"} <= names


def test_a_torch_that_is_too_old_is_status_1(steadytrain, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.5.1+cu124")
    done = steadytrain("doctor-env", "--json")
    assert done.status == 1
    assert done.json["healthy"] is False
    (fact,) = [fact for fact in done.json["facts"] if fact["name"] == "torch"]
    assert (fact["state"], fact["advice"]) == ("problem", "Take torch 2.6 or newer.")


def test_a_look_that_fails_is_a_problem_and_the_others_go_on(monkeypatch):
    def break_it():
        raise OSError("no driver")

    monkeypatch.setattr(torch.cuda, "device_count", break_it)
    facts = {fact.name: fact for fact in _environment.look_around()}
    assert facts["devices"].state == "problem"
    assert "no driver" in facts["devices"].found
    assert facts["disk"].state == "ok"


def test_more_threads_than_cores_and_little_space_are_notes(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    usage = shutil.disk_usage(".")._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    facts = {fact.name: fact for fact in _environment.look_around()}
    assert (facts["threads"].state, facts["disk"].state) == ("note", "note")
    assert "OMP_NUM_THREADS" in facts["threads"].advice
