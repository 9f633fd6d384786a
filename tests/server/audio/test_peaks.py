"""Peaks are brought under a limit by gain alone; formats that cannot hold a sound refuse it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio.formats import FORMATS, FileFormat
from server.audio.peaks import at_peak, fitted, limited
from server.audio.splice import Span, replaced
from server.audio.waveform import Waveform
from server.errors import InvalidRequest

INTEGER = [name for name, (_, subtype) in FORMATS.items() if subtype.startswith("PCM")]


def sine(peak: float, hz: float = 440.0, rate: int = 48000, seconds: float = 0.5) -> np.ndarray:
    t = np.arange(round(rate * seconds)) / rate
    return np.asarray(peak * np.sin(2 * np.pi * hz * t)[:, None], np.float32)


def longest_run(samples: np.ndarray, level: float) -> int:
    """The most samples in a row at ``level`` or above: what clipping leaves."""
    longest = current = 0
    for high in np.abs(samples).max(axis=1) >= level:
        current = current + 1 if high else 0
        longest = max(longest, current)
    return longest


@settings(deadline=None, max_examples=50)
@given(
    st.floats(0.01, 1e6), st.floats(0.01, 2.0), st.sampled_from([8000, 48000]), st.integers(1, 3)
)
def test_the_limit_is_kept_and_no_wave_is_flattened(
    peak: float, limit: float, rate: int, channels: int
) -> None:
    sound = np.repeat(sine(peak, 300.0, rate, 0.2), channels, axis=1)
    out = limited(sound, limit, rate)
    assert np.abs(out).max() <= limit
    assert longest_run(out, 0.99999 * limit) <= 2
    if float(np.abs(sound).max()) <= limit:
        assert np.array_equal(out, sound)


def test_a_limited_bass_stays_a_sine() -> None:
    out = limited(sine(3.0, 60.0, seconds=2.0), 0.9, 48000)[24000:72000, 0]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    fundamental, rest = spectrum[55:66].max(), spectrum[115:].max()
    assert 20 * np.log10(rest / fundamental) < -60


def test_a_soft_part_beside_a_loud_one_keeps_its_level() -> None:
    sound = sine(0.2, seconds=2.0)
    sound[40000:40100] *= 20.0
    out = limited(sound, 0.9, 48000)
    assert np.array_equal(out[:35000], sound[:35000])
    assert np.array_equal(out[45000:], sound[45000:])


def test_channels_keep_their_balance() -> None:
    sound = np.hstack([sine(2.0), sine(0.5)])
    out = limited(sound, 0.9, 48000)
    loud = np.abs(out[:, 1]) > 0.01
    np.testing.assert_allclose(out[loud, 0] / out[loud, 1], 4.0, rtol=1e-4)


def test_a_peak_is_met_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for peak in rng.uniform(0.01, 1.0, 200):
        sound = Waveform(rng.standard_normal((50, 2)).astype(np.float32), 48000)
        assert at_peak(sound, peak).peak <= np.float32(peak)


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_does_not_fit_is_turned_down_as_a_whole(file_format: FileFormat) -> None:
    sound = Waveform(sine(2.5), 48000)
    out, attenuated_db = fitted(sound, file_format)
    if file_format not in INTEGER:
        assert (out, attenuated_db) == (sound, 0.0)
        return
    assert attenuated_db == pytest.approx(20 * np.log10(2.5) + 1.0, abs=0.01)
    assert out.peak == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    np.testing.assert_allclose(out.samples / out.peak, sound.samples / sound.peak, atol=1e-6)


@pytest.mark.parametrize("file_format", INTEGER)
def test_no_file_clips_what_it_holds(file_format: FileFormat) -> None:
    with pytest.raises(InvalidRequest, match=r"\+6\.02 dBFS.*wav32f"):
        Waveform(np.full((10, 1), 2.0, np.float32), 48000).encode(file_format)
    full = Waveform(sine(1.0), 48000)
    out, _ = soundfile.read(io.BytesIO(full.encode(file_format)), always_2d=True)
    assert np.abs(out - full.samples).max() <= 2.0**-7 if file_format == "wav8" else 2.0**-15


def test_the_limit_of_a_new_part_comes_after_all_that_raises_it() -> None:
    clip = Waveform(sine(0.3, seconds=2.0), 48000)
    loud = Waveform(sine(5.0, 1000.0, seconds=2.0), 48000)
    for span in (Span(30000, 60000), Span(30000, 60000, 200.0, 4000.0)):
        out = replaced(clip, loud, span, 960).samples
        assert np.abs(out).max() <= 10 ** (-1 / 20)
        assert longest_run(out, 0.89) <= 2
        assert np.array_equal(out[:29000], clip.samples[:29000])


def test_a_band_of_all_of_a_full_clip_is_not_flattened() -> None:
    clip = Waveform(sine(1.0, seconds=1.0), 48000)
    new = Waveform(clip.samples + sine(0.5, 6000.0, seconds=1.0), 48000)
    out = replaced(clip, new, Span(0, 48000, 4000.0, 8000.0), 0)
    np.testing.assert_allclose(out.samples[4800:-4800], new.samples[4800:-4800], atol=1e-3)
