"""Any sound a musician may have: a good result or a clear sentence, never a crash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import noise, tones, write

from server.audio.clip import Clip
from server.audio.splice import band_of
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, Cancelled, InvalidRequest, UnreadableAudio
from server.render.pipeline import Pipeline
from server.requests.request import (
    REQUESTS,
    ClipRequest,
    Continue,
    Fill,
    Inpaint,
    Morph,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
    parse_request,
)

pytestmark = pytest.mark.integration


def jobs(clip: str) -> list[ClipRequest]:
    few = {"clip": clip, "seed": 1, "num_inference_steps": 2}
    return [
        Transfer(**few, strength=0.5),
        Transfer(**few, prompt="low", strength=0.4, loop=True),
        Inpaint(**few, regions="0:0.05", prompt="low"),
        Continue(**few, audio_length_in_s=0.4),
        Continue(**few, audio_length_in_s=0.4, side="before", prompt="low"),
        Upscale(**few, cutoff_hz=2000.0, bandwidth="model"),
    ]


ODD = {
    "one sample": np.full((1, 1), 0.5),
    "ten samples": noise(10 / 16000),
    "silence": np.zeros((16000, 1)),
    "direct current": np.full((16000, 1), 0.25),
    "offset": noise(1.0) + 0.3,
    "clipped": np.clip(noise(1.0, level=3.0), -1, 1),
    "above full scale": noise(0.5, level=4.0),
    "very soft": noise(0.5, level=1e-6),
    "half silent": np.concatenate([noise(0.5), np.zeros((8000, 1))]),
    "one click": np.eye(1, 16000, 8000).T,
    "two equal channels": np.repeat(noise(0.5), 2, axis=1),
    "one silent channel": np.concatenate([noise(0.5), np.zeros((8000, 1))], axis=1),
    "eight channels": noise(0.3, channels=8),
}


def expected_silence(request: ClipRequest, sound: Waveform, frames: int) -> bool:
    """Whether the new part, and not the whole file, is silent or 24 dB below the clip."""
    if isinstance(request, Upscale):
        clip = Waveform.read(Path(request.clip))
        band = band_of(sound.samples, sound.sample_rate, 2000.0, 8000.0)
        return Waveform(band, 16000).rms_db < min(-60.0, clip.rms_db - 60.0)
    if isinstance(request, Transfer):
        return sound.rms_db < -60
    new = slice(0, 800) if isinstance(request, Inpaint) else slice(frames, None)
    new = slice(0, 6400) if isinstance(request, Continue) and request.side == "before" else new
    kept = np.delete(sound.samples, np.arange(len(sound.samples))[new], axis=0)
    level, around = (Waveform(x, 16000).rms_db for x in (sound.samples[new], kept))
    return level < -60 or (len(kept) > 3200 and level < around - 24)


@pytest.mark.parametrize("name", ODD)
def test_odd_sounds_are_worked_on(tiny_pipeline: Pipeline, tmp_path: Path, name: str) -> None:
    clip = write(tmp_path / "in.wav", ODD[name], subtype="FLOAT")
    frames, channels = ODD[name].shape
    for request in jobs(clip):
        take = tiny_pipeline.render(request)[0]
        sound = take.waveform
        assert np.isfinite(sound.samples).all()
        added = 6400 if isinstance(request, Continue) else 0
        assert sound.frames == frames + added
        assert sound.channels == channels
        assert sound.peak <= max(1.0, float(np.abs(ODD[name]).max())) + 1e-6
        assert take.measures["silent"] == expected_silence(request, sound, frames)


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 22050, 44100, 88200, 192000, 384000])
def test_any_rate_is_worked_on(tiny_pipeline: Pipeline, tmp_path: Path, rate: int) -> None:
    clip = write(tmp_path / "in.wav", noise(0.5, rate), rate)
    for request in jobs(clip):
        if isinstance(request, Upscale) and rate < 4000:
            continue
        sound = tiny_pipeline.render(request)[0].waveform
        assert sound.sample_rate == (max(rate, 16000) if isinstance(request, Upscale) else rate)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        (".wav", "PCM_U8"),
        (".wav", "PCM_32"),
        (".wav", "DOUBLE"),
        (".wav", "ULAW"),
        (".wav", "IMA_ADPCM"),
        (".aiff", "PCM_16"),
        (".caf", "PCM_24"),
        (".flac", "PCM_24"),
        (".mp3", "MPEG_LAYER_III"),
        (".ogg", "VORBIS"),
        (".w64", "PCM_16"),
    ],
)
def test_any_file_type_is_worked_on(
    tiny_pipeline: Pipeline, tmp_path: Path, suffix: str, subtype: str
) -> None:
    path = tmp_path / f"in{suffix}"
    soundfile.write(path, tones(1.0), 16000, subtype=subtype)
    take = tiny_pipeline.render(Inpaint(clip=str(path), regions="0.4:0.5", seed=1))[0]
    out = tmp_path / f"out.{take.extension}"
    out.write_bytes(take.encode())
    old = soundfile.read(path, dtype="float32", always_2d=True)[0]
    new = soundfile.read(out, dtype="float32", always_2d=True)[0]
    # The MP3 decoder itself does not give the same samples twice.
    np.testing.assert_allclose(new[:6000], old[:6000], atol=1e-7 if suffix == ".mp3" else 0.0)


def test_what_is_no_clip_says_so(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    write(tmp_path / "nothing.wav", np.zeros((0, 1)))
    write(tmp_path / "nan.wav", np.array([[0.0], [np.nan], [0.0]]), subtype="FLOAT")
    write(tmp_path / "infinite.wav", np.array([[0.0], [np.inf]]), subtype="FLOAT")
    write(tmp_path / "slow.wav", noise(1.0, 100), 100)
    cut = Path(write(tmp_path / "whole.flac", tones(1.0))).read_bytes()[:900]
    (tmp_path / "cut.flac").write_bytes(cut)
    for name, why in {
        "text.wav": "cannot be read as audio",
        "empty.wav": "cannot be read as audio",
        "nothing.wav": "no samples",
        "nan.wav": "NaN",
        "infinite.wav": "infinite",
        "slow.wav": "1000 to 768000 Hz",
        "cut.flac": "cut",
        "missing.wav": "does not exist",
    }.items():
        with pytest.raises(UnreadableAudio, match=why):
            tiny_pipeline.render(Transfer(clip=str(tmp_path / name), prompt="low"))
    with pytest.raises(InvalidRequest, match="folder"):
        tiny_pipeline.render(Transfer(clip=str(tmp_path), prompt="low"))
    with pytest.raises(InvalidRequest, match="clip"):
        parse_request({"kind": "transfer", "clip": ""})


def test_an_hour_is_edited_in_one_place_or_refused_where_all_of_it_is_meant(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    second = tones(1.0, 8000)
    clip = write(tmp_path / "hour.wav", np.tile(second, (3600, 1)), 8000)
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="3000:3000.5", seed=1))[0]
    assert take.waveform.frames == 3600 * 8000
    for request in (Transfer(clip=clip, prompt="low"), Upscale(clip=clip, cutoff_hz=2000.0)):
        with pytest.raises(InvalidRequest, match="600 s"):
            tiny_pipeline.render(request)
    longer = write(tmp_path / "longer.wav", np.tile(second, (3601, 1)), 8000)
    with pytest.raises(UnreadableAudio, match="3600 s"):
        tiny_pipeline.render(Inpaint(clip=longer, regions="0:1"))


def test_a_service_brings_its_own_way_to_find_clips(tiny_folder: Path) -> None:
    asked = []

    def uploads(name: str) -> Clip:
        asked.append(name)
        return Clip(Waveform(tones(1.0).astype(np.float32), 16000), "wav16")

    pipeline = Pipeline(tiny_folder, "cpu", 1, clips=uploads)
    take = pipeline.render(Transfer(clip="upload:7", prompt="low", strength=0.0))[0]
    assert asked == ["upload:7"]
    assert take.file_format == "wav16"
    np.testing.assert_array_equal(take.waveform.samples, tones(1.0).astype(np.float32))


def test_every_job_stops_within_one_step_and_counts_its_steps(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    clip, take = write(tmp_path / "in.wav", noise(1.0)), tmp_path / "take.wav"
    few = {"seed": 1, "num_inference_steps": 3, "audio_length_in_s": 1.0}
    words = TextToAudio(prompt="low", **few)
    take.write_bytes(tiny_pipeline.render(words)[0].encode())
    others = [
        words,
        Morph(prompt="low > high", **few),
        Vary(clip=str(take), seed=2),
        Fill(clip=clip, other=clip, num_waveforms_per_prompt=1, **few),
    ]
    assert {type(request) for request in [*jobs(clip), *others]} == set(REQUESTS)
    for request in [*jobs(clip), *others]:
        seen: list[tuple[int, int]] = []
        tiny_pipeline.render(request, lambda *step, seen=seen: seen.append(step))
        assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
        assert {total for _, total in seen} == {len(seen)}

        def stop(done: int, total: int, seen: list[tuple[int, int]] = seen) -> None:
            seen.append((done, total))
            raise Cancelled("enough")

        seen.clear()
        with pytest.raises(Cancelled):
            tiny_pipeline.render(request, stop)
        assert len(seen) == 1


def test_errors_are_of_the_tree(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    """Whatever is wrong with a clip or a request, the service can answer it."""
    clip = write(tmp_path / "in.wav", noise(0.2))
    for values in (
        {"kind": "transfer", "clip": clip, "strength": 2.0},
        {"kind": "inpaint", "clip": clip, "regions": "7:8"},
        {"kind": "vary", "clip": clip},
        {"kind": "upscale", "clip": clip, "cutoff_hz": 9000},
        {"kind": "morph", "prompt": "low"},
        {"kind": "text", "prompt": "low", "audio_prompt": "/no/such/file.wav"},
    ):
        with pytest.raises(AudioLDMError):
            tiny_pipeline.render(parse_request(values))


def test_a_stereo_clip_stays_as_wide_as_it_was(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    low, high = (
        tiny_pipeline.render(TextToAudio(prompt=p, seed=2, audio_length_in_s=3.0))[0].waveform
        for p in ("low", "high")
    )
    sides = 0.5 * np.concatenate([low.samples, high.samples], axis=1)
    clip = write(tmp_path / "in.wav", sides, 48000)
    take = tiny_pipeline.render(Inpaint(clip=clip, regions="1:2", seed=1))[0]
    inside = take.waveform.samples[50400:93600]
    left, right = (Waveform(np.ascontiguousarray(inside[:, k : k + 1]), 48000) for k in (0, 1))
    for side, other, prompt in ((left, right, "low"), (right, left, "high")):
        word = tiny_pipeline.text(prompt)
        assert tiny_pipeline.audio(side) @ word > tiny_pipeline.audio(other) @ word
