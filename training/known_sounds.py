"""The list of known sounds in a model folder (:mod:`server.model.known_sounds`), written.

This adds the bank of grounded takes to a finished model:

    python -m training.known_sounds models/tiny --sounds FOLDER --run FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from server.errors import InvalidRequest
from server.model.folder import renew
from server.model.known_sounds import KnownSounds
from server.model.manifest import GROUNDING_FILE
from server.model.text import Embedding
from training.folder import load_folder
from training.sounds.bank import CROP_FRAMES, SoundBank
from training.sounds.folder import prepare, read_manifest
from training.sounds.grounding import write_grounding
from training.stages import Run

__all__ = ["add_grounding", "audio_embeddings", "known_sounds", "with_sounds"]

DIRECTIONS: Final = 80
"""Principal directions of the captions' embeddings that are stored."""
AUDIO_DIRECTIONS: Final = 28
"""The same for the audio embeddings; they condition takes but are never searched."""
PERCENTILES: Final = (5, 50, 95, 99)


def known_sounds(run: Run, path: Path) -> None:
    """Write the captions, text embeddings and audio embeddings of the training sounds.

    ``distances`` are the 5th, 50th, 95th and 99th percentile of the cosine distance from a
    held-out caption to the nearest known one.
    """
    bank = run.bank()
    clips = [(row, clip) for row, clip in enumerate(bank.clips) if clip.variant == 0]
    rows = [row for row, clip in clips if not clip.held_out]
    captions = [bank.clips[row].captions[0] for row in rows]
    unseen = list(dict.fromkeys(clip.captions[0] for _, clip in clips if clip.held_out))
    embeddings = run.caption_embeddings(captions).numpy()
    percentiles = np.zeros(len(PERCENTILES), np.float32)
    if unseen:
        nearest = (run.caption_embeddings(unseen).numpy() @ embeddings.T).max(axis=1)
        percentiles = np.percentile(1.0 - nearest, PERCENTILES).astype(np.float32)
    audio = audio_embeddings(bank, rows, run.clap().audio)
    _write(path, KnownSounds(tuple(captions), embeddings, audio, percentiles))


def with_sounds(known: KnownSounds, more: KnownSounds, path: Path) -> None:
    """Write ``known`` and ``more`` as one list, with the percentiles of ``known``."""
    audio = None
    if known.audio_embeddings is not None and more.audio_embeddings is not None:
        audio = np.concatenate([known.audio_embeddings, more.audio_embeddings])
    embeddings = np.concatenate([known.embeddings, more.embeddings])
    captions = (*known.captions, *more.captions)
    _write(path, KnownSounds(captions, embeddings, audio, known.distance_percentiles))


@torch.no_grad()
def audio_embeddings(bank: SoundBank, rows: list[int], tower: nn.Module) -> Embedding:
    """Embeddings by ``tower`` of the beginnings of clips ``rows``, float32 [N, 512]."""
    chunks = torch.tensor(rows, device=bank.device).split(64)
    starts = [torch.zeros_like(chunk) for chunk in chunks]
    mels = (bank.crop_mels(*crop, CROP_FRAMES) for crop in zip(chunks, starts, strict=True))
    return np.concatenate([tower(crop).float().cpu().numpy() for crop in mels])


def _write(path: Path, known: KnownSounds) -> None:
    """The file that :meth:`server.model.known_sounds.KnownSounds.load` reads."""
    stored = _coordinates(known.embeddings, "", DIRECTIONS)
    if known.audio_embeddings is not None:
        stored |= _coordinates(known.audio_embeddings, "heard_", AUDIO_DIRECTIONS)
    stored |= {"captions": np.array(known.captions), "distances": known.distance_percentiles}
    np.savez_compressed(path, **stored)  # type: ignore[arg-type]


def _coordinates(embeddings: Embedding, which: str, directions: int) -> dict[str, npt.NDArray[Any]]:
    """``embeddings`` int8 [N, d], ``scales`` [N, 1], ``basis`` [d, 512] and ``mean`` [512]."""
    mean = embeddings.mean(axis=0)
    _, _, principal = np.linalg.svd(embeddings - mean, full_matrices=False)
    basis = principal[:directions]
    coordinates = (embeddings - mean) @ basis.T
    scales = np.maximum(np.abs(coordinates).max(axis=1, keepdims=True), 1e-6) / 127.0
    return {
        f"{which}embeddings": np.round(coordinates / scales).astype(np.int8),
        f"{which}scales": scales.astype(np.float16),
        f"{which}basis": basis.astype(np.float16),
        f"{which}mean": mean.astype(np.float32),
    }


def add_grounding(folder: Path, sounds: Path, run: Path) -> int:
    """Give the model folder ``folder`` a bank of the sounds that it was trained on.

    Raises:
        InvalidRequest: ``sounds`` are not the sounds of the model.
    """
    _, _, modules = load_folder(folder)
    prepare(sounds, run / "cache")
    bank = SoundBank(run / "cache", torch.device("cpu"))
    known = KnownSounds.load(folder)
    captions = [c.captions[0] for c in bank.clips if c.variant == 0 and not c.held_out]
    if known is None or list(known.captions[: len(captions)]) != captions:
        raise InvalidRequest(f"{sounds} are not the sounds that {folder} was trained on")
    made = run / GROUNDING_FILE
    count = write_grounding(bank, modules.vae_encoder.encoder, read_manifest(sounds), made)
    renew(folder, made)
    return count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.known_sounds")
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--sounds", type=Path, required=True, help="the sounds it was trained on")
    parser.add_argument("--run", type=Path, default=Path("runs/tiny"), help="holds the cache")
    options = parser.parse_args()
    print(add_grounding(options.model, options.sounds, options.run), "sounds")


if __name__ == "__main__":
    main()
