"""Inpainting, continuation and super-resolution: what must stay stays, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import band_db, familiar, noise, similarity, stored, tones, write

from server.audio.splice import Span, band_of
from server.audio.waveform import Waveform
from server.errors import InvalidRequest, UnreadableAudio
from server.render.pipeline import Pipeline
from server.render.plans.inpaint import merged
from server.render.take import Take
from server.requests.request import Continue, Delivery, Inpaint

pytestmark = pytest.mark.integration

READ_AS = {
    "PCM_U8": "int16",
    "PCM_16": "int16",
    "PCM_24": "int32",
    "PCM_32": "int32",
    "FLOAT": "float32",
    "DOUBLE": "float64",
}


def saved(take: Take, path: Path) -> Path:
    path.write_bytes(take.encode())
    return path


@pytest.mark.parametrize("subtype", READ_AS)
@pytest.mark.parametrize(
    ("rate", "channels"), [(16000, 1), (44100, 2), (48000, 1), (22050, 3), (96000, 2), (8000, 1)]
)
def test_outside_the_regions_every_bit_stays(
    tiny_pipeline: Pipeline, tmp_path: Path, rate: int, channels: int, subtype: str
) -> None:
    clip = write(tmp_path / "in.wav", tones(3.0, rate, channels), rate, subtype)
    request = Inpaint(clip=clip, regions="0.8:1.3, 2.2:2.5", seed=1, crossfade_s=0.03)
    out = saved(tiny_pipeline.render(request)[0], tmp_path / "out.wav")
    info, before = soundfile.info(out), soundfile.info(clip)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (
        before.samplerate,
        before.channels,
        before.subtype,
        before.frames,
    )
    old, new = (stored(path, READ_AS[subtype]) for path in (clip, out))
    changed = np.flatnonzero((old != new).any(axis=1)) / rate
    inside = ((changed > 0.8 - 0.031) & (changed < 1.3 + 0.031)) | (
        (changed > 2.2 - 0.031) & (changed < 2.5 + 0.031)
    )
    assert inside.all()
    for start, end in ((0.8, 1.3), (2.2, 2.5)):
        share = ((changed >= start) & (changed < end)).sum() / ((end - start) * rate)
        assert share > (0.9 if subtype == "PCM_U8" else 0.95), "the region itself is new"


@pytest.mark.parametrize("subtype", ["PCM_32", "DOUBLE"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_what_is_continued_keeps_all_its_bits(
    tiny_pipeline: Pipeline, tmp_path: Path, subtype: str, side: str
) -> None:
    clip = write(tmp_path / "in.wav", tones(1.0, 48000, 2), 48000, subtype)
    request = Continue(clip=clip, side=side, audio_length_in_s=0.5, seed=1, crossfade_s=0.01)
    out = saved(tiny_pipeline.render(request)[0], tmp_path / "out.wav")
    old, new = (stored(path, READ_AS[subtype]) for path in (clip, out))
    kept = new[24000:][600:] if side == "before" else new[:48000][:-600]
    assert np.array_equal(kept, old[600:] if side == "before" else old[:-600])


def test_flac_16_stays_flac_16(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.flac", tones(1.0))
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="0.4:0.6", seed=1))[0]
    out = saved(take, tmp_path / f"out.{take.extension}")
    assert (soundfile.info(out).format, soundfile.info(out).subtype) == ("FLAC", "PCM_16")
    old, new = stored(clip, "int16"), stored(out, "int16")
    assert np.array_equal(old[:5000], new[:5000])
    assert not np.array_equal(old[6400:9600], new[6400:9600])


@pytest.mark.parametrize("sound", [tones, noise])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_region_joins_far_better_than_a_naive_splice(
    tiny_pipeline: Pipeline, tmp_path: Path, sound, rate: int
) -> None:
    clip = write(tmp_path / "in.wav", sound(4.0, rate), rate)
    measures = [
        tiny_pipeline.render(Inpaint(clip=clip, regions="1.5:2.2", seed=seed))[0].measures
        for seed in range(4)
    ]
    seams = np.array([m["seam_db"] for m in measures])
    naive = np.array([m["naive_seam_db"] for m in measures])
    assert (seams < naive).all()
    assert seams.mean() < 7.5
    assert seams.mean() < 0.5 * naive.mean()


def test_the_level_inside_is_the_level_around(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    for level in (1.0, 0.1, 0.01):
        sound = level * familiar(tiny_pipeline, 4.0, 48000, 2)
        clip = write(tmp_path / "in.wav", sound, 48000, "FLOAT")
        sound = tiny_pipeline.render(Inpaint(clip=clip, regions="1.5:2.2", seed=3))[0].waveform
        inside = Waveform(sound.samples[76800:100800], 48000)
        before = Waveform(sound.samples[:67200], 48000)
        assert abs(inside.rms_db - before.rms_db) < 3.0


def test_what_lies_above_the_models_band_goes_on(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    air = noise(4.0, 48000)
    air -= band_of(air.astype(np.float32), 48000, 0.0, 9000.0)
    clip = write(tmp_path / "in.wav", familiar(tiny_pipeline, 4.0, 48000) + air, 48000)
    out = tiny_pipeline.render(Inpaint(clip=clip, regions="1.5:2.2", seed=1))[0].waveform
    inside, around = out.samples[74400:103200, 0], out.samples[:28800, 0]
    difference = band_db(inside, 48000, 9000, 20000) - band_db(around, 48000, 9000, 20000)
    assert abs(difference) < 3.0


def test_the_prompt_fills_the_region_and_without_one_the_clip_itself_does(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", tones(4.0))

    def region(prompt: str) -> Waveform:
        request = Inpaint(prompt=prompt, clip=clip, regions="1:3", seed=2)
        samples = tiny_pipeline.render(request)[0].waveform.samples
        return Waveform(samples[17600:46400], 16000)

    own = tiny_pipeline.audio(Waveform.read(Path(clip)))
    assert similarity(tiny_pipeline, region("high"), "high") > similarity(
        tiny_pipeline, region(""), "high"
    )
    assert tiny_pipeline.audio(region("")) @ own > tiny_pipeline.audio(region("high")) @ own


def test_beats_say_the_same_as_seconds(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", tones(3.0))
    beats = Inpaint(clip=clip, regions="beats:2:4", bpm=120.0, seed=1)
    seconds = Inpaint(clip=clip, regions="1.0:2.0", seed=1)
    a, b = (tiny_pipeline.render(request)[0].waveform for request in (beats, seconds))
    assert np.array_equal(a.samples, b.samples)
    with pytest.raises(InvalidRequest, match="tempo"):
        tiny_pipeline.render(Inpaint(clip=clip, regions="beats:2:4"))


def test_a_box_changes_its_band_and_its_time_alone(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", noise(4.0, 48000), 48000, "PCM_24")
    request = Inpaint(prompt="mid", clip=clip, regions="hz:2000:6000@1.0:2.5", seed=1)
    out = tiny_pipeline.render(request)[0].waveform
    old = Waveform.read(Path(clip))
    assert np.array_equal(out.samples[:47000], old.samples[:47000])
    assert np.array_equal(out.samples[121000:], old.samples[121000:])
    change = (out.samples - old.samples)[52800:115200, 0]
    inside = band_db(change, 48000, 2000, 6000)
    assert inside > band_db(old.samples[52800:115200, 0], 48000, 2000, 6000) - 6
    assert band_db(change, 48000, 0, 1900) < inside - 60
    assert band_db(change, 48000, 6100, 24000) < inside - 60


def test_a_region_may_touch_the_ends_or_be_everything(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", tones(2.0))
    old = stored(clip, "float32")
    for regions, kept in (("0:0.5", slice(8400, None)), ("1.5:2.0", slice(0, 23600))):
        new = tiny_pipeline.render(Inpaint(clip=clip, regions=regions, seed=1))[0].waveform
        assert np.array_equal(new.samples[kept], old[kept])
        assert not np.array_equal(new.samples, old)
    whole = tiny_pipeline.render(Inpaint(clip=clip, regions="0:2", prompt="low", seed=1))[0]
    assert whole.waveform.frames == 32000


def test_a_region_outside_the_clip_is_refused(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", tones(1.0))
    with pytest.raises(InvalidRequest, match="outside the clip"):
        tiny_pipeline.render(Inpaint(clip=clip, regions="2:3"))
    for regions in ("1", "2:1", "a:b", "hz:1:2@", "hz:200@1:2", "-1:2", "nan:2", ","):
        with pytest.raises(InvalidRequest, match="region"):
            tiny_pipeline.render(Inpaint(clip=clip, regions=regions))


def test_regions_that_overlap_or_touch_are_one(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", tones(2.0))
    one = tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1.2", seed=1))[0]
    for regions in ("0.5:1.0, 0.8:1.2", "0.9:1.2, 0.5:0.9", "0.5:1.2, 0.6:0.7, 0.5:1.2"):
        same = tiny_pipeline.render(Inpaint(clip=clip, regions=regions, seed=1))[0]
        np.testing.assert_array_equal(same.waveform.samples, one.waveform.samples)
    band, other = Span(0, 9, 100.0, 200.0), Span(5, 12, 300.0, 400.0)
    assert merged([other, band]) == (band, other), "bands have their own joins"


def test_a_band_that_cannot_be_made_is_refused_and_one_that_can_in_part_is_made_in_part(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip = write(tmp_path / "in.wav", noise(1.0, 44100), 44100, "FLOAT")
    for regions, why in (
        ("hz:30000:40000@0.2:0.5", "above 8000 Hz"),
        ("hz:9000:12000", "above 8000 Hz"),
        ("hz:1000:1000.001", "at least 10 Hz"),
        ("hz:7999.9:9000", "above 8000 Hz"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            tiny_pipeline.render(Inpaint(clip=clip, regions=regions, seed=1))
    narrow = write(tmp_path / "low.wav", noise(1.0, 8000), 8000, "FLOAT")
    with pytest.raises(InvalidRequest, match="above 4000 Hz"):
        tiny_pipeline.render(Inpaint(clip=narrow, regions="hz:5000:6000@0:0.5", seed=1))
    old = Waveform.read(Path(clip)).samples[:, 0]
    request = Inpaint(clip=clip, prompt="high", regions="hz:4000:20000", seed=1)
    new = tiny_pipeline.render(request)[0].waveform.samples[:, 0]
    change = band_db(new - old, 44100, 8100, 22050) - band_db(old, 44100, 8100, 22050)
    assert change < -60, "what the model cannot make stays"
    assert band_db(new - old, 44100, 4400, 7500) > band_db(old, 44100, 4400, 7500) - 20


def test_far_regions_of_a_long_clip_cost_what_their_surroundings_cost(
    tiny_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write(tmp_path / "in.wav", tones(600.0, 8000), 8000)
    graph, frames = tiny_pipeline.graphs["unet"], []

    class Counting:
        def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
            frames.append(inputs["sample"].shape[0] * inputs["sample"].shape[2])
            return graph(**inputs)

    monkeypatch.setitem(tiny_pipeline.graphs, "unet", Counting())
    request = Inpaint(clip=clip, regions="10:10.5, 590:590.5", seed=1, num_inference_steps=1)
    out = tiny_pipeline.render(request)[0].waveform
    old = stored(clip, "float32")
    changed = np.flatnonzero((out.samples != old).any(axis=1)) / 8000
    assert changed.min() > 9.9
    assert changed.max() < 590.6
    assert not ((changed > 10.6) & (changed < 589.9)).any()
    assert sum(frames) < 2 * 2 * 100


@pytest.mark.parametrize("side", ["after", "before"])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 9.0])
def test_a_continuation_keeps_the_clip_and_goes_on_like_it(
    tiny_pipeline: Pipeline, tmp_path: Path, side: str, seconds: float
) -> None:
    clip = write(tmp_path / "in.wav", familiar(tiny_pipeline, 3.0, 44100, 2), 44100)
    request = Continue(clip=clip, audio_length_in_s=seconds, side=side, seed=1, crossfade_s=0.02)  # type: ignore[arg-type]
    take = tiny_pipeline.render(request)[0]
    old, new = stored(clip, "int16"), stored(saved(take, tmp_path / "out.wav"), "int16")
    added, fade = round(seconds * 44100), round(0.02 * 44100)
    assert len(new) == len(old) + added
    kept = new[added:][fade:] if side == "before" else new[: len(old)][:-fade]
    assert np.array_equal(kept, old[fade:] if side == "before" else old[:-fade])
    made = take.waveform.samples[:added] if side == "before" else take.waveform.samples[-added:]
    level = Waveform(made, 44100).rms_db - Waveform.read(Path(clip)).rms_db
    assert abs(level) < 3.0
    own = tiny_pipeline.audio(Waveform.read(Path(clip)))
    assert tiny_pipeline.audio(Waveform(made, 44100)) @ own > 0.5


def test_a_long_continuation_does_not_drift(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", familiar(tiny_pipeline, 3.0))
    slopes, seams, naive = [], [], []
    for seed in range(3):
        take = tiny_pipeline.render(Continue(clip=clip, audio_length_in_s=24.0, seed=seed))[0]
        new = take.waveform.samples[48000:]
        levels = [Waveform(part, 16000).rms_db for part in np.split(new, 24)]
        slopes.append(np.polyfit(np.arange(24), levels, 1)[0] * 24)
        seams.append(take.measures["seam_db"])
        naive.append(take.measures["naive_seam_db"])
    assert abs(np.mean(slopes)) < 1.5, "decibels from the first second to the last"
    assert np.mean(seams) < 0.6 * np.mean(naive)


def test_an_edit_is_processed_only_where_asked(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    loud = np.clip(tones(2.0, level=1.0), -1, 1)
    clip = write(tmp_path / "in.wav", loud)
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1", seed=1))[0]
    assert take.waveform.peak > 0.99, "a full-scale clip is not turned down"
    asked = Delivery(ceiling_dbfs=-6.0, sample_rate=48000, channels=2, file_format="wav32f")
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="0.5:1", seed=1, delivery=asked))[0]
    assert take.waveform.peak == pytest.approx(10 ** (-6 / 20), rel=1e-4)
    assert (take.waveform.sample_rate, take.waveform.channels, take.file_format) == (
        48000,
        2,
        "wav32f",
    )


def test_too_many_channels_are_refused(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    clip = write(tmp_path / "in.wav", noise(0.5, 16000, 9))
    with pytest.raises(UnreadableAudio, match="9 channels"):
        tiny_pipeline.render(Inpaint(clip=clip, regions="0.1:0.2"))
