"""A captioned folder of synthetic sounds in three classes that are easy to distinguish."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Waveform

__all__ = ["CLASSES", "RULES", "band_noise", "click_loop", "make_sounds", "tone"]

CLASSES = ("low", "mid", "high")
BANDS_HZ = {"low": (60.0, 500.0), "mid": (900.0, 2200.0), "high": (4000.0, 7500.0)}
RULES = "".join(f"{name}: {{in: [test], is: '{name}'}}\n" for name in CLASSES)
SAMPLE_RATE = 16000
Samples = npt.NDArray[np.float32]


def tone(midi: float, seconds: float = 1.0, num_partials: int = 10) -> Samples:
    """A decaying note with harmonics below 7.9 kHz."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    hz = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
    partials = [k for k in range(1, num_partials + 1) if k * hz < 7900.0]
    wave = sum(np.sin(2 * np.pi * hz * k * time) / k for k in partials)
    return np.asarray(0.5 * wave * np.exp(-time), dtype=np.float32)


def click_loop(bpm: float, seconds: float = 5.0, swing_s: float = 0.0) -> Samples:
    """A short noise burst each eighth, louder on the beat; ``swing_s`` scatters them."""
    random = np.random.default_rng(0)
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for number in range(int(seconds * bpm / 30.0)):
        time = number * 30.0 / bpm + 0.05 + random.uniform(-swing_s, swing_s)
        start = max(0, round(time * SAMPLE_RATE))
        length = min(800, len(samples) - start)
        burst = random.normal(size=length) * np.exp(-np.arange(length) / 100.0)
        samples[start : start + length] += (0.4 if number % 2 else 0.8) * burst
    return samples


def band_noise(name: str, seconds: float, seed: int) -> Samples:
    """Noise in the band of class ``name``."""
    random = np.random.default_rng(seed)
    size = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(random.normal(size=size))
    hertz = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE)
    low, high = BANDS_HZ[name]
    wave = np.fft.irfft(spectrum * ((hertz > low) & (hertz < high)), size)
    return np.asarray(0.3 * wave / np.abs(wave).max(), dtype=np.float32)


def make_sounds(folder: Path, groups: int = 10) -> Path:
    """``groups`` recordings a class, two cuts each, with ``manifest.jsonl`` and ``rules.yaml``."""
    (folder / "audio").mkdir(parents=True)
    lines = []
    for name in CLASSES:
        for index in range(2 * groups):
            file = f"audio/{name}_{index}.wav"
            samples = band_noise(name, 0.4 + 0.2 * (index % 3), seed=index)
            (folder / file).write_bytes(Waveform.mono(samples, SAMPLE_RATE).encode("wav16"))
            entry = {
                "id": f"{name}_{index}",
                "file": file,
                "captions": [f"{name} noise number {index}"],
                "category": "test",
                "group": f"{name}:{index // 2}",
            }
            lines.append(json.dumps(entry))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return folder
