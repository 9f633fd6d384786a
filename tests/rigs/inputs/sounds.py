"""Sounds and yardsticks for the tests of the jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from server.audio.waveform import Waveform
from server.render.pipeline import Pipeline
from server.requests.request import Delivery, TextToAudio

Array = npt.NDArray[np.float64]


def noise(seconds: float, rate: int = 16000, channels: int = 1, level: float = 0.1) -> Array:
    """White noise [frames, channels]."""
    rng = np.random.default_rng(12)
    return level * rng.standard_normal((round(seconds * rate), channels))


def tones(seconds: float, rate: int = 16000, channels: int = 1, level: float = 0.1) -> Array:
    """Steady partials of 200 Hz up to 3 kHz, a little different in each channel."""
    t = np.arange(round(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * 200 * k * t + k * k) / k for k in range(1, 16))
    return np.stack([level * (1 - 0.2 * c) * sound for c in range(channels)], axis=1)


def familiar(pipeline: Pipeline, seconds: float, rate: int = 16000, channels: int = 1) -> Array:
    """What the model itself would make, softer in each further channel."""
    request = TextToAudio(
        prompt="bright", seed=3, audio_length_in_s=seconds, delivery=Delivery(sample_rate=rate)
    )
    sound = 0.5 * pipeline.render(request)[0].waveform.samples.astype(np.float64)
    return np.concatenate([sound * (1 - 0.2 * c) for c in range(channels)], axis=1)


def write(path: Path, samples: Array, rate: int = 16000, subtype: str = "PCM_16") -> str:
    """A sound file; its name."""
    soundfile.write(path, samples, rate, subtype=subtype)
    return str(path)


def stored(path: Path | str, dtype: str) -> npt.NDArray[np.generic]:
    """The samples of a file as they are stored."""
    return soundfile.read(path, dtype=dtype, always_2d=True)[0]


def similarity(pipeline: Pipeline, sound: Waveform, prompt: str) -> float:
    """CLAP similarity of a sound with a prompt."""
    return float(pipeline.audio(sound) @ pipeline.text(prompt))


def band_db(samples: Array, rate: int, low_hz: float, high_hz: float) -> float:
    """Power between two frequencies in dB."""
    spectrum = np.square(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))))
    hz = np.fft.rfftfreq(len(samples), 1 / rate)
    return 10 * float(np.log10(spectrum[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-12))


def log_spectra(sound: Waveform) -> Array:
    """Log-magnitude spectra of 32 ms frames, for comparing two sounds of one length."""
    mono = sound.downmix()
    length = round(0.032 * sound.sample_rate)
    frames = mono[: len(mono) // length * length].reshape(-1, length) * np.hanning(length)
    return np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-4)
