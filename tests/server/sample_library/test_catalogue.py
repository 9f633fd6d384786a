"""The catalogue: what is found, what survives, which rows are used again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from server.errors import InvalidRequest
from server.sample_library.catalogue import Catalogue
from server.sample_library.query import SampleSearch, Term, terms_of
from server.sample_library.sample import Description, Sample
from server.sample_library.scan import Found, Skipped, scan

DIM = 4


def heard(
    path: Path, folder: int, embedding: list[float], **measures: object
) -> tuple[Sample, np.ndarray]:
    about = Description(digest=b"", seconds=1.0, sample_rate=48000, channels=1, **measures)  # type: ignore[arg-type]
    sample = Sample(row=-1, folder=folder, path=path, size=1, mtime_ns=1, about=about)
    return sample, np.array(embedding, np.float32)


def found(catalogue: Catalogue, target: list[float], **conditions: object) -> list[str]:
    search = SampleSearch(**conditions)  # type: ignore[arg-type]
    return [s.path.name for s, _ in catalogue.nearest(search, np.array(target, np.float32))]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    made = Catalogue(tmp_path / "state", "tower", DIM)
    folder = made.add_folder(tmp_path / "sounds").id
    made.put(
        [
            heard(tmp_path / "sounds" / "x", folder, [1, 0, 0, 0], bpm=120.0),
            heard(tmp_path / "sounds" / "near x", folder, [0.96, 0.28, 0, 0], note=60.2),
            heard(tmp_path / "sounds" / "y", folder, [0, 1, 0, 0], note=71.9, character="loop"),
        ]
    )
    return made


def test_the_nearest_come_first_and_conditions_hold(catalogue: Catalogue) -> None:
    assert found(catalogue, [1, 0, 0, 0]) == ["x", "near x", "y"]
    assert found(catalogue, [1, 0, 0, 0], limit=1, offset=1) == ["near x"]
    assert found(catalogue, [1, 0, 0, 0], min_bpm=100) == ["x"]
    # 71.9 is nearly a C; 60.2 is one that is sharp.
    assert found(catalogue, [1, 0, 0, 0], note="C") == ["near x", "y"]
    assert found(catalogue, [1, 0, 0, 0], character="loop") == ["y"]
    assert found(catalogue, [1, 0, 0, 0], min_s=2.0) == []
    assert found(catalogue, [1, 0, 0, 0], diverse=0.9, limit=2) == ["x", "y"]


def test_rows_are_used_again_and_all_is_there_after_a_restart(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    (first, _), *_ = catalogue.nearest(SampleSearch(), np.array([1, 0, 0, 0], np.float32))
    catalogue.forget([first.row])
    assert found(catalogue, [1, 0, 0, 0]) == ["near x", "y"]
    catalogue.close()
    again = Catalogue(tmp_path / "state", "tower", DIM)
    assert found(again, [1, 0, 0, 0]) == ["near x", "y"]
    new = heard(tmp_path / "sounds" / "z", first.folder, [0, 0, 1, 0])
    again.put([new])
    assert [s.row for s, _ in again.nearest(SampleSearch(limit=1), new[1])] == [first.row]
    assert len(again) == 3
    again.close()


def test_more_sounds_than_the_matrix_had_rows(catalogue: Catalogue, tmp_path: Path) -> None:
    folder = catalogue.folders()[0].id
    many = [heard(tmp_path / f"{n}", folder, [0, 0, n + 1.0, 0]) for n in range(5000)]
    catalogue.put(many)
    assert found(catalogue, [0, 0, 1, 0], limit=2) == ["4999", "4998"]
    catalogue.close()


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("rain", [Term("rain", 1.0)]),
        ("rain:1 + hiss:-0.5", [Term("rain", 1.0), Term("hiss", -0.5)]),
        ("4:3 time + a:b", [Term("4:3 time", 1.0), Term("a:b", 1.0)]),
        ("  ", []),
        ("C++ sound", [Term("C++ sound", 1.0)]),
    ],
)
def test_queries(query: str, terms: list[Term]) -> None:
    assert terms_of(query) == terms


@pytest.mark.parametrize("query", [":1", "rain:11", "rain + :2", "rain + "])
def test_queries_that_cannot_be_understood(query: str) -> None:
    with pytest.raises(InvalidRequest, match="query"):
        terms_of(query)


def test_notes() -> None:
    assert [
        SampleSearch(note=note).pitch_class for note in ("C", "f#", "Bb", "B", "Cb", "e♭", "A4")
    ] == [*(0, 6, 10, 11, 11, 3, 9)]
    with pytest.raises(InvalidRequest, match="'H'"):
        _ = SampleSearch(note="H").pitch_class


def test_a_scan_stays_inside_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    inner = tmp_path / "b"
    inner.mkdir()
    (tmp_path / "a.WAV").write_bytes(b"1")
    (tmp_path / ".hidden.wav").write_bytes(b"1")
    (inner / "c.mp3").write_bytes(b"12")
    (inner / "notes.txt").write_bytes(b"1")
    (inner / "up").symlink_to(tmp_path)
    os.mkfifo(inner / "pipe.wav")
    seen = list(scan(tmp_path))
    assert [(s.path.name, s.size) for s in seen if isinstance(s, Found)] == [
        ("a.WAV", 1),
        ("c.mp3", 2),
    ]
    assert {s.path.name for s in seen if isinstance(s, Skipped)} == {"up", "pipe.wav"}
    with pytest.raises(OSError, match="nowhere"):
        list(scan(tmp_path / "nowhere"))
