"""Whatever is named as a sound is a regular file, decoded in a process with limits."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from server.audio.clip import Clip
from server.audio.fence.pool import DECODERS, DecoderPool
from server.audio.fence.reading import load_clip
from server.audio.fence.wire import Ask, Facts
from server.audio.formats import FORMATS, FileFormat
from server.audio.waveform import Waveform
from server.errors import AudioLDMError, Cancelled, UnreadableAudio

MIB = 2**20


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def bound_socket(path: Path) -> Path:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()
    return path


def sparse(path: Path) -> Path:
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(600), 16000, format="WAV")
    path.write_bytes(sound.getvalue())
    os.truncate(path, 5 * 2**30)
    return path


def link_to_fifo(path: Path) -> Path:
    path.symlink_to(fifo(path.with_name("pipe")))
    return path


STRANGE: dict[str, Callable[[Path], Path]] = {
    "fifo": fifo,
    "socket": bound_socket,
    "sparse": sparse,
    "link": link_to_fifo,
    "stdin": lambda _: Path("/dev/stdin"),
    "zero": lambda _: Path("/dev/zero"),
    "nothing": lambda path: path,
    "folder": lambda path: path.parent,
    "name": lambda path: Path(f"{path}\0"),
}


def header(pool: DecoderPool, path: Path) -> Facts:
    return asyncio.run(pool.facts(path))


READERS: dict[str, Callable[[Path], Any]] = {
    "clip": lambda path: load_clip(str(path)),
    "facts": lambda path: header(DECODERS, path),
    "upload": lambda path: DECODERS.checked(path, "the clip"),
    "take": lambda path: DECODERS.converted(path, "flac"),
}


@pytest.mark.skipif(os.name != "posix", reason="these files are POSIX's")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_bounded_file_is_refused_at_once(tmp_path: Path, kind: str, reader: str) -> None:
    path = STRANGE[kind](tmp_path / "x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun_s = time.monotonic()
    with pytest.raises(AudioLDMError):
        READERS[reader](path)
    assert time.monotonic() - begun_s < 5
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024


def sound(seconds: float = 0.5, channels: int = 2) -> Waveform:
    noise = np.random.default_rng(1).normal(0, 0.1, (round(seconds * 16000), channels))
    return Waveform(noise.astype(np.float32), 16000)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_clip_is_what_it_is_without_a_fence(tmp_path: Path, file_format: FileFormat) -> None:
    path = tmp_path / "clip"
    path.write_bytes(sound().encode(file_format, "a recipe"))
    fenced, plain = load_clip(str(path)), Clip.read(path)
    np.testing.assert_array_equal(fenced.waveform.samples, plain.waveform.samples)
    assert fenced.waveform.sample_rate == plain.waveform.sample_rate
    assert (fenced.file_format, fenced.source) == (plain.file_format, path)
    assert fenced.digest == plain.digest
    assert fenced.metadata == plain.metadata
    assert (fenced.exact is None) == (plain.exact is None)
    if fenced.exact is not None and plain.exact is not None:
        assert fenced.exact.samples.dtype == plain.exact.samples.dtype
        np.testing.assert_array_equal(fenced.exact.samples, plain.exact.samples)


@pytest.mark.integration
def test_a_bomb_costs_an_error_and_the_next_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.flac"
    with soundfile.SoundFile(path, "w", 48000, 8, "PCM_24", format="FLAC") as file:
        for _ in range(30):
            file.write(np.zeros((48000 * 30, 8), np.float32))
    assert path.stat().st_size < 16 * MIB
    pool = DecoderPool(1)
    begun_s = time.monotonic()
    with (
        pytest.raises(UnreadableAudio, match="within bounds"),
        pool.asking(path, Ask(what="clip", path=str(path)), 0.5),
    ):
        pass
    assert time.monotonic() - begun_s < 5
    short = tmp_path / "short.wav"
    short.write_bytes(sound().encode("wav16"))
    assert header(pool, short).frames == 8000
    pool.close()


def test_a_decoder_that_died_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(sound().encode("wav16"))
    pool = DecoderPool(1)
    assert header(pool, path).frames == 8000
    pool._idle[0]._process.kill()
    pool._idle[0]._process.wait()
    assert header(pool, path).frames == 8000
    pool.close()


@pytest.mark.integration
def test_reading_is_given_up_when_nobody_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 48000, 2, "PCM_24", format="FLAC") as file:
        for _ in range(60):
            file.write(np.zeros((48000 * 30, 2), np.float32))

    def cancelled() -> None:
        raise Cancelled("nobody wants it")

    begun_s = time.monotonic()
    with pytest.raises(Cancelled):
        load_clip(str(path), cancelled)
    assert time.monotonic() - begun_s < 2


def test_the_second_file_is_read_within_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(sound(10.0).encode("wav24"))
    load_clip(str(path))
    times = []
    for _ in range(5):
        begun_s = time.monotonic()
        load_clip(str(path))
        times.append(time.monotonic() - begun_s)
    assert min(times) < 0.1


def test_a_header_does_not_wait_for_what_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(sound(60.0).encode("wav16"))
    pool = DecoderPool(1)
    with pool.asking(path, Ask(what="stream", path=str(path), sample_rate=48000)):
        begun_s = time.monotonic()
        assert header(pool, path).frames == 960_000
        assert time.monotonic() - begun_s < 10
    pool.close()
