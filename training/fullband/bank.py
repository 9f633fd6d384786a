"""Full-band sounds at 48 kHz: decoded once, then drawn as crops.

Each channel of a stereo clip is an example of its own, and so is their mean. A clip says up to
which frequency its spectrum is real (``wall_hz``); nothing above it is learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import soundfile
import soxr

from server.fullband.analysis import RATE, Array
from training.sounds.folder import held_out, read_manifest

__all__ = ["FullbandBank", "FullbandClip", "prepare_fullband"]

_FULL_HZ: Final = 24_000.0


class FullbandClip(msgspec.Struct, frozen=True, kw_only=True):
    """One clip of the cache."""

    id: str
    first: int
    """Its first sample frame in the cache, counted over all channels."""
    frames: int
    channels: int
    category: str
    group: str
    wall_hz: float
    held_out: bool


def prepare_fullband(folders: Sequence[Path], cache: Path) -> None:
    """Decode the sounds of ``folders`` into ``cache``: 16-bit channels end to end.

    Clips are held out of the first folder only: the others hold sounds that were made.
    """
    if (cache / "clips.json").is_file():
        return
    cache.mkdir(parents=True, exist_ok=True)
    clips: list[FullbandClip] = []
    first = 0
    with (cache / "waves.i16").open("wb") as waves:
        for folder in folders:
            for entry in read_manifest(folder):
                samples = _decode(folder / entry["file"])
                waves.write((samples.T * 32767.0).round().astype(np.int16).tobytes())
                clips.append(_clip(entry, samples, first, folder == folders[0]))
                first += samples.size
    (cache / "clips.json").write_bytes(msgspec.json.encode(clips))


class FullbandBank:
    """The cache of :func:`prepare_fullband`."""

    def __init__(self, cache: Path) -> None:
        data = (cache / "clips.json").read_bytes()
        self.clips = msgspec.json.decode(data, type=list[FullbandClip])
        self._waves = np.memmap(cache / "waves.i16", np.int16, "r")
        self.held_out = [clip for clip in self.clips if clip.held_out] or self.clips
        self._training = [clip for clip in self.clips if not clip.held_out] or self.clips
        weights = np.array(_weights(self._training))
        self._weights = weights / weights.sum()

    def draw(self, generator: np.random.Generator) -> FullbandClip:
        """A training clip; rare categories and recordings are drawn more often."""
        return self._training[generator.choice(len(self._training), p=self._weights)]

    def crop(self, clip: FullbandClip, samples: int, generator: np.random.Generator) -> Array:
        """A random part of one channel or of the mean of both; silence after its end."""
        sound = self.sound(clip)
        channel = generator.integers(clip.channels + 1)
        mono = sound.mean(axis=0) if channel == clip.channels else sound[channel]
        spare = max(0, clip.frames - samples)
        start = 0 if generator.random() < 0.4 else int(generator.integers(spare + 1))
        part = mono[start : start + samples]
        return np.pad(part, (0, samples - len(part)))

    def sound(self, clip: FullbandClip) -> Array:
        """All of a clip, [channels, frames]."""
        wave = self._waves[clip.first : clip.first + clip.frames * clip.channels]
        scaled: Array = wave.reshape(clip.channels, -1).astype(np.float32) / np.float32(32767.0)
        return scaled


def _decode(path: Path) -> Array:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE, quality="VHQ")
    return np.clip(samples[:, :2], -1.0, 1.0).astype(np.float32)


def _clip(entry: dict[str, Any], samples: Array, first: int, recorded: bool) -> FullbandClip:
    group = str(entry.get("group", entry["file"]))
    return FullbandClip(
        id=str(entry.get("id", entry["file"])),
        first=first,
        frames=samples.shape[0],
        channels=samples.shape[1],
        category=str(entry.get("category", "sound")),
        group=group,
        wall_hz=float(entry.get("wall_hz") or _FULL_HZ),
        held_out=recorded and held_out(group),
    )


def _weights(clips: list[FullbandClip]) -> list[float]:
    """Balance categories and recordings; longer clips count more, by the root of their length."""
    kinds = Counter(clip.category for clip in clips)
    groups = Counter(clip.group for clip in clips)
    return [
        kinds[clip.category] ** -0.5
        * groups[clip.group] ** -0.25
        * min(4.0, max(1.0, clip.frames / (2.0 * RATE))) ** 0.5
        for clip in clips
    ]
