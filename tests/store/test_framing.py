from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from steadytrain.store.framing import HEADER_BYTES, MAGIC, Damage, Frame, encode, scan, seed_of

SEED = seed_of("run", 1)
payloads = st.lists(st.binary(max_size=60), min_size=1, max_size=8)


def framed(contents: list[bytes], seed: int = SEED) -> bytes:
    return b"".join(encode(3, i, c, seed) + c for i, c in enumerate(contents))


def found(data: bytes, seed: int = SEED) -> list[tuple[int, bytes]]:
    return [(p.sequence, bytes(p.payload)) for p in scan(data, seed) if isinstance(p, Frame)]


@given(payloads)
def test_finds_every_frame_that_was_encoded(contents: list[bytes]) -> None:
    assert found(framed(contents)) == list(enumerate(contents))


@given(payloads, st.data())
def test_a_flipped_bit_loses_one_frame_and_changes_none(contents: list[bytes], data) -> None:
    encoded = bytearray(framed(contents))
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    left = found(bytes(encoded))
    assert set(left) < set(enumerate(contents))
    assert len(left) == len(contents) - 1


@given(payloads, st.data())
def test_a_cut_leaves_exactly_the_frames_before_it(contents: list[bytes], data) -> None:
    encoded = framed(contents)
    cut = data.draw(st.integers(0, len(encoded)))
    ends = [len(framed(contents[: i + 1])) for i in range(len(contents))]
    pieces = list(scan(encoded[:cut], SEED))
    assert found(encoded[:cut]) == [
        c for c, e in zip(enumerate(contents), ends, strict=True) if e <= cut
    ]
    assert all(piece.unfinished for piece in pieces if isinstance(piece, Damage))


@given(payloads, st.binary(min_size=1, max_size=80))
def test_garbage_between_frames_is_passed_over(contents: list[bytes], garbage: bytes) -> None:
    parts = [encode(3, i, c, SEED) + c for i, c in enumerate(contents)]
    assert found(garbage.join([b"", *parts, b""])) == list(enumerate(contents))


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_never_raises_on_garbage(garbage: bytes) -> None:
    assert sum(p.stop - p.start for p in scan(MAGIC + garbage, 0) if isinstance(p, Damage)) > 0


def test_frames_of_another_segment_are_not_believed() -> None:
    assert found(framed([b"row"]), seed_of("run", 2)) == []


def test_a_length_beyond_the_cap_is_not_believed() -> None:
    header = encode(3, 0, b"", SEED)
    assert len(header) == HEADER_BYTES
    forged = header[:12] + (1 << 31).to_bytes(4, "little") + header[16:]
    assert found(forged + framed([b"kept"])) == [(0, b"kept")]
