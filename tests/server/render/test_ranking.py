"""Ranking of candidates: by the listener's scores, by note and tempo, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.errors import RenderError
from server.model.listener import NO_SCORE, Listener
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


class Scores:
    """A listener that gives each call the next of some scores."""

    def __init__(self, *scores: float | Exception) -> None:
        self.scores = list(scores)

    def score(self, latent: Any, target: Any) -> float:
        score = self.scores.pop(0)
        if isinstance(score, Exception):
            raise score
        return score


def candidates(*scores: float | None) -> list[Candidate]:
    latent = np.zeros((1, 1, 1, 1), np.float32)
    return [Candidate(seed, latent, score) for seed, score in enumerate(scores)]


def seeds(found: list[Candidate]) -> list[int]:
    return [candidate.seed for candidate in found]


def test_the_best_are_decoded_first() -> None:
    assert seeds(best_first(candidates(0.1, 0.4, -0.2, 0.3))) == [1, 3, 0, 2]
    assert seeds(best_first(candidates(0.1, None, 0.2))) == [0, 1, 2]


def test_decoding_stops_when_enough_takes_match(pipeline: Pipeline) -> None:
    request = TextToAudio(prompt="rain", seed=1, audio_length_in_s=0.5)
    take = pipeline.render(request)[0]
    planned = plan(resolve(request, pipeline.manifest), pipeline.context({}))
    four = candidates(0.1, 0.4, -0.2, 0.3)
    assert not enough([take], four, planned, 2)
    assert enough([take, take], four, planned, 2)
    # A note is measured in the finished sound: only what plays it counts.
    named = replace(planned, notation=Notation(note=60.0))
    sharp = replace(take, measures={"note_cents": 80.0})
    right = replace(take, measures={"note_cents": 20.0})
    assert not enough([sharp, sharp, sharp], four, named, 1)
    assert enough([sharp, right], four, named, 1)
    # Without scores only the decoded takes can be ranked: the last may be the best.
    assert not enough([right], candidates(None, None), named, 1)


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
    monkeypatch.setattr(pipeline, "listener", Scores(0.1, RenderError("failed"), 0.3, 0.2))
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


def test_a_failed_score_comes_last(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "listener", Scores(RenderError("failed"), -0.5))
    request = TextToAudio(prompt="rain", seed=1, num_waveforms_per_prompt=2, audio_length_in_s=0.5)
    takes = pipeline.render(request)
    assert [take.measures["score"] for take in takes] == [-0.5, NO_SCORE]


def test_long_sounds_are_scored_in_even_pieces(pipeline: Pipeline, tiny_folder: Path) -> None:
    lengths: list[int] = []

    def graph(*, log_mel: Any) -> list[Any]:
        lengths.append(log_mel.shape[1])
        return [np.array([[1.0, 0.0]], np.float32)]

    latent = Manifest.load(tiny_folder).latent
    frames = 3 * pipeline.autoencoder.chunk - 1
    long = np.zeros((2, latent.channels, frames, latent.mel_bins), np.float32)
    listener = Listener(graph, pipeline.autoencoder)  # type: ignore[arg-type]
    assert listener.score(long, np.array([0.6, 0.8], np.float32)) == pytest.approx(0.6)
    assert sum(lengths) == 2 * frames * latent.time_factor
    assert max(lengths) <= pipeline.autoencoder.chunk_mels
    assert max(lengths) - min(lengths) <= 1
