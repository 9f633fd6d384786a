"""Audio in memory: samples and sample rate, read from and written to files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.downmix import to_mono, to_stereo
from server.audio.encoding import encoded
from server.audio.exact_samples import ExactSamples
from server.audio.formats import FORMATS, FileFormat, file_format_of
from server.audio.interruption import interruptible, pieces
from server.audio.metadata.carried import NO_METADATA, Metadata
from server.audio.unfinished import opened_sound
from server.errors import UnreadableAudio

__all__ = [
    "FORMATS",
    "MAX_CHANNELS",
    "MAX_SAMPLES",
    "MAX_SECONDS",
    "FileFormat",
    "Samples",
    "Waveform",
    "check_bounds",
    "file_format_of",
]

Samples = npt.NDArray[np.float32]
MAX_SECONDS: Final = 3600.0
MAX_CHANNELS: Final = 64
_USUAL_RATE: Final = 48_000
MAX_SAMPLES: Final = 3600 * _USUAL_RATE * 2
"""Limit over all channels: an hour of stereo at 48 kHz, 1.4 GB. A small file can claim more."""


@dataclass(frozen=True)
class Waveform:
    """Audio: ``samples`` float32 [frames, channels], full scale 1.0, at ``sample_rate`` Hz."""

    samples: Samples
    sample_rate: int
    speakers: int = 0
    """Channel mask of WAVE_FORMAT_EXTENSIBLE; 0: by the number of channels."""

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            raise TypeError(f"samples must be float32 [frames, channels], not {self.samples.shape}")

    @classmethod
    def mono(cls, samples: npt.NDArray[np.floating[Any]], sample_rate: int) -> Waveform:
        """One channel from ``samples`` [frames]."""
        return cls(np.ascontiguousarray(samples, dtype=np.float32)[:, None], sample_rate)

    @property
    def frames(self) -> int:
        """Number of sample frames."""
        return int(self.samples.shape[0])

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample."""
        return max((float(np.abs(part).max()) for part in pieces(self.samples)), default=0.0)

    @property
    def rms_db(self) -> float:
        """RMS level in dB relative to full scale, at least -120."""
        sums = (float(np.sum(np.square(p, dtype=np.float64))) for p in pieces(self.samples))
        power = sum(sums) / max(1, self.samples.size)
        return max(-120.0, 10.0 * float(np.log10(max(power, 1e-12))))

    def with_samples(self, samples: Samples, sample_rate: int = 0) -> Waveform:
        """The same channels with other ``samples``, at the same rate or at ``sample_rate``."""
        return Waveform(samples, sample_rate or self.sample_rate, self.speakers)

    def downmix(self) -> Samples:
        """All channels as one, [frames]; see :func:`server.audio.downmix.to_mono`."""
        return to_mono(self.samples, self.sample_rate, self.speakers)

    def resample(self, sample_rate: int) -> Waveform:
        """Resample to ``sample_rate`` Hz (soxr, very high quality)."""
        if sample_rate == self.sample_rate or not self.frames:
            return self.with_samples(self.samples, sample_rate)
        import soxr

        interruptible()
        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="VHQ")
        return self.with_samples(np.ascontiguousarray(samples, dtype=np.float32), sample_rate)

    def resample_ring(self, frames: int, sample_rate: int) -> Waveform:
        """Resample a loop to exactly ``frames`` frames by cutting or padding its spectrum.

        The result is as periodic as the loop was.
        """
        if frames == self.frames:
            return self.with_samples(self.samples, sample_rate)
        own = self.samples if self.frames else np.zeros((1, self.channels), np.float32)
        spectrum = np.fft.rfft(own, axis=0)[: frames // 2 + 1]
        if frames < self.frames and frames % 2 == 0:
            spectrum[-1] = 0.0
        samples = np.fft.irfft(spectrum, frames, axis=0) * (frames / len(own))
        return self.with_samples(np.ascontiguousarray(samples, np.float32), sample_rate)

    def as_channels(self, channels: int) -> Waveform:
        """Convert to ``channels``: surround is folded down, mono is repeated."""
        if channels == self.channels:
            return self
        if channels == 2:
            return Waveform(to_stereo(self.samples, self.speakers), self.sample_rate)
        mono = self.downmix()[:, None]
        return Waveform(np.repeat(mono, channels, axis=1), self.sample_rate)

    def crop(self, frames: int) -> Waveform:
        """Cut the sound, or pad it with silence, to exactly ``frames`` frames."""
        missing = frames - self.frames
        samples = self.samples[:frames]
        if missing > 0:
            samples = np.pad(samples, ((0, missing), (0, 0)))
        return self.with_samples(samples)

    @classmethod
    def read(cls, source: Path | bytes) -> Waveform:
        """Decode any format that libsndfile reads.

        Raises:
            UnreadableAudio: not audio, damaged, too long, too many channels, NaN or infinite.
        """
        import soundfile

        name = str(source) if isinstance(source, Path) else "the uploaded clip"
        if isinstance(source, Path) and not source.exists():
            raise UnreadableAudio(f"{name} does not exist")
        try:
            with opened_sound(source) as f:
                check_bounds(name, f.frames, f.channels, f.samplerate)
                samples = f.read(dtype="float32", always_2d=True)
                sample_rate = f.samplerate
                named = f.channels > 2 or f.format in ("WAVEX", "FLAC")
                speakers = Metadata.read(source, f).speakers if named else 0
        except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
            raise UnreadableAudio(f"{name} cannot be read as audio: {error}") from error
        if not np.isfinite(samples).all():
            raise UnreadableAudio(f"{name} holds samples that are not numbers (NaN or infinite)")
        return cls(samples, sample_rate, speakers)

    def encode(
        self,
        file_format: FileFormat,
        recipe: str = "",
        exact: ExactSamples | None = None,
        metadata: Metadata = NO_METADATA,
    ) -> bytes:
        """Encode as an audio file; see :func:`server.audio.encoding.encoded`.

        Raises:
            InvalidRequest: the format would clip the samples.
            TooLarge: the file would exceed 4 GiB.
        """
        interruptible()
        carried = replace(metadata, speakers=self.speakers)
        return encoded(
            self.samples, self.sample_rate, file_format, carried, recipe=recipe, exact=exact
        )


def check_bounds(name: str, frames: int, channels: int, sample_rate: int) -> None:
    """Refuse a sound that would fill the memory when it is read or resampled.

    Raises:
        UnreadableAudio: too long, too many channels, or too much of both together.
    """
    if channels > MAX_CHANNELS:
        raise UnreadableAudio(f"{name} has {channels} channels; at most {MAX_CHANNELS} are read")
    seconds = frames / sample_rate
    if seconds > MAX_SECONDS:
        raise UnreadableAudio(
            f"{name} is {seconds:.0f} s long; at most {MAX_SECONDS:.0f} s are read"
        )
    if channels * max(frames, seconds * _USUAL_RATE) > MAX_SAMPLES:
        raise UnreadableAudio(
            f"{name} has {channels} channels of {seconds:.0f} s at {sample_rate} Hz; "
            "at most an hour of stereo at 48000 Hz is read"
        )
