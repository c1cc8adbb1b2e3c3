from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_runs import add_step, record, steps_of, wrong_numbers

from steadytrain.core.errors import RunNotFoundError, RunVersionError
from steadytrain.store.framing import Damage, Frame, scan, seed_of
from steadytrain.store.reader import SavedRun, read_run
from steadytrain.store.records import Kind
from steadytrain.store.segments import segment_path
from steadytrain.store.writer import RunWriter

STEPS = range(30)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed run of thirty flushes in three segments, with a rollback in the second."""
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    record(run_dir, range(10))
    writer = record(run_dir, range(10, 22), close=False)
    writer.truncate(15)
    for step in range(15, 22):
        add_step(writer, step)
        writer.flush()
    writer.close()
    record(run_dir, range(22, 30))
    return run_dir


@pytest.fixture
def run_dir(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def damaged(run_dir: Path, number: int, data: bytes) -> SavedRun:
    segment_path(run_dir, number).write_bytes(data)
    return read_run(run_dir)


def test_the_whole_run_misses_nothing(whole: Path) -> None:
    saved = read_run(whole)
    assert steps_of(saved.history) == list(STEPS)
    assert saved.missing == []
    assert wrong_numbers(saved.history) == []


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(1, 3), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_loses_at_most_one_step_and_says_so(run_dir, number, place, bit) -> None:
    path = segment_path(run_dir, number)
    original = path.read_bytes()
    data = bytearray(original)
    data[int(place * len(data))] ^= 1 << bit
    saved = damaged(run_dir, number, bytes(data))
    path.write_bytes(original)
    assert wrong_numbers(saved.history) == []
    assert saved.missing
    for stat in ("loss", "grad_norm"):
        assert len(set(STEPS) - set(steps_of(saved.history, stat))) <= 1
        assert not set(steps_of(saved.history, stat)) - set(STEPS)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(1, 3), place=st.floats(0, 1, exclude_max=True))
def test_a_cut_loses_what_follows_in_the_segment_and_says_so(run_dir, number, place) -> None:
    path = segment_path(run_dir, number)
    original = path.read_bytes()
    saved = damaged(run_dir, number, original[: int(place * len(original))])
    path.write_bytes(original)
    assert wrong_numbers(saved.history) == []
    assert saved.missing
    others = {1: range(10, 30), 2: [*range(10), *range(22, 30)], 3: range(22)}[number]
    assert set(others) <= set(steps_of(saved.history))


def test_zeroed_bytes_lose_only_what_they_cover(run_dir: Path) -> None:
    data = bytearray(segment_path(run_dir, 1).read_bytes())
    data[1000:1400] = bytes(400)
    saved = damaged(run_dir, 1, bytes(data))
    assert wrong_numbers(saved.history) == []
    assert 25 <= len(steps_of(saved.history)) < 30
    assert any("damaged bytes from byte" in m and "lost" in m for m in saved.missing)


def test_bytes_taken_out_of_the_middle_are_noticed(run_dir: Path) -> None:
    data = segment_path(run_dir, 1).read_bytes()
    saved = damaged(run_dir, 1, data[:1000] + data[1300:])
    assert wrong_numbers(saved.history) == []
    assert any("lost" in sentence for sentence in saved.missing)


def test_a_file_written_twice_over_counts_once(run_dir: Path, whole: Path) -> None:
    data = segment_path(run_dir, 3).read_bytes()
    saved = damaged(run_dir, 3, data + data)
    assert steps_of(saved.history) == list(STEPS)
    assert saved.missing == []


def test_a_segment_in_another_place_is_not_believed(run_dir: Path) -> None:
    saved = damaged(run_dir, 1, segment_path(run_dir, 3).read_bytes())
    assert steps_of(saved.history) == list(range(10, 30))
    assert any("another place" in sentence for sentence in saved.missing)


def test_a_segment_of_another_run_is_not_believed(run_dir: Path, tmp_path: Path) -> None:
    record(tmp_path / "other", range(100, 110))
    saved = damaged(run_dir, 2, segment_path(tmp_path / "other", 1).read_bytes())
    assert not set(steps_of(saved.history)) & set(range(100, 110))
    assert any("another run" in sentence for sentence in saved.missing)


def test_a_missing_segment_is_named(run_dir: Path) -> None:
    segment_path(run_dir, 2).unlink()
    saved = read_run(run_dir)
    assert steps_of(saved.history) == [*range(10), *range(22, 30)]
    assert "Segment 2 is missing." in saved.missing


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_the_rows_survive_a_damaged_run_document(run_dir: Path, content: bytes) -> None:
    (run_dir / "run.json").write_bytes(content)
    saved = read_run(run_dir)
    assert steps_of(saved.history) == list(STEPS)
    assert any("run.json cannot be read" in sentence for sentence in saved.missing)


def test_a_writer_takes_up_a_run_without_its_document(run_dir: Path) -> None:
    run_id = read_run(run_dir).meta["run_id"]
    (run_dir / "run.json").unlink()
    record(run_dir, range(30, 33))
    saved = read_run(run_dir)
    assert saved.meta["run_id"] == run_id
    assert steps_of(saved.history) == list(range(33))


def test_names_survive_the_loss_of_one_of_their_declarations(run_dir: Path) -> None:
    assert _lose(run_dir, 1, Kind.SITES, copies=1).history.sites("grad_norm")[0] == "a.weight"


def test_rows_without_their_names_say_so_and_stay_right(tmp_path: Path) -> None:
    record(tmp_path / "run", range(10))
    saved = _lose(tmp_path / "run", 1, Kind.SITES, copies=9)
    assert all("its name is lost" in name for name in saved.history.sites("grad_norm"))
    assert any("The names of 3 parameter sites" in sentence for sentence in saved.missing)
    assert wrong_numbers(saved.history) == []


def test_a_lost_rollback_is_inferred_and_said(run_dir: Path) -> None:
    data = bytearray(segment_path(run_dir, 2).read_bytes())
    saved = _lose(run_dir, 2, Kind.TRUNCATE, copies=9)
    assert len(data) == segment_path(run_dir, 2).stat().st_size
    assert steps_of(saved.history) == list(STEPS)
    assert any("step 15, where it went on, is assumed" in sentence for sentence in saved.missing)


def _lose(run_dir: Path, number: int, kind: Kind, copies: int) -> SavedRun:
    """Flips a bit in the first `copies` records of a kind, and wherever later segments say them."""
    for later in range(number, 4):
        path = segment_path(run_dir, later)
        if not path.exists() or (kind == Kind.SITES and later > number):
            continue
        data = bytearray(path.read_bytes())
        seed = seed_of(read_run(run_dir).meta["run_id"], later)
        found = [p for p in scan(bytes(data), seed) if isinstance(p, Frame) and p.kind == kind]
        for frame in found[:copies]:
            data[frame.offset + 30] ^= 1
        path.write_bytes(data)
    return read_run(run_dir)


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_never_yields_a_wrong_number(run_dir: Path, seed: int) -> None:
    generator = random.Random(seed)
    for number in range(1, 4):
        data = bytearray(segment_path(run_dir, number).read_bytes())
        for _ in range(generator.randrange(6)):
            start = generator.randrange(len(data))
            data[start : start + generator.randrange(200)] = generator.randbytes(
                generator.randrange(200)
            )
        segment_path(run_dir, number).write_bytes(data)
    saved = read_run(run_dir)
    assert wrong_numbers(saved.history) == []
    assert set(steps_of(saved.history)) <= set(STEPS)


@pytest.mark.parametrize("seed", range(40))
def test_random_bytes_are_read_as_nothing(tmp_path: Path, seed: int) -> None:
    path = segment_path(tmp_path, 1)
    path.parent.mkdir()
    path.write_bytes(random.Random(seed).randbytes(seed * 97))
    saved = read_run(tmp_path)
    assert len(saved.history) == 0
    assert saved.missing


def test_links_and_pipes_are_not_opened(run_dir: Path, tmp_path: Path) -> None:
    moved = segment_path(run_dir, 1).rename(tmp_path / "elsewhere")
    segment_path(run_dir, 1).symlink_to(moved)
    segment_path(run_dir, 2).unlink()
    os.mkfifo(segment_path(run_dir, 2))
    saved = read_run(run_dir)
    assert steps_of(saved.history) == list(range(22, 30))
    assert any("symbolic link" in sentence for sentence in saved.missing)
    assert any("not a regular file" in sentence for sentence in saved.missing)


def test_a_linked_folder_of_segments_is_not_followed(run_dir: Path, tmp_path: Path) -> None:
    moved = (run_dir / "segments").rename(tmp_path / "elsewhere")
    (run_dir / "segments").symlink_to(moved)
    assert len(read_run(run_dir).history) == 0


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused_and_left_as_it_is(run_dir: Path, version: object) -> None:
    document = run_dir / "run.json"
    text = document.read_text().replace('"schema_version":1', f'"schema_version":"{version}"')
    document.write_text(text)
    before = sorted((p, p.read_bytes()) for p in run_dir.rglob("*") if p.is_file())
    for use in (read_run, RunWriter):
        with pytest.raises(RunVersionError, match="reads and writes version 1"):
            use(run_dir)
    assert sorted((p, p.read_bytes()) for p in run_dir.rglob("*") if p.is_file()) == before


def test_a_thousand_segments_are_read(tmp_path: Path) -> None:
    source = record(tmp_path / "source", range(1))
    folder = tmp_path / "run" / "segments"
    folder.mkdir(parents=True)
    data = segment_path(source.run_dir, 1).read_bytes()
    for number in range(1, 1001):
        (folder / f"{number:06}.seg").write_bytes(data if number == 1 else b"")
    assert steps_of(read_run(tmp_path / "run").history) == [0]


def test_damage_reports_are_pieces_of_the_file(run_dir: Path) -> None:
    data = segment_path(run_dir, 1).read_bytes()
    pieces = list(scan(data[:500] + b"?" + data[500:], seed_of("wrong", 1)))
    assert [type(piece) for piece in pieces] == [Frame, Damage]


def test_an_empty_directory_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError):
        read_run(tmp_path)
