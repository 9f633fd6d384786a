"""A take plays at its place in the song, to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clap_host import ClapHost
from project_state import clap_state, noise, project, take, write


def _load(host: ClapHost, *takes: str, **parameters: float) -> None:
    host.restore(clap_state(project(*takes), **parameters))


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("start", [0, 33333, 100000])
def test_plays_from_its_anchor_in_blocks_of_any_length(
    host: ClapHost, tmp_path: Path, rate: int, start: int
) -> None:
    host.ask(f"rate {rate}")
    samples = noise(60000)
    _load(host, take(1, write(tmp_path / "a.wav", samples, rate), anchor=50000, rate=rate))
    played = host.run(120000, start)
    song = np.zeros((2, 300000), np.float32)
    song[:, 50000:110000] = samples
    np.testing.assert_array_equal(played, song[:, start : start + 120000])


def test_is_silent_while_the_song_is_stopped_or_play_is_off(host: ClapHost, tmp_path: Path) -> None:
    _load(host, take(1, write(tmp_path / "a.wav", noise(4000))))
    assert not host.run(4000).any()
    host.set(play=0)
    assert not host.run(4000, 0).any()


def test_mono_is_heard_on_both_sides(host: ClapHost, tmp_path: Path) -> None:
    samples = noise(4000, channels=1)
    _load(host, take(1, write(tmp_path / "a.wav", samples)))
    np.testing.assert_array_equal(host.run(4000, 0), np.vstack([samples, samples]))


def test_a_loop_of_bars_never_drifts(host: ClapHost, tmp_path: Path) -> None:
    """A bar of 133 bpm has 86616.54 frames at 48 kHz: each repetition begins at the next one."""
    length = 4 * 60 / 133 * 48000
    samples = noise(round(length))
    fields = {"bars": 1, "bpm": 133.0, "beats_per_bar": 4, "loop": 1}
    _load(host, take(1, write(tmp_path / "a.wav", samples), fields=fields), loop=1)
    for repetition in (0, 1, 7, 500):
        start = round(repetition * length)
        np.testing.assert_array_equal(host.run(5000, start), samples[:, :5000])
    seam = round(1001 * length)
    assert np.any(host.run(2, seam - 1), axis=0).all(), "no hole between two repetitions"


def test_the_input_passes_to_the_bit(host: ClapHost, tmp_path: Path) -> None:
    samples = noise(20000)
    np.testing.assert_array_equal(host.run(20000, input=samples), samples)


@pytest.mark.parametrize(
    ("mix", "dry_level", "take_level"), [(0, 1, 0), (0.25, 1, 0.5), (0.5, 1, 1), (1, 0, 1)]
)
def test_mix_goes_from_the_input_to_the_take(
    host: ClapHost, tmp_path: Path, mix: float, dry_level: float, take_level: float
) -> None:
    samples, track = noise(4000), noise(4000, seed=2)
    _load(host, take(1, write(tmp_path / "a.wav", samples)), mix=mix)
    host.run(64)
    expected = track * np.float32(dry_level) + samples * np.float32(take_level)
    np.testing.assert_allclose(host.run(4000, 0, input=track), expected, atol=1e-7)


def test_gain_and_dry_move_without_a_step(host: ClapHost, tmp_path: Path) -> None:
    constant = np.full((2, 4000), 0.5, np.float32)
    _load(host, take(1, write(tmp_path / "a.wav", constant)))
    host.run(512, 0, block=512)
    host.set(gain=-12, dry=0)
    played = host.run(1024, 512, block=512)
    assert np.abs(np.diff(played[0])).max() < 0.001
    assert played[0, -1] == pytest.approx(0.5 * 10 ** (-12 / 20), rel=1e-5)
    host.set(gain=-60)
    assert not host.run(1024, 1536, block=512)[:, 512:].any(), "the lowest gain is silence"


def test_the_parameter_take_chooses_and_0_is_the_newest(host: ClapHost, tmp_path: Path) -> None:
    first, second = noise(4000, seed=1), noise(4000, seed=2)
    takes = [take(1, write(tmp_path / "a.wav", first)), take(2, write(tmp_path / "b.wav", second))]
    _load(host, *takes)
    np.testing.assert_array_equal(host.run(4000, 0), second)
    host.set(take=1)
    np.testing.assert_array_equal(host.run(4000, 0), first)
    host.set(take=3)
    assert not host.run(4000, 0).any()


def test_trigger_plays_the_take_once_from_its_beginning(host: ClapHost, tmp_path: Path) -> None:
    samples = noise(4000)
    _load(host, take(1, write(tmp_path / "a.wav", samples), anchor=777777))
    host.run(64)
    host.set(trigger=1)
    played = host.run(6000)
    np.testing.assert_array_equal(played[:, :4000], samples)
    assert not played[:, 4000:].any()
    assert not host.run(4000).any(), "holding the button does not trigger again"


def test_a_missing_take_that_was_triggered_is_silent_when_it_comes_back(
    host: ClapHost, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    _load(host, take(1, path))
    host.run(64)
    host.set(trigger=1)
    assert not host.run(4000).any()
    write(path, noise(4000))
    _load(host, take(1, path))
    assert not host.run(4000).any()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_reads_every_encoding_of_wav(host: ClapHost, tmp_path: Path, subtype: str) -> None:
    import soundfile as sf

    path = write(tmp_path / "a.wav", noise(4000), subtype=subtype)
    _load(host, take(1, path))
    expected, _ = sf.read(path, dtype="float32")
    np.testing.assert_array_equal(host.run(4000, 0), expected.T)


@pytest.mark.parametrize(("file_rate", "rate"), [(48000, 44100), (44100, 48000), (16000, 48000)])
def test_a_file_of_another_rate_is_resampled(
    host: ClapHost, tmp_path: Path, file_rate: int, rate: int
) -> None:
    seconds = np.arange(file_rate) / file_rate
    tone = np.sin(2 * np.pi * 440 * seconds).astype(np.float32)[None] * 0.5
    host.ask(f"rate {rate}")
    _load(host, take(1, write(tmp_path / "a.wav", tone, file_rate), anchor=0))
    played = host.run(rate, 0)[0]
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    inside = slice(rate // 20, -rate // 20)
    assert np.abs(played - expected)[inside].max() < 1e-5


def test_a_loop_stays_without_a_seam_when_resampled(host: ClapHost, tmp_path: Path) -> None:
    frames = 48000
    tone = np.sin(2 * np.pi * 440 * np.arange(frames) / 48000).astype(np.float32)[None] * 0.5
    host.ask("rate 44100")
    path = write(tmp_path / "a.wav", tone)
    _load(host, take(1, path, fields={"loop": 1}), loop=1)
    played = host.run(88200, 0)[0]
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(88200) / 44100)
    assert np.abs(played - expected).max() < 1e-5


def test_a_change_of_the_sample_rate_keeps_the_place(host: ClapHost, tmp_path: Path) -> None:
    samples = noise(48000)
    _load(host, take(1, write(tmp_path / "a.wav", samples), anchor=48000))
    host.ask("rate 24000")
    played = host.run(48000, 0)
    assert not played[:, :23950].any()
    assert np.abs(played[:, 24100:47900]).max() > 0.05
    host.ask("rate 48000")
    np.testing.assert_array_equal(host.run(96000, 0)[:, 48000:], samples)
