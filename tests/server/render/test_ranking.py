"""Which of several renders become takes: the listener's verdicts, notation, order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.errors import RenderError
from server.model.listener import UNHEARD, Listener
from server.model.manifest import Manifest
from server.render.pipeline import Pipeline
from server.render.plan import plan
from server.render.ranking import Candidate, best_first, enough
from server.requests.notation import Notation
from server.requests.request import TextToAudio
from server.requests.resolved import resolve


@pytest.fixture(scope="module")
def pipeline(tiny_folder: Path) -> Pipeline:
    return Pipeline(tiny_folder, device="cpu", threads=1)


class Ear:
    """Gives each call the next verdict; notes what it heard."""

    def __init__(self, *fits: float | Exception) -> None:
        self.fits = list(fits)

    def fit(self, latent: Any, target: Any) -> float:
        verdict = self.fits.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


def renders(*fits: float | None) -> list[Candidate]:
    return [
        Candidate(seed, np.zeros((1, 1, 1, 1), np.float32), fit) for seed, fit in enumerate(fits)
    ]


def seeds(found: list[Candidate]) -> list[int]:
    return [render.seed for render in found]


def test_the_best_are_finished_first() -> None:
    assert seeds(best_first(renders(0.1, 0.4, -0.2, 0.3))) == [1, 3, 0, 2]
    assert seeds(best_first(renders(0.1, None, 0.2))) == [0, 1, 2]


def test_no_more_are_finished_than_it_takes(pipeline: Pipeline) -> None:
    request = TextToAudio(prompt="rain", seed=1, audio_length_in_s=0.5)
    take = pipeline.render(request)[0]
    planned = plan(resolve(request, pipeline.manifest), pipeline.context({}))
    four = renders(0.1, 0.4, -0.2, 0.3)
    assert not enough([take], four, planned, 2)
    assert enough([take, take], four, planned, 2)
    # A note is measured in the finished sound: only what plays it counts.
    named = replace(planned, notation=Notation(note=60.0))
    sharp = replace(take, measures={"note_cents": 80.0})
    right = replace(take, measures={"note_cents": 20.0})
    assert not enough([sharp, sharp, sharp], four, named, 1)
    assert enough([sharp, right], four, named, 1)
    # What has no ear of its own is heard when it is finished: the last may be the best.
    assert not enough([right], renders(None, None), named, 1)


def test_only_what_is_wanted_is_vocoded(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocoded = 0
    decode = pipeline.autoencoder.decode

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal vocoded
        vocoded += 1
        return decode(*args, **kwargs)

    monkeypatch.setattr(pipeline.autoencoder, "decode", counted)
    monkeypatch.setattr(pipeline, "listener", Ear(0.1, RenderError("deaf"), 0.3, 0.2))
    request = TextToAudio(
        prompt="rain", seed=10, num_candidates=2, num_waveforms_per_prompt=2, audio_length_in_s=0.5
    )
    takes = pipeline.render(request)
    assert vocoded == 2
    assert [take.measures["score"] for take in takes] == [0.3, 0.2]
    assert [take.measures["rank"] for take in takes] == [1, 2]
    assert [take.recipe.request.seed for take in takes] == [12, 13]
    # Its recipe gives the same take, alone.
    monkeypatch.setattr(pipeline, "listener", None)
    alone = pipeline.render(takes[0].recipe.request)[0]
    np.testing.assert_array_equal(alone.waveform.samples, takes[0].waveform.samples)


def test_what_cannot_be_heard_comes_last(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "listener", Ear(RenderError("deaf"), -0.5))
    request = TextToAudio(prompt="rain", seed=1, num_waveforms_per_prompt=2, audio_length_in_s=0.5)
    takes = pipeline.render(request)
    assert [take.measures["score"] for take in takes] == [-0.5, UNHEARD]


def test_long_sounds_are_heard_in_even_pieces(pipeline: Pipeline, tiny_folder: Path) -> None:
    lengths: list[int] = []

    def graph(*, log_mel: Any) -> list[Any]:
        lengths.append(log_mel.shape[1])
        return [np.array([[1.0, 0.0]], np.float32)]

    latent = Manifest.load(tiny_folder).latent
    frames = 3 * pipeline.autoencoder.chunk - 1
    long = np.zeros((2, latent.channels, frames, latent.mel_bins), np.float32)
    ear = Listener(graph, pipeline.autoencoder)  # type: ignore[arg-type]
    assert ear.fit(long, np.array([0.6, 0.8], np.float32)) == pytest.approx(0.6)
    assert sum(lengths) == 2 * frames * latent.time_factor
    assert max(lengths) <= pipeline.autoencoder.chunk_mels
    assert max(lengths) - min(lengths) <= 1
