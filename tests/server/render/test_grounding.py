"""Grounded takes: which sound they start from, how much of it they keep, what they say of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from server.errors import InvalidRequest, ModelError
from server.model.manifest import GROUNDING_FILE, Manifest, describe_file
from server.model.schedule import Latents
from server.render.pipeline import Pipeline
from server.render.plans import plan
from server.render.recipe import Recipe
from server.requests.request import Delivery, TextToAudio, Vary
from server.requests.resolved import resolve

pytestmark = pytest.mark.integration

NAMES = ("low one", "low two", "high one")
FRAMES = (8, 8, 3)
LOOPING = (True, True, False)


@pytest.fixture(scope="module")
def grounded_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' model with three known sounds and their latents."""
    folder = tmp_path_factory.mktemp("grounded") / "model"
    shutil.copytree(tiny_folder, folder)
    pipeline = Pipeline(folder, "cpu", 1)
    embeddings = np.stack([pipeline.text(name) for name in NAMES])
    np.savez(folder / "known_sounds.npz", captions=np.array(NAMES), embeddings=embeddings)
    drawn = np.random.default_rng(1)
    latent = pipeline.manifest.latent
    shape = (sum(FRAMES), latent.channels, latent.mel_bins)
    np.savez(
        folder / GROUNDING_FILE,
        latents=drawn.integers(-100, 100, shape).astype(np.int8),
        scales=np.full((3, latent.channels), 0.01, np.float16),
        frames=np.array(FRAMES, np.int32),
        looping=np.array(LOOPING),
        rows=np.arange(3, dtype=np.int32),
        credits=np.array([f"{name} (a pack, CC0-1.0)" for name in NAMES]),
    )
    manifest = Manifest.load(folder)
    files = manifest.files | {GROUNDING_FILE: describe_file(folder / GROUNDING_FILE)}
    msgspec.structs.replace(manifest, files=files).save(folder)
    return folder


@pytest.fixture
def pipeline(grounded_folder: Path) -> Pipeline:
    return Pipeline(grounded_folder, "cpu", 1)


def asked(share: float, prompt: str = "low", seed: int = 1) -> TextToAudio:
    return TextToAudio(
        prompt=prompt,
        seed=seed,
        grounding=share,
        audio_length_in_s=0.5,
        delivery=Delivery(sample_rate=16000),
    )


def stored(folder: Path, place: int) -> Latents:
    with np.load(folder / GROUNDING_FILE) as bank:
        first = sum(FRAMES[:place])
        codes = bank["latents"][first : first + FRAMES[place]].astype(np.float32)
    return codes.transpose(1, 0, 2) * np.float32(np.float16(0.01))


def test_a_take_without_grounding_names_no_sound(pipeline: Pipeline) -> None:
    plain = pipeline.render(asked(0.0))[0]
    assert "grounded_in" not in plain.measures
    assert plain.recipe.grounded_in == ""


def test_full_grounding_is_the_known_sound_itself(
    pipeline: Pipeline, grounded_folder: Path
) -> None:
    take = pipeline.render(asked(1.0, "high"))[0]
    assert take.recipe.grounded_in in {f"{name} (a pack, CC0-1.0)" for name in NAMES}
    place = next(k for k, name in enumerate(NAMES) if take.recipe.grounded_in.startswith(name))
    sound = pipeline.autoencoder.decode(stored(grounded_folder, place))
    got = take.waveform.downmix()[: len(sound) // 2]
    assert np.corrcoef(got, sound[: len(got)])[0, 1] > 0.99


def test_a_texture_is_repeated_and_a_short_sound_ends_in_silence(
    pipeline: Pipeline, grounded_folder: Path
) -> None:
    request = msgspec.structs.replace(asked(0.3), audio_length_in_s=2.0)
    planned = plan(resolve(request, pipeline.manifest), pipeline.context({}))
    assert planned.strength == pytest.approx(0.7)
    assert planned.start is not None
    assert planned.ground is not None
    for seed in range(20):
        place = NAMES.index(planned.ground(seed).credit.split(" (")[0])
        known, start = stored(grounded_folder, place), planned.start(seed)[0]
        frames = planned.windows.total
        assert start.shape[1] == frames
        np.testing.assert_allclose(start[:, : FRAMES[place]], known, atol=1e-6)
        beyond = start[:, FRAMES[place] : 2 * FRAMES[place]]
        if LOOPING[place]:
            np.testing.assert_allclose(beyond, known, atol=1e-6)
        else:
            silence = pipeline.autoencoder.encode(np.zeros(16000, np.float32))
            np.testing.assert_allclose(beyond, silence[:, : beyond.shape[1]], atol=0.1)


def test_the_prompt_and_the_seed_choose_the_sound(pipeline: Pipeline) -> None:
    said = {pipeline.render(asked(0.5, "low", seed))[0].recipe.grounded_in for seed in range(8)}
    assert {credit.split(" (")[0] for credit in said} >= {"low one", "low two"}
    again = [pipeline.render(asked(0.5, "low", 3))[0] for _ in range(2)]
    np.testing.assert_array_equal(again[0].waveform.samples, again[1].waveform.samples)


def test_a_recipe_names_the_sound_and_gives_the_take_again(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    take = pipeline.render(msgspec.structs.replace(asked(0.4), num_candidates=3))[0]
    assert take.measures["grounded_in"] == take.recipe.grounded_in != ""
    path = tmp_path / "take.wav"
    path.write_bytes(take.encode())
    read = Recipe.read(path)
    assert read.grounded_in == take.recipe.grounded_in
    assert isinstance(read.request, TextToAudio)
    again = pipeline.render(read.request)[0]
    np.testing.assert_allclose(again.waveform.samples, take.waveform.samples, atol=1e-5)


def test_a_variation_starts_from_its_takes_sound(pipeline: Pipeline) -> None:
    take = pipeline.render(asked(0.5))[0]
    recipe = msgspec.to_builtins(take.recipe)
    varied = [
        pipeline.render(Vary(clip="gone.wav", recipe=recipe, distance=0.5, seed=seed))[0]
        for seed in range(3)
    ]
    assert {one.recipe.grounded_in for one in varied} == {take.recipe.grounded_in}


@pytest.mark.parametrize("extra", [{"width": 0.5}, {"loop": True}, {"audio_length_in_s": 4.0}])
def test_every_shape_of_take_can_be_grounded(pipeline: Pipeline, extra: dict[str, object]) -> None:
    request = msgspec.structs.replace(asked(0.3, "high"), **extra)
    take = pipeline.render(request)[0]
    assert take.recipe.grounded_in
    assert np.isfinite(take.waveform.samples).all()


def test_a_model_without_a_bank_refuses_with_the_way_out(tiny_pipeline: Pipeline) -> None:
    with pytest.raises(InvalidRequest, match=r"grounding = 0\.3: .* set grounding to 0"):
        tiny_pipeline.render(asked(0.3))


def test_a_damaged_bank_is_named(grounded_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(grounded_folder, folder)
    path = folder / GROUNDING_FILE
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(ModelError, match="grounding"):
        Pipeline(folder, "cpu", 1).render(asked(0.3))
