"""A folder of sounds with its captions, decoded once into a cache and then drawn from by gather.

``manifest.jsonl`` has one JSON object a line: ``file`` is required; ``captions``, ``category``,
``tags``, ``group``, ``midi``, ``licence``, ``attribution`` and ``source`` are used where present.
A folder without a manifest is taken as it is, each file captioned with its name.

The cache holds 16-bit waves and float16 log-mels end to end, plus ``clips.json``. Clips of one
``group`` (one recording) are all training or all held out.
"""

from __future__ import annotations

import json
import logging
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import torch

from server.errors import NotFound, UnreadableAudio
from training.networks.mel import HOP_LENGTH, SAMPLE_RATE, LogMel

__all__ = ["CaptionedClip", "held_out", "load_clips", "prepare", "read_manifest"]

log = logging.getLogger("audioldm.train")

Samples = npt.NDArray[np.float32]

NOTES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
NOTE_NAME: Final = re.compile(r"\b[A-G]#?-?\d\b")
HERTZ: Final = re.compile(r"\b(\d+) hertz\b")
LOOPING: Final = frozenset({"drum_loop", "music_loop", "ambience", "noise", "machine", "water"})
"""Categories that are repeated, not padded with silence, where they are shorter than a crop."""
UNSHIFTABLE: Final = frozenset({"ambience", "music_phrase", "music_loop", "drum_loop", "noise"})
AUDIO_SUFFIXES: Final = frozenset({".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus"})
MAX_SAMPLES: Final = 1024 * HOP_LENGTH
MIN_LOOP_S: Final = 2.0
_SAID_EVERY_S: Final = 5.0
"""Time between two lines of progress."""


class CaptionedClip(msgspec.Struct, frozen=True, kw_only=True):
    """One clip of the cache."""

    id: str
    frames: int
    """Mel frames; the wave has 160 samples a frame."""
    captions: tuple[str, ...]
    category: str
    tags: tuple[str, ...]
    group: str
    held_out: bool
    looping: bool
    midi: int | None = None
    bpm: float | None = None
    variant: int = 0
    """0 the recording itself, above 0 a pitch-shifted copy of it."""
    num_variants: int = 1


def held_out(group: str) -> bool:
    """Whether clips of ``group`` are kept for validation (one group in twenty)."""
    return zlib.crc32(group.encode()) % 20 == 0


def read_manifest(folder: Path) -> list[dict[str, Any]]:
    """Entries of ``folder/manifest.jsonl``, or one entry a sound file where there is none.

    Raises:
        NotFound: ``folder`` has no sounds.
    """
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        entries = [
            json.loads(line) for line in manifest.read_text("utf-8-sig").splitlines() if line
        ]
    else:
        entries = [
            {"file": path.relative_to(folder).as_posix()}
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in AUDIO_SUFFIXES
        ]
    if not entries:
        raise NotFound(f"{folder} has neither a manifest.jsonl nor sound files")
    return entries


def prepare(folder: Path, cache: Path, *, variants: int = 0, seed: int = 0) -> None:
    """Decode the sounds of ``folder`` into ``cache``, with pitch-shifted copies.

    Args:
        folder: sounds, with or without ``manifest.jsonl``.
        cache: folder to fill; left as it is if it is complete.
        variants: Pitch-shifted copies a single note (its captions rewritten) and, one fewer,
            a sound without pitch. Loops and ambiences are never shifted.
        seed: of the shifts.
    """
    if (cache / "clips.json").is_file():
        return
    cache.mkdir(parents=True, exist_ok=True)
    clips: list[CaptionedClip] = []
    log_mel = LogMel()
    entries = read_manifest(folder)
    log.info("decoding %d sounds of %s into %s, once", len(entries), folder, cache)
    said_s = time.monotonic()
    with (cache / "waves.i16").open("wb") as waves, (cache / "mels.f16").open("wb") as mels:
        for number, entry in enumerate(entries):
            if time.monotonic() - said_s > _SAID_EVERY_S:
                said_s = time.monotonic()
                log.info("%d of %d sounds are decoded", number, len(entries))
            for clip, samples in _variants(folder, entry, variants, seed * 1_000_003 + number):
                waves.write((samples * 32767.0).round().astype(np.int16).tobytes())
                frames = log_mel(torch.from_numpy(samples)[None])[0]
                mels.write(frames.numpy().astype(np.float16).tobytes())
                clips.append(clip)
    (cache / "clips.json").write_bytes(msgspec.json.encode(clips))


def load_clips(cache: Path) -> list[CaptionedClip]:
    """The clips of a prepared cache, in the order of its waves."""
    return msgspec.json.decode((cache / "clips.json").read_bytes(), type=list[CaptionedClip])


def _variants(
    folder: Path, entry: dict[str, Any], variants: int, seed: int
) -> Iterator[tuple[CaptionedClip, Samples]]:
    samples = _decode(folder / entry["file"])
    category = str(entry.get("category", "sound"))
    midi = entry.get("midi")
    captions = tuple(entry.get("captions") or [Path(entry["file"]).stem.replace("_", " ")])
    named = any(NOTE_NAME.search(caption) for caption in captions)
    copies = 0
    if midi is not None and named:
        copies = variants
    elif midi is None and not named and category not in UNSHIFTABLE and "bpm" not in entry:
        copies = max(0, min(1, variants))
    generator = np.random.default_rng(seed)
    shifts = [0.0]
    if midi is not None:
        choices = [step for step in range(-6, 7) if step]
        shifts += [float(step) for step in generator.choice(choices, copies, replace=False)]
    else:
        shifts += list(generator.choice([-1.0, 1.0], copies) * generator.uniform(0.5, 3.0, copies))
    group = str(entry.get("group", entry["file"]))
    for variant, shift in enumerate(shifts):
        shifted = samples if shift == 0.0 else _resampled(samples, 2.0 ** (-shift / 12.0))
        padded = _whole_frames(shifted)
        yield (
            CaptionedClip(
                id=str(entry.get("id", entry["file"])),
                frames=len(padded) // HOP_LENGTH,
                captions=tuple(_transposed(caption, shift) for caption in captions),
                category=category,
                tags=tuple(entry.get("tags") or ()),
                group=group,
                held_out=held_out(group),
                looping=category in LOOPING and len(samples) >= MIN_LOOP_S * SAMPLE_RATE,
                midi=None if midi is None else int(midi) + round(shift),
                bpm=None if entry.get("bpm") is None else float(entry["bpm"]),
                variant=variant,
                num_variants=len(shifts),
            ),
            padded,
        )


def _decode(path: Path) -> Samples:
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnreadableAudio(f"{path} cannot be read: {error}") from error
    mono = samples.mean(axis=1)
    if sample_rate != SAMPLE_RATE:
        mono = soxr.resample(mono, sample_rate, SAMPLE_RATE)
    return np.clip(mono[:MAX_SAMPLES], -1.0, 1.0).astype(np.float32)


def _resampled(samples: Samples, ratio: float) -> Samples:
    """``samples`` made ``ratio`` times as long, and lower by as much."""
    stretched = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE * ratio)
    return np.clip(stretched[:MAX_SAMPLES], -1.0, 1.0).astype(np.float32)


def _whole_frames(samples: Samples) -> Samples:
    frames = max(4, -(-len(samples) // HOP_LENGTH))
    return np.pad(samples, (0, frames * HOP_LENGTH - len(samples)))


def _transposed(caption: str, semitones: float) -> str:
    """``caption`` with its note names and frequencies moved by ``semitones``.

    >>> _transposed("a tuba playing an A#3 note", 2)
    'a tuba playing an C4 note'
    """
    if semitones == 0.0:
        return caption

    def note(match: re.Match[str]) -> str:
        name = match.group()
        position = NOTES.index(name.rstrip("-0123456789")) + round(semitones)
        octave = int(name.lstrip("ABCDEFG#")) + position // 12
        return f"{NOTES[position % 12]}{octave}"

    def hertz(match: re.Match[str]) -> str:
        return f"{round(int(match.group(1)) * 2.0 ** (semitones / 12.0))} hertz"

    return HERTZ.sub(hertz, NOTE_NAME.sub(note, caption))
