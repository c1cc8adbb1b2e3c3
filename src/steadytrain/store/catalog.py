"""What lies in a run directory, before any row is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steadytrain.core.errors import RunVersionError
from steadytrain.store.documents import RUN_DOCUMENT, read_document
from steadytrain.store.scan import read_header, version_message
from steadytrain.store.segments import (
    SCHEMA_VERSION,
    SEGMENTS,
    SegmentHeader,
    segment_numbers,
    segment_path,
)


@dataclass(slots=True)
class Catalog:
    """Whose run it is, and the segments to read, oldest first."""

    run_id: str
    """Empty where neither run.json nor any segment tells."""
    document: Mapping[str, Any] | None
    numbers: list[int]
    superseded: list[int]
    """Left over from a merge that was interrupted; another segment holds their rows."""
    missing: list[str] = field(default_factory=list[str])


def read_catalog(run_dir: Path) -> Catalog:
    """The catalog of `run_dir`; an empty one where nothing was recorded.

    Raises:
        RunVersionError: the run was written by another schema version.
    """
    missing: list[str] = []
    document = _document(run_dir, missing)
    headers = dict(_headers(run_dir, document is not None, missing))
    run_id = _run_id(document, headers.values())
    spans = {n: h.first for n, h in headers.items() if h and h.run_id == run_id}
    covered = [n for n in headers if any(f <= n < m for m, f in spans.items())]
    superseded = [n for n in covered if n in spans]
    foreign = [n for n, h in headers.items() if h and h.run_id != run_id]
    numbers = [n for n in headers if n in foreign or n not in covered]
    missing += _gaps(numbers, spans, [n for n in numbers if headers[n] is None])
    return Catalog(run_id, document, numbers, superseded, missing)


def _document(run_dir: Path, missing: list[str]) -> Mapping[str, Any] | None:
    try:
        document = read_document(run_dir / RUN_DOCUMENT)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        missing.append(f"{RUN_DOCUMENT} cannot be read ({error}); what it said is lost.")
        return None
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise RunVersionError(version_message(f"the run in {run_dir}", version))
    return document


def _headers(
    run_dir: Path, is_known: bool, missing: list[str]
) -> Iterator[tuple[int, SegmentHeader | None]]:
    if (run_dir / SEGMENTS).is_symlink():
        missing.append(f"{SEGMENTS} is a symbolic link and was not followed.")
    for number in segment_numbers(run_dir):
        path = segment_path(run_dir, number)
        try:
            yield number, read_header(path, number)
        except FileNotFoundError:
            continue  # a merge has just taken it away
        except RunVersionError as error:
            if not is_known:
                raise
            missing.append(f"{SEGMENTS}/{path.name} was not read: {error}")
        except OSError as error:
            missing.append(f"{SEGMENTS}/{path.name} was not read: {error}.")


def _run_id(
    document: Mapping[str, Any] | None, headers: Iterator[SegmentHeader | None] | Any
) -> str:
    known = (document or {}).get("run_id")
    if isinstance(known, str) and known:
        return known
    votes = Counter(header.run_id for header in headers if header)
    return votes.most_common(1)[0][0] if votes else ""


def _gaps(numbers: Sequence[int], spans: Mapping[int, int], unclear: Sequence[int]) -> list[str]:
    """Sentences on the numbers that no segment accounts for."""
    gaps: list[str] = []
    expected = 1
    for number in numbers:
        first = spans.get(number, number)
        if first > expected:
            many = first - expected > 1
            which = f"Segments {expected} to {first - 1} are" if many else f"Segment {expected} is"
            maybe = f", or merged into segment {number}, whose header is damaged"
            gaps.append(f"{which} missing{maybe if number in unclear else ''}.")
        expected = number + 1
    return gaps
