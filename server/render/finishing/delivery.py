"""Delivery of a take: rate, channels, fades and level; never clipped, never NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from server.audio.exact_samples import ExactSamples
from server.audio.interruption import pieces
from server.audio.metadata.carried import NO_METADATA, Metadata
from server.audio.metadata.points import Move
from server.audio.peaks import CEILING_DBFS, at_peak, fitted, holds
from server.audio.splice import Span
from server.audio.waveform import FileFormat, Waveform
from server.errors import RenderError
from server.render.finishing.levels import Levelled
from server.render.finishing.measures import ADDED_NOTHING_DB, SILENCE_DB, measures_of
from server.render.finishing.treatment import levelled, shaped
from server.render.plan import Finished
from server.requests.request import Delivery

__all__ = ["Delivered", "deliver", "turned_down"]

_TRIM_BLOCK_S: Final = 0.005


@dataclass(frozen=True)
class Delivered:
    """A sound as it goes into its file."""

    sound: Waveform
    file_format: FileFormat
    measures: dict[str, Any]
    metadata: Metadata = NO_METADATA
    exact: ExactSamples | None = None
    warnings: tuple[str, ...] = ()
    """What is wrong with it or was done to it, in sentences."""
    new: tuple[Span, ...] | None = None
    """The parts that were rendered; None: all of it."""

    @property
    def rendered(self) -> Waveform | None:
        """The sound that was rendered, or its longest new part; None where only bands are new."""
        if self.new is None:
            return self.sound
        parts = [part for part in self.new if part.whole_band and part.end > part.start]
        if not parts:
            return None
        longest = max(parts, key=lambda part: part.end - part.start)
        samples = self.sound.samples[longest.start : longest.end]
        return Waveform(samples, self.sound.sample_rate) if len(samples) else None


def deliver(
    finished: Finished, delivery: Delivery, file_format: FileFormat | None = None
) -> Delivered:
    """Convert a finished sound to what ``delivery`` asks for, and measure it.

    A sound that keeps a clip's samples stays unchanged unless ``delivery`` asks for processing,
    or the format cannot hold it.

    Args:
        finished: the sound.
        delivery: what is asked.
        file_format: replaces the format in ``delivery`` and the sound's own.

    Raises:
        RenderError: the model returned NaN or infinity.
    """
    sound, placed = finished.sound, finished
    file_format = file_format or delivery.file_format or finished.file_format
    _check_finite(sound)
    if delivery.sample_rate is not None and delivery.sample_rate != sound.sample_rate:
        sound = _at_rate(sound, delivery.sample_rate, finished.circular)
        placed = _moved(placed, sound, ratio=sound.sample_rate / finished.sound.sample_rate)
    if delivery.channels is not None:
        sound = sound.as_channels(delivery.channels)
    done = Levelled(sound, 0.0)
    if not finished.keeps_clip or delivery.processes:
        made = shaped(sound, finished.treatment, circular=finished.circular)
        sound, cut = _trimmed(made.sound, made.cut) if delivery.trim else (made.sound, made.cut)
        placed = _moved(placed, sound, shift=-cut)
        done = _levelled(_faded(sound, delivery), finished, delivery)
        sound = done.sound
    sound, attenuated_db = fitted(sound, file_format, finished.highest_peak)
    _check_finite(sound)
    gains = {
        "gain_db": round(done.gain_db, 2),
        "limited_db": round(done.limited_db, 2),
        "attenuated_db": round(attenuated_db, 2),
    }
    measures = measures_of(sound, placed, file_format) | gains | finished.measures
    warnings = (*_warnings(measures, file_format, finished), *placed.metadata.warnings)
    warnings += (done.warning,) if done.warning else ()
    return Delivered(
        sound, file_format, measures, placed.metadata, finished.exact, warnings, placed.new
    )


def turned_down(attenuated_db: float, file_format: FileFormat) -> str:
    """Say that a take was turned down, and how to keep its level."""
    if holds(file_format, math.inf):
        return f"turned down by {attenuated_db:.2f} dB: the new band raised its peaks"
    return (
        f"turned down by {attenuated_db:.2f} dB: {file_format} cannot hold peaks above "
        "0 dBFS; ask for file_format wav32f to keep them"
    )


def _warnings(
    measures: dict[str, Any], file_format: FileFormat, finished: Finished
) -> tuple[str, ...]:
    found = []
    if measures.get("added_db", 0.0) < ADDED_NOTHING_DB:
        found.append(
            f"nothing that could be heard was added above {measures['cutoff_hz']:g} Hz: the clip "
            "has too little just below it; give cutoff_hz where its own band ends"
        )
    elif measures["silent"] and finished.new == ():
        found.append("the take is silent, as its clip is")
    elif measures["silent"]:
        part = "the take" if finished.new is None else "the new part"
        found.append(f"{part} is silent: try other words or another seed")
    if measures["attenuated_db"]:
        found.append(turned_down(measures["attenuated_db"], file_format))
    return tuple(found)


def _check_finite(sound: Waveform) -> None:
    if not all(np.isfinite(part).all() for part in pieces(sound.samples)):
        raise RenderError("the model returned numbers that are no sound (NaN or infinite)")


def _moved(finished: Finished, sound: Waveform, shift: int = 0, ratio: float = 1.0) -> Finished:
    """``finished`` with the places of its new parts and of its metadata moved."""
    move = Move(shift, ratio, sound.frames)
    new = finished.new
    if new is not None:
        new = tuple(replace(s, start=move.place(s.start), end=move.place(s.end)) for s in new)
    return replace(finished, new=new, metadata=finished.metadata.moved(move))


def _at_rate(sound: Waveform, sample_rate: int, circular: bool) -> Waveform:
    frames = round(sound.frames * sample_rate / sound.sample_rate)
    if circular:
        return sound.resample_ring(max(1, frames), sample_rate)
    return sound.resample(sample_rate).crop(frames)


def _levelled(sound: Waveform, finished: Finished, delivery: Delivery) -> Levelled:
    """The sound at the level that is asked for or usual, under the ceiling."""
    if not sound.peak:
        return Levelled(sound, 0.0)
    made = levelled(sound, finished.treatment, delivery, circular=finished.circular)
    done = made or Levelled(sound, 0.0)
    ceiling = CEILING_DBFS if delivery.ceiling_dbfs is None else delivery.ceiling_dbfs
    over_db = 20.0 * math.log10(done.sound.peak) - ceiling
    if over_db <= 0.0:
        return done
    lower = at_peak(done.sound, done.sound.peak * 10.0 ** (-over_db / 20.0))
    return replace(done, sound=lower, gain_db=done.gain_db - over_db)


def _trimmed(sound: Waveform, cut: int) -> tuple[Waveform, int]:
    """Cut off the blocks at both ends that are 60 dB below the loudest sample.

    Returns:
        what is left, and the number of frames cut off the beginning, ``cut`` included.
    """
    block = max(1, round(_TRIM_BLOCK_S * sound.sample_rate))
    level = np.abs(sound.samples).max(axis=1)
    audible = np.flatnonzero(level > sound.peak * 10.0 ** (SILENCE_DB / 20.0))
    if not len(audible):
        return sound, cut
    first = int(audible[0]) // block * block
    last = min(-(-(int(audible[-1]) + 1) // block) * block, sound.frames)
    return sound.with_samples(sound.samples[first:last]), cut + first


def _faded(sound: Waveform, delivery: Delivery) -> Waveform:
    if not delivery.fade_in_s and not delivery.fade_out_s:
        return sound
    gain = np.ones((sound.frames, 1), np.float32)
    rise = min(round(delivery.fade_in_s * sound.sample_rate), sound.frames)
    fall = min(round(delivery.fade_out_s * sound.sample_rate), sound.frames)
    gain[:rise, 0] *= _half_cosine(rise)
    gain[sound.frames - fall :, 0] *= _half_cosine(fall)[::-1]
    return sound.with_samples(sound.samples * gain)


def _half_cosine(length: int) -> Any:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(length, 1))).astype("f4")
