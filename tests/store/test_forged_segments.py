"""Segments whose checksums are right and whose content is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from steadytrain.store import assembly
from steadytrain.store.framing import seed_of
from steadytrain.store.reader import SavedRun, read_run
from steadytrain.store.records import Kind, Record, RowBlock, encode_rows, encode_sites
from steadytrain.store.segments import SegmentHeader, frames, segment_path


def forged(run_dir: Path, *records: Record) -> SavedRun:
    header = SegmentHeader(run_id="forged", rank=0, number=1, first=1, session="s")
    path = segment_path(run_dir, 1)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(frames([header.to_record(), *records], 0, seed_of("forged", 1)))
    return read_run(run_dir)


def loss(steps: list[int], stat: str = "loss", width: int = 1) -> Record:
    values = np.ones((len(steps), width))
    return encode_rows(RowBlock(stat, 0, np.array(steps, dtype=np.int64), values))


def said(content: object) -> Record:
    return Record(Kind.EVENT, json.dumps({"epoch": 0, "data": content}).encode())


@pytest.mark.parametrize(
    "record",
    [
        Record(Kind.SITES, b'{"kind":"parameter","first":1073741824,"names":["a"]}'),
        Record(Kind.SITES, b'{"kind":"planet","first":0,"names":["a"]}'),
        Record(Kind.SITES, b'{"kind":"parameter","first":0,"names":[{}]}'),
        Record(Kind.SITES, b"[" * 100_000),
        Record(Kind.ROWS, b""),
        Record(Kind.ROWS, b"\xff" * 40),
        Record(Kind.ROWS, loss([0]).payload[:-1]),
        Record(Kind.TRUNCATE, b'{"epoch":-1,"step":0}'),
        Record(Kind.TRUNCATE, b'{"epoch":1e300,"step":0}'),
        Record(Kind.DROPPED, b"{}"),
        Record(Kind.META, b"[]"),
        Record(Kind.FINDING, b'{"epoch":0}'),
        Record(200, b"from the future"),  # type: ignore[arg-type]
        loss([-1]),
        loss([1 << 60]),
    ],
    ids=range(15),
)
def test_a_record_that_makes_no_sense_is_left_out_and_counted(tmp_path: Path, record) -> None:
    saved = forged(tmp_path, record, loss([7]))
    assert saved.history.measured("loss")[0].tolist() == [7]
    assert any("1 record could not be understood" in s for s in saved.missing)


@pytest.mark.parametrize(
    "content",
    [{}, {"step": "x"}, {"step": 1, "kind": "explode", "reason": ""}, {"step": 1e999}],
    ids=range(4),
)
def test_an_event_that_makes_no_sense_is_left_out_and_said(tmp_path: Path, content) -> None:
    saved = forged(tmp_path, said(content))
    assert saved.events == []
    assert "One event could not be understood." in saved.missing


def test_rows_of_an_unknown_statistic_are_named(tmp_path: Path) -> None:
    saved = forged(tmp_path, loss([0], "temperature"), loss([1]))
    assert saved.history.stats == ("loss",)
    assert any("temperature" in sentence for sentence in saved.missing)


def test_rows_wider_than_the_declared_sites_keep_their_numbers(tmp_path: Path) -> None:
    saved = forged(tmp_path, *encode_sites("parameter", 0, ["a"]), loss([0], "grad_norm", 3))
    assert saved.history.sites("grad_norm")[0] == "a"
    assert saved.history.window("grad_norm").tolist() == [[1, 1, 1]]


def test_a_name_declared_twice_does_not_merge_two_sites(tmp_path: Path) -> None:
    names = encode_sites("parameter", 0, ["a", "a"])
    history = forged(tmp_path, *names, loss([0], "grad_norm", 2)).history
    assert len(set(history.sites("grad_norm"))) == 2


def test_what_would_not_fit_into_memory_is_not_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(assembly, "MAX_CELLS", 1000)
    wide = encode_sites("parameter", 0, [f"p{i}" for i in range(400)])
    rows = [loss([step], "grad_norm", 400) for step in range(5)]
    saved = forged(tmp_path, *wide, *rows)
    assert any("more than 1,000 numbers" in sentence for sentence in saved.missing)
    assert saved.history.num_bytes < 400 * 8 * 64
