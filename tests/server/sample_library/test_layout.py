"""The map: near sounds are near, a fader finds sounds everywhere, no sound is no error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from server.sample_library.layout import layout_of
from server.sample_library.vectors import Vectors


def vectors_of(folder: Path, embeddings: np.ndarray) -> Vectors:
    vectors = Vectors(folder / "v.f16", embeddings.shape[1])
    for row, embedding in enumerate(embeddings):
        vectors.put(row, embedding)
    return vectors


def test_groups_stay_together_and_axes_are_filled(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    centres = random.standard_normal((5, 32))
    groups = random.integers(0, 5, 500)
    embeddings = centres[groups] + 0.1 * random.standard_normal((500, 32))
    layout = layout_of(vectors_of(tmp_path, embeddings), np.arange(500))
    places = layout.places[:, :2]
    assert places.min() >= 0.0
    assert places.max() <= 1.0
    away = np.square(places[:, None] - places[None]).sum(axis=-1)
    np.fill_diagonal(away, np.inf)
    assert np.mean(groups[away.argmin(axis=1)] == groups) > 0.95
    for axis in places.T:
        assert np.diff(np.sort(axis)).max() < 0.35
    assert layout.nearest(*map(float, places[17])) == 17


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_sounds_have_places(tmp_path: Path, count: int) -> None:
    embeddings = np.random.default_rng(0).standard_normal((3, 8))
    layout = layout_of(vectors_of(tmp_path, embeddings), np.arange(count))
    assert layout.places.shape == (count, 3)
    assert np.isfinite(layout.places).all()
    assert layout.nearest(0.5, 0.5) in range(-1, count)


def test_a_map_keeps_its_sides(tmp_path: Path) -> None:
    embeddings = np.random.default_rng(0).standard_normal((200, 16)) * np.linspace(3, 0.2, 16) ** 2
    vectors = vectors_of(tmp_path, embeddings)
    before = layout_of(vectors, np.arange(190)).places
    after = layout_of(vectors, np.arange(200)).places[:190]
    assert np.corrcoef(before[:, 0], after[:, 0])[0, 1] > 0.9
