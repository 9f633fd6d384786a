"""Delivery of a take: rate, channels, fades and level; never clipped, never NaN."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from server.audio.waveform import Waveform
from server.errors import RenderError
from server.render.plan import Finished
from server.requests.request import Delivery

__all__ = ["CEILING_DBFS", "SILENCE_DB", "deliver"]

CEILING_DBFS: Final = -1.0
SILENCE_DB: Final = -60.0
_BLOCK_S: Final = 0.4
"""Gating block of ITU-R BS.1770; shorter sounds are repeated to this length."""
_TRIM_BLOCK_S: Final = 0.005


def deliver(finished: Finished, delivery: Delivery) -> tuple[Waveform, dict[str, Any]]:
    """Convert a finished sound to what ``delivery`` asks for, and measure it.

    A sound that keeps a clip's samples stays unchanged unless ``delivery`` asks for processing.

    Returns:
        the sound to deliver and its measures.

    Raises:
        RenderError: the model returned NaN or infinity.
    """
    sound = finished.sound
    if not np.isfinite(sound.samples).all():
        raise RenderError("the model returned numbers that are no sound (NaN or infinite)")
    if delivery.sample_rate is not None and delivery.sample_rate != sound.sample_rate:
        sound = _at_rate(sound, delivery.sample_rate, finished.circular)
    if delivery.channels is not None:
        sound = sound.as_channels(delivery.channels)
    gain_db = 0.0
    if not finished.keeps_clip or delivery.processes:
        sound = _faded(_trimmed(sound) if delivery.trim else sound, delivery)
        sound, gain_db = _levelled(sound, delivery)
    return sound, {**_measures(sound), "gain_db": round(gain_db, 2), **finished.measures}


def _at_rate(sound: Waveform, sample_rate: int, circular: bool) -> Waveform:
    frames = round(sound.frames * sample_rate / sound.sample_rate)
    if circular:
        return sound.resample_ring(max(1, frames), sample_rate)
    return sound.resample(sample_rate).crop(frames)


def _levelled(sound: Waveform, delivery: Delivery) -> tuple[Waveform, float]:
    """The sound at the requested loudness, limited by the ceiling; and the gain in dB."""
    if not sound.peak:
        return sound, 0.0
    ceiling = CEILING_DBFS if delivery.ceiling_dbfs is None else delivery.ceiling_dbfs
    room_db = ceiling - 20.0 * math.log10(sound.peak)
    wanted_db = 0.0
    if delivery.loudness_lufs is not None:
        loudness = loudness_lufs(sound)
        wanted_db = 0.0 if loudness is None else delivery.loudness_lufs - loudness
    gain_db = min(wanted_db, room_db)
    if not gain_db:
        return sound, 0.0
    gain = np.float32(10.0 ** (gain_db / 20.0))
    # Rounding must not raise the highest sample above the ceiling.
    limit = np.float32(10.0 ** (ceiling / 20.0))
    samples = np.clip(sound.samples * gain, -limit, limit)
    return Waveform(np.asarray(samples, np.float32), sound.sample_rate), gain_db


def loudness_lufs(sound: Waveform) -> float | None:
    """Integrated loudness in LUFS (ITU-R BS.1770-4); None where all of it is below the gate."""
    import pyloudnorm

    shortest = math.ceil(_BLOCK_S * sound.sample_rate) + 1
    samples = sound.samples
    if len(samples) < shortest:
        samples = np.resize(samples, (shortest, sound.channels))
    meter = pyloudnorm.Meter(sound.sample_rate, block_size=_BLOCK_S)
    with np.errstate(divide="ignore"):
        loudness = float(meter.integrated_loudness(samples[:, :5]))
    return loudness if math.isfinite(loudness) else None


def _trimmed(sound: Waveform) -> Waveform:
    """Cut off the blocks at both ends that are 60 dB below the loudest sample."""
    block = max(1, round(_TRIM_BLOCK_S * sound.sample_rate))
    level = np.abs(sound.samples).max(axis=1)
    audible = np.flatnonzero(level > sound.peak * 10.0 ** (SILENCE_DB / 20.0))
    if not len(audible):
        return sound
    first = audible[0] // block * block
    last = min(-(-(audible[-1] + 1) // block) * block, sound.frames)
    return Waveform(sound.samples[first:last], sound.sample_rate)


def _faded(sound: Waveform, delivery: Delivery) -> Waveform:
    if not delivery.fade_in_s and not delivery.fade_out_s:
        return sound
    gain = np.ones((sound.frames, 1), np.float32)
    rise = min(round(delivery.fade_in_s * sound.sample_rate), sound.frames)
    fall = min(round(delivery.fade_out_s * sound.sample_rate), sound.frames)
    gain[:rise, 0] *= _half_cosine(rise)
    gain[sound.frames - fall :, 0] *= _half_cosine(fall)[::-1]
    return Waveform(sound.samples * gain, sound.sample_rate)


def _half_cosine(length: int) -> Any:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(length, 1))).astype("f4")


def _measures(sound: Waveform) -> dict[str, Any]:
    measures: dict[str, Any] = {
        "peak_dbfs": _decibels(sound.peak),
        "rms_db": round(sound.rms_db, 2),
        "silent": sound.rms_db < SILENCE_DB,
    }
    if sound.channels == 2:
        measures.update(_stereo(sound))
    return measures


def _stereo(sound: Waveform) -> dict[str, Any]:
    """Correlation of left and right, and the change in level when they are summed to mono."""
    left, right = sound.samples.T.astype(np.float64)
    power = float(np.mean(left**2) + np.mean(right**2)) / 2.0
    if not power:
        return {}
    both = float(np.sqrt(np.mean(left**2) * np.mean(right**2)))
    mono = float(np.mean(((left + right) / 2.0) ** 2))
    correlation = float(np.mean(left * right)) / both if both else 0.0
    return {
        "stereo_correlation": round(correlation, 4),
        "mono_sum_db": round(10.0 * math.log10(max(mono / power, 1e-12)), 2),
    }


def _decibels(amplitude: float) -> float:
    return round(20.0 * math.log10(max(amplitude, 1e-6)), 2)
