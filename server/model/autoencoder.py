"""Sound to latent and back: VAE and vocoder, in chunks where the sound is long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Samples
from server.model.chunks import Frames, in_chunks
from server.model.manifest import Manifest
from server.model.schedule import Latents
from server.model.session import Graph
from server.model.vocoder import Vocoder

__all__ = ["Autoencoder"]

_OVERLAP: Final = 16
"""Latent frames that neighbouring chunks share: the graphs' field of view to either side."""


class Autoencoder:
    """The VAE and the vocoder of a model folder, for one channel at a time."""

    def __init__(self, manifest: Manifest, graphs: Mapping[str, Graph]) -> None:
        self._manifest = manifest
        self._graphs = graphs
        longest = manifest.latent_frames(manifest.defaults.max_audio_length_in_s)
        self.chunk = longest + 2 * _OVERLAP
        """Largest number of latent frames in one call of a graph."""
        self.chunk_mels = self.chunk * manifest.latent.time_factor
        """The same number in mel frames."""
        overlap = _OVERLAP * manifest.latent.time_factor
        self._vocoder = Vocoder(manifest, graphs["vocoder"], self.chunk_mels, overlap)

    def encode(self, samples: Samples) -> Latents:
        """Encode ``samples`` [n] at the model's rate, padded with silence to whole frames.

        Returns:
            the scaled latent that the unet takes, [C, T, F].
        """
        hop = self._manifest.samples_per_latent_frame
        frames = -(-len(samples) // hop)
        padded = np.pad(samples, (0, frames * hop - len(samples)))
        latent = in_chunks(
            self._encoded, padded.reshape(frames, hop), self.chunk, _OVERLAP, ratio=1.0
        )
        return np.ascontiguousarray(latent.transpose(1, 0, 2)) * np.float32(
            self._manifest.latent.scale_factor
        )

    def decode(self, latent: Latents, stretch: float = 1.0) -> Samples:
        """Decode ``latent`` [C, T, F], scaled as the unet gives it, ``stretch`` times as long.

        Returns:
            samples [T * samples_per_latent_frame * stretch] at the model's rate.
        """
        return self._vocoder.sound(_stretched(self.log_mel(latent), stretch))

    def decode_ring(self, latent: Latents, mel_frames: int) -> Samples:
        """Decode a circular latent to a loop of exactly ``mel_frames`` hops, stretched to fit."""
        margin = _OVERLAP
        log_mel = self.log_mel(_wrapped(latent, margin, axis=1))
        factor = self._manifest.latent.time_factor
        ring = log_mel[margin * factor : len(log_mel) - margin * factor]
        around = _wrapped(_stretched_ring(ring, mel_frames), margin * factor, axis=0)
        return self._vocoder.ring(around, margin * factor)

    def log_mel(self, latent: Latents) -> Frames:
        """The log-mel spectrogram [T * time_factor, num_mels] of ``latent`` [C, T, F]."""
        scaled = (latent / self._manifest.latent.scale_factor).astype(np.float32)
        return in_chunks(
            lambda piece, _: self._graphs["vae_decoder"](
                latent=np.ascontiguousarray(piece.transpose(1, 0, 2))[None]
            )[0][0],
            np.ascontiguousarray(scaled.transpose(1, 0, 2)),
            self.chunk,
            _OVERLAP,
            ratio=self._manifest.latent.time_factor,
        )

    def _encoded(self, frames: Frames, _: int) -> Frames:
        mean = self._graphs["vae_encoder"](waveform=frames.reshape(1, -1))[0][0]
        return np.ascontiguousarray(mean.transpose(1, 0, 2))


def _wrapped(array: Any, margin: int, axis: int) -> Any:
    """``array`` with ``margin`` more entries on both sides, read circularly."""
    index = np.arange(-margin, array.shape[axis] + margin) % array.shape[axis]
    return np.take(array, index, axis=axis)


def _stretched(log_mel: Frames, factor: float) -> Frames:
    """``log_mel`` [n, ...] interpolated linearly at ``n * factor`` evenly spaced places."""
    if factor == 1.0:
        return log_mel
    place = (np.arange(round(len(log_mel) * factor)) + 0.5) / factor - 0.5
    return _interpolated(log_mel, np.clip(place, 0.0, len(log_mel) - 1.0))


def _stretched_ring(ring: Frames, frames: int) -> Frames:
    """``ring`` [n, ...] interpolated linearly at ``frames`` evenly spaced places."""
    if frames == len(ring):
        return ring
    return _interpolated(ring, (np.arange(frames) + 0.5) * len(ring) / frames - 0.5)


def _interpolated(ring: Frames, places: npt.NDArray[np.float64]) -> Frames:
    low = np.floor(places).astype(np.int64)
    share = (places - low).astype(np.float32)[:, None]
    return np.asarray(
        (1.0 - share) * ring[low % len(ring)] + share * ring[(low + 1) % len(ring)], np.float32
    )
