"""The new part of a take is heard, fits its format, and leaves the clip as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import familiar, noise, stored, tones, write

import models
from server.audio.splice import Span
from server.audio.waveform import FileFormat, Samples, Waveform
from server.render.finishing.delivery import deliver
from server.render.pipeline import Pipeline
from server.render.plan import Finished
from server.render.recipe import Recipe
from server.render.redraw import MAX_DRAWS
from server.render.take import Take
from server.requests.request import (
    Continue,
    Delivery,
    Inpaint,
    Request,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
)

pytestmark = pytest.mark.integration

Decoders = Callable[[int], list[int]]


@pytest.fixture
def silent_at_first(tiny_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Decoders:
    """Makes the decoder give silence for its first calls; returns a list that counts them."""

    def patch(calls: int) -> list[int]:
        decode, seen = tiny_pipeline.autoencoder.decode, list[int]()

        def decoded(latent: Samples, *stretch: float) -> Samples:
            seen.append(1)
            return decode(latent, *stretch) * np.float32(len(seen) > calls)

        monkeypatch.setattr(tiny_pipeline.autoencoder, "decode", decoded)
        return seen

    return patch


def edits(clip: str, **common: object) -> list[Request]:
    shared = {"clip": clip, "prompt": "low", "seed": 1, "num_inference_steps": 2, **common}
    return [
        Inpaint(**shared, regions="0.8:1.2"),
        Continue(**shared, audio_length_in_s=0.5),
        Continue(**shared, audio_length_in_s=0.5, side="before"),
    ]


@pytest.mark.parametrize("silent", [1, 2, 3])
def test_a_silent_part_is_drawn_again(
    tiny_pipeline: Pipeline, tmp_path: Path, silent_at_first: Decoders, silent: int
) -> None:
    clip = write(tmp_path / "in.wav", familiar(tiny_pipeline, 2.0))
    seen = silent_at_first(silent)
    for request in edits(clip):
        seen.clear()
        (take,) = tiny_pipeline.render(request)
        assert take.measures["silent"] is False
        assert len(seen) == silent + 1
        assert take.recipe.request.seed == take.seed
        # The same seed alone, then another one.
        assert (take.seed == 1) == (silent == 1)
        assert bool(take.warnings) == (silent > 1)


def test_a_part_that_stays_silent_is_flagged_after_few_draws(
    tiny_pipeline: Pipeline, tmp_path: Path, silent_at_first: Decoders
) -> None:
    clip = write(tmp_path / "in.wav", noise(2.0))
    seen = silent_at_first(10_000)
    for request in [*edits(clip), TextToAudio(prompt="low", seed=1), Transfer(clip=clip, seed=1)]:
        seen.clear()
        (take,) = tiny_pipeline.render(request)
        assert (take.measures["silent"], take.seed) == (True, 1)
        assert take.measures["new_rms_db"] < -60
        assert len(seen) == MAX_DRAWS + 1
        assert "silent" in take.warnings[0]
        assert "other words" in take.warnings[0]


def test_a_silent_take_is_drawn_again_with_seeds_that_follow_from_its_own(
    tiny_pipeline: Pipeline, silent_at_first: Decoders
) -> None:
    request = TextToAudio(prompt="low", seed=1, audio_length_in_s=0.5)
    seen, takes = silent_at_first(1), list[Take]()
    for _ in range(2):
        seen.clear()
        takes += tiny_pipeline.render(request)
    assert takes[0].seed == takes[1].seed != 1
    assert takes[0].seed < 2**24
    assert not takes[0].silent
    assert "seed 1 gave silence" in takes[0].warnings[0]
    again = tiny_pipeline.render(takes[0].recipe.request)[0]
    np.testing.assert_array_equal(again.waveform.samples, takes[0].waveform.samples)


def test_a_silent_candidate_loses_to_one_that_sounds(
    tiny_pipeline: Pipeline, silent_at_first: Decoders
) -> None:
    silent_at_first(2)
    (take,) = tiny_pipeline.render(TextToAudio(prompt="low", num_candidates=4, seed=5))
    assert not take.silent
    assert take.seed in range(5, 9)


@pytest.mark.parametrize("prompt", ["silence", "a moment of silence", "Nothing"])
def test_where_silence_is_asked_for_nothing_is_drawn_again(
    tiny_pipeline: Pipeline, silent_at_first: Decoders, prompt: str
) -> None:
    seen = silent_at_first(10_000)
    (take,) = tiny_pipeline.render(TextToAudio(prompt=prompt, seed=1))
    assert take.silent
    assert len(seen) == 1


def test_silence_that_goes_on_is_no_reason_to_draw_again(
    tiny_pipeline: Pipeline, tmp_path: Path, silent_at_first: Decoders
) -> None:
    clip = write(tmp_path / "in.wav", np.zeros((32000, 1)))
    seen = silent_at_first(10_000)
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1", seed=1))[0]
    assert take.silent
    assert len(seen) == 1


@pytest.mark.parametrize(("file_format", "silent"), [("wav8", True), ("wav16", False)])
def test_silence_is_measured_in_the_file(file_format: FileFormat, silent: bool) -> None:
    """Eight bits end at -48 dB: what is softer is not in the file."""
    soft = np.random.default_rng(1).uniform(-0.0035, 0.0035, (48000, 1)).astype(np.float32)
    loud = np.concatenate([np.full((48000, 1), 0.5, np.float32), soft])
    edited = Finished(Waveform(loud, 48000), new=(Span(48000, 96000),), keeps_clip=True)
    delivered = deliver(edited, Delivery(file_format=file_format))
    assert delivered.measures["silent"] is silent


def test_the_measure_follows_the_part(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    """Other rates and cut-off silence move it; the rest of the clip does not count."""
    loud = np.concatenate([np.zeros((16000, 1)), tones(2.0, level=0.3)])
    clip = write(tmp_path / "in.wav", loud)
    request = Inpaint(
        clip=clip,
        regions="1.5:2",
        seed=1,
        delivery=Delivery(sample_rate=48000, trim=True, file_format="wav32f"),
    )
    take = tiny_pipeline.render(request)[0]
    cut = 144000 - take.waveform.frames
    assert 40000 < cut < 50000
    part = Waveform(take.waveform.samples[72000 - cut : 96000 - cut], 48000)
    assert take.measures["new_rms_db"] == pytest.approx(part.rms_db, abs=0.05)


def test_a_drawn_again_part_can_be_varied(
    tiny_pipeline: Pipeline, tmp_path: Path, silent_at_first: Decoders
) -> None:
    clip = write(tmp_path / "in.wav", familiar(tiny_pipeline, 2.0))
    request = Inpaint(clip=clip, prompt="low", regions="0.8:1.2", seed=1)
    seen = silent_at_first(1)
    drawn = tiny_pipeline.render(request)[0]
    path = tmp_path / "take.wav"
    path.write_bytes(drawn.encode())
    seen.clear()
    same = tiny_pipeline.render(Vary(clip=str(path), distance=0.0, seed=9))[0]
    np.testing.assert_allclose(same.waveform.samples, drawn.waveform.samples, atol=1e-5)


@pytest.fixture(scope="module")
def built_in() -> Pipeline:
    return Pipeline(Path(models.__path__[0]) / "tiny", "cpu", 2)


@pytest.fixture(scope="module")
def rain(built_in: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("rain") / "rain.wav"
    path.write_bytes(built_in.render(TextToAudio(prompt="heavy rain", seed=1))[0].encode())
    return str(path)


@pytest.mark.parametrize("prompt", ["a snare drum", "a deep kick drum"])
def test_a_drum_in_the_rain_is_heard(built_in: Pipeline, rain: str, tmp_path: Path, prompt: str):  # type: ignore[no-untyped-def]
    before = stored(rain, "int32")
    for request in (
        Inpaint(clip=rain, prompt=prompt, regions="1.5:2.5", seed=3),
        Continue(clip=rain, prompt=prompt, audio_length_in_s=2.0, seed=4),
    ):
        take = built_in.render(request)[0]
        path = tmp_path / "take.wav"
        path.write_bytes(take.encode())
        after, _ = soundfile.read(path, always_2d=True)
        first = 72000 if isinstance(request, Inpaint) else len(before)
        part = after[first : first + 48000]
        assert 10 * np.log10(np.mean(part**2)) > -40
        assert np.array_equal(stored(path, "int32")[: first - 960], before[: first - 960])
        again = built_in.render(Recipe.read(path).request)[0]
        np.testing.assert_array_equal(again.waveform.samples, take.waveform.samples)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_clip_with_headroom_is_never_driven_into_full_scale(
    tiny_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    sound = tones(2.0, channels=channels, level=0.3)
    clip = write(tmp_path / "in.wav", sound, subtype="PCM_24")
    decode = tiny_pipeline.autoencoder.decode
    monkeypatch.setattr(
        tiny_pipeline.autoencoder, "decode", lambda x, *stretch: 40.0 * decode(x, *stretch)
    )
    requests = [
        *edits(clip),
        Inpaint(clip=clip, regions="0.5:1, hz:2000:4000@1.2:1.6", seed=1),
        Upscale(clip=clip, cutoff_hz=3000.0, seed=1),
        Transfer(clip=clip, prompt="low", seed=1),
    ]
    for request in requests:
        take = tiny_pipeline.render(request)[0]
        (tmp_path / "out.wav").write_bytes(take.encode())
        out = np.abs(soundfile.read(tmp_path / "out.wav", always_2d=True)[0])
        assert (out >= 0.99999).sum() == 0
        if isinstance(request, Inpaint):
            assert np.array_equal(
                stored(tmp_path / "out.wav", "int32")[:7000], stored(clip, "int32")[:7000]
            )


OVER = 2.5


@pytest.mark.parametrize("file_format", ["wav8", "wav16", "wav24", "wav32", "flac", "flac16"])
@pytest.mark.parametrize("kind", [Inpaint, Continue, Transfer, Upscale])
def test_a_clip_above_full_scale_is_turned_down_and_said_or_kept(
    tiny_pipeline: Pipeline, tmp_path: Path, file_format: str, kind: type[Request]
) -> None:
    sound = tones(2.0, channels=2)
    sound *= OVER / np.abs(sound).max()
    clip = write(tmp_path / "in.wav", sound, subtype="FLOAT")
    own = {
        Inpaint: {"regions": "1:1.5"},
        Continue: {"audio_length_in_s": 0.5},
        Transfer: {"strength": 0.0},
        Upscale: {"cutoff_hz": 3000.0},
    }[kind]
    common = {"clip": clip, "prompt": "low", "seed": 3, "num_inference_steps": 2, **own}
    take = tiny_pipeline.render(kind(**common, delivery=Delivery(file_format=file_format)))[0]
    path = tmp_path / f"out.{take.extension}"
    path.write_bytes(take.encode())
    out, _ = soundfile.read(path, always_2d=True)
    assert (np.abs(out) >= 0.99).sum() == 0
    assert take.measures["attenuated_db"] == pytest.approx(20 * np.log10(OVER) + 1, abs=0.1)
    assert take.measures["peak_dbfs"] == pytest.approx(-1.0, abs=0.02)
    assert any("turned down" in said and "wav32f" in said for said in take.warnings)
    kept = out[:14000] * 10 ** (take.measures["attenuated_db"] / 20)
    if kind is not Upscale:
        np.testing.assert_allclose(kept, sound[:14000], atol=0.03 if "8" in file_format else 1e-3)
    whole = tiny_pipeline.render(kind(**common))[0]
    assert whole.file_format == "wav32f"
    if kind is not Upscale:
        assert whole.measures["attenuated_db"] == 0.0
        assert np.array_equal(whole.waveform.samples[:14000], sound[:14000].astype(np.float32))


def test_a_resampled_clip_does_not_clip(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    """Between the samples of a full-scale clip its wave is higher."""
    square = np.sign(tones(2.0)) * 0.999
    clip = write(tmp_path / "in.wav", square)
    delivery = Delivery(sample_rate=48000)
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="1:1.2", seed=1, delivery=delivery))[0]
    (tmp_path / "out.wav").write_bytes(take.encode())
    out, _ = soundfile.read(tmp_path / "out.wav")
    assert (np.abs(out) >= 0.99999).sum() == 0
    assert take.measures["attenuated_db"] > 1.0


@pytest.mark.parametrize("prompt", ["", "a snare drum"])
def test_a_part_of_a_very_soft_clip_is_as_loud_as_the_clip(
    built_in: Pipeline, tmp_path: Path, prompt: str
) -> None:
    sound = noise(3.0, 44100, level=10 ** (-70 / 20))
    clip = write(tmp_path / "in.wav", sound, 44100, subtype="PCM_24")
    request = Inpaint(clip=clip, prompt=prompt, regions="1:2", seed=4, num_inference_steps=4)
    take = built_in.render(request)[0]
    assert take.measures["new_rms_db"] == pytest.approx(-70, abs=6)
    assert not take.silent


def test_a_band_of_a_part_of_a_full_clip_stays_below_full_scale(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", np.sign(tones(2.0)), subtype="PCM_24")
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="hz:1000:6000@0.5:1.5", seed=4))[0]
    assert np.abs(take.waveform.samples[9000:23000]).max() < 0.9999
