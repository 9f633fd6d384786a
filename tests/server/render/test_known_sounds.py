"""The captions of the training sounds: conditions for prompts, and how familiar a prompt is."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from server.model.known_sounds import KnownSounds, Whitening
from server.model.text import Embedding, unit
from server.render.conditioning import condition, unconditional
from server.render.pipeline import Pipeline
from server.render.plans import plan
from server.requests.request import Request, TextToAudio, Vary
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration


def test_how_far_a_prompt_is_from_the_training_sounds(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    assert "prompt_distance" not in render_one(folder, "low").measures
    text = Pipeline(folder, "cpu", 1).text
    captions = ["low", "mid", "low hum"]
    np.savez(
        folder / "known_sounds.npz",
        captions=np.array(captions),
        embeddings=np.stack([text(caption) for caption in captions]).astype(np.float16),
        distances=np.array([0.0, 0.1, 0.3, 0.4], np.float32),
    )
    known, unknown = render_one(folder, "low").measures, render_one(folder, "high").measures
    assert known["prompt_distance"] == pytest.approx(0.0, abs=1e-3)
    assert known["nearest_sounds"][0] == "low"
    assert known["prompt_is_known"] is True
    assert unknown["prompt_distance"] > 0.3
    assert unknown["prompt_is_known"] is False


def mean(embeddings: Embedding, near: Embedding) -> Embedding:
    return unit(np.exp(20.0 * (embeddings @ near)) @ embeddings)


def test_a_prompt_is_conditioned_by_the_nearest_captions(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    text = Pipeline(folder, "cpu", 1).text
    captions = [*[f"low {k}" for k in range(8)], *[f"high {k}" for k in range(8)]]
    embeddings = np.stack([text(caption) for caption in captions])
    np.savez(folder / "known_sounds.npz", captions=np.array(captions), embeddings=embeddings)
    context = Pipeline(folder, "cpu", 1).context({})
    low, high = mean(embeddings[:8], text("low")), mean(embeddings[8:], text("high"))
    np.testing.assert_allclose(condition(TextToAudio(prompt="low"), context), low, atol=1e-6)
    away = unconditional(TextToAudio(prompt="low", negative_prompt="high"), context)
    np.testing.assert_allclose(away, high, atol=1e-6)
    # A blend is the mean of its parts' conditions, so that a fader moves evenly.
    blend = condition(TextToAudio(prompt="low:0.5 + high:0.5"), context)
    np.testing.assert_allclose(blend, unit(low + high), atol=1e-6)
    few = KnownSounds(("low 0",), embeddings[:1], None, np.empty(0, np.float32))
    np.testing.assert_array_equal(few.condition(text("high")), text("high"))


def test_each_seed_has_a_condition_of_its_own(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    text = Pipeline(folder, "cpu", 1).text
    captions = np.array([f"low {k}" for k in range(40)])
    embeddings = np.stack([text(caption) for caption in captions])
    audio = np.random.default_rng(0).standard_normal(embeddings.shape).astype(np.float32)
    np.savez(
        folder / "known_sounds.npz",
        captions=captions,
        embeddings=embeddings,
        heard_embeddings=audio,
    )
    pipeline = Pipeline(folder, "cpu", 1)

    def conditions(request: Request, seed: int) -> Embedding:
        resolved = resolve(request, pipeline.manifest)
        return plan(resolved, pipeline.context({})).conditions(seed)[0]

    request = TextToAudio(prompt="low", seed=1)
    assert not np.allclose(conditions(request, 1), conditions(request, 2))
    np.testing.assert_array_equal(conditions(request, 1), conditions(request, 1))
    assert np.linalg.norm(conditions(request, 1)) == pytest.approx(1.0, abs=1e-5)
    # Without variety all seeds have the prompt's own condition.
    plain = msgspec.structs.replace(request, variety=0.0)
    np.testing.assert_array_equal(conditions(plain, 1), conditions(plain, 2))
    np.testing.assert_allclose(
        conditions(plain, 1), condition(plain, pipeline.context({})), atol=1e-6
    )
    # A variation at distance 0 has its origin's condition, whatever its own seed.
    take = pipeline.render(msgspec.structs.replace(request, audio_length_in_s=0.5))[0]
    recipe = msgspec.to_builtins(take.recipe)
    still = Vary(clip="gone.wav", recipe=recipe, distance=0.0, seed=9)
    np.testing.assert_allclose(conditions(still, 9), conditions(request, 1), atol=1e-6)
    far = Vary(clip="gone.wav", recipe=recipe, distance=1.0, seed=9)
    np.testing.assert_allclose(conditions(far, 9), conditions(request, 9), atol=1e-6)


def test_whitening_gives_small_differences_weight() -> None:
    """Captions that mostly differ in how loudly something is played: a prompt names what plays."""
    loudness, kind = np.linspace(-1, 1, 40)[:, None], np.repeat([[-0.2], [0.2]], 20, axis=0)
    basis = np.eye(8, dtype=np.float32)[:2]
    coordinates = np.concatenate([loudness, kind], axis=1)
    scales = np.full((40, 1), 1 / 127)
    whitening = Whitening.of(
        {
            "embeddings": np.round(coordinates / scales).astype(np.int8),
            "scales": scales,
            "basis": basis,
            "mean": np.zeros(8, np.float32),
        }
    )
    assert whitening is not None
    assert Whitening.of({"embeddings": coordinates}) is None
    cosines = whitening.similarity(np.array([0.1, 0.2, 0, 0, 0, 0, 0, 0], np.float32))
    assert cosines[20:].max() > cosines[:20].max() + 0.1
    np.testing.assert_allclose(np.linalg.norm(whitening.keys, axis=1), 1.0, atol=1e-6)
    weights = coordinates.std(axis=0) ** -0.5
    expected = [0.1, 0.2] * weights / np.linalg.norm([0.1, 0.2] * weights)
    np.testing.assert_allclose(cosines, whitening.keys @ expected, atol=5e-3)


def test_the_nearest_sounds_do_not_say_the_same_twice(tiny_pipeline: Pipeline) -> None:
    captions = ("low", "low", "low", "high", "mid")
    embeddings = np.stack([tiny_pipeline.text(caption) for caption in captions])
    known = KnownSounds(captions, embeddings, None, np.empty(0, np.float32))
    named = known.nearest(tiny_pipeline.text("low"))["nearest_sounds"]
    assert named[0] == "low"
    assert sorted(named) == sorted(set(named))


def render_one(folder: Path, prompt: str):  # type: ignore[no-untyped-def]
    return Pipeline(folder, "cpu", 1).render(TextToAudio(prompt=prompt, audio_length_in_s=0.5))[0]
