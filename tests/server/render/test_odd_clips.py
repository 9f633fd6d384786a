"""Clips from recorders that crashed, and clips far above full scale."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.audio.clip import LOUDEST, Clip
from server.audio.fence.checks import decode_clip
from server.audio.waveform import Waveform
from server.errors import InvalidRequest, UnreadableAudio
from server.render.pipeline import Pipeline
from server.requests.request import Inpaint, TextToAudio, Transfer

TONE = (0.3 * np.sin(np.arange(24000) * 0.05)).astype(np.float32)


def encoded(container: str, subtype: str = "PCM_16", samples: np.ndarray = TONE) -> bytearray:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 48000, format=container, subtype=subtype)
    return bytearray(buffer.getvalue())


def unfinished(container: str) -> bytes:
    """A file whose header was never completed."""
    data = encoded(container)
    if container == "AU":
        data[8:12] = bytes(4)
    elif container == "RF64":
        sizes = data.index(b"ds64") + 8
        data[sizes : sizes + 24] = bytes(24)
    else:
        at = data.index(b"data")
        data[4:8] = data[at + 4 : at + 8] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("container", ["WAV", "RF64", "AU"])
def test_a_length_of_0_is_read_to_the_end(tmp_path: Path, container: str) -> None:
    data = unfinished(container)
    path = tmp_path / "crashed.wav"
    path.write_bytes(data)
    for source in (path, data):
        clip = Clip.read(source)
        np.testing.assert_array_equal(
            clip.waveform.samples, Clip.read(bytes(encoded(container))).waveform.samples
        )
        assert clip.file_format == "wav16"
    assert decode_clip(path).seconds == 0.5


def test_a_finished_and_empty_file_stays_empty(tmp_path: Path) -> None:
    empty = encoded("WAV", samples=TONE[:0]) + b"LIST\x04\x00\x00\x00INFO"
    with pytest.raises(UnreadableAudio, match="holds no samples"):
        Clip.read(bytes(empty))


def test_a_clip_far_above_full_scale_is_named(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    for peak, said in ((1e30, r"samples up to 1e\+30"), (np.inf, "not numbers")):
        loud = TONE.copy()
        loud[1000] = peak
        path.write_bytes(encoded("WAV", "FLOAT", loud))
        for request in (
            Transfer(prompt="low", clip=str(path)),
            Inpaint(clip=str(path), regions="0:0.1"),
            TextToAudio(audio_prompt=str(path)),
        ):
            with pytest.raises(UnreadableAudio, match=said) as refused:
                tiny_pipeline.render(request)
            assert str(path) in str(refused.value)


def test_a_loop_of_one_sample_can_be_transferred(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    path.write_bytes(Waveform.mono(TONE[:1], 48000).encode("wav16"))
    request = Transfer(prompt="low", clip=str(path), loop=True, num_inference_steps=1, seed=1)
    assert tiny_pipeline.render(request)[0].waveform.frames == 1


def test_the_loudest_clip_that_is_read_can_be_worked_on(
    tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "loud.wav"
    path.write_bytes(encoded("WAV", "FLOAT", TONE / 0.3 * np.float32(0.99 * LOUDEST)))
    request = Transfer(prompt="low", clip=str(path), num_inference_steps=2, seed=1)
    assert np.isfinite(tiny_pipeline.render(request)[0].waveform.samples).all()


def test_beats_of_our_own_loop_need_no_tempo(tiny_pipeline: Pipeline, tmp_path: Path) -> None:
    loop = TextToAudio(prompt="hum", bars=2, bpm=97.0, loop=True, num_inference_steps=2, seed=1)
    path = tmp_path / "loop.wav"
    path.write_bytes(tiny_pipeline.render(loop)[0].encode())
    beats = Inpaint(clip=str(path), regions="beats:4:6", num_inference_steps=2, seed=1)
    seconds = Inpaint(clip=str(path), regions="beats:4:6", bpm=97.0, num_inference_steps=2, seed=1)
    first, second = (tiny_pipeline.render(request)[0] for request in (beats, seconds))
    np.testing.assert_array_equal(first.waveform.samples, second.waveform.samples)
    path.write_bytes(Waveform.mono(TONE, 48000).encode("wav16"))
    with pytest.raises(InvalidRequest, match=r"loop.wav carries none; give one \(bpm\)"):
        tiny_pipeline.render(beats)
