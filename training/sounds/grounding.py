"""The bank of grounded takes (:mod:`server.model.grounding`), chosen and written.

Only training sounds without conditions (CC0) are taken, because the bank holds the sounds
themselves. Kinds take turns, and within a kind its recordings, until the bank is full.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from training.networks.notation import MEL_PER_LATENT
from training.sounds.bank import SoundBank, kinds_of
from training.sounds.credits import WITHOUT_CONDITIONS

__all__ = ["write_grounding"]

MAX_FRAMES: Final = 128
"""Latent frames that are kept of a sound: 5.12 s."""
TOTAL_FRAMES: Final = 22_000
"""Latent frames of the whole bank: 15 minutes, at most 2.8 MB."""


def write_grounding(
    bank: SoundBank,
    encoder: nn.Module,
    entries: Sequence[dict[str, Any]],
    path: Path,
    total: int = TOTAL_FRAMES,
) -> int:
    """Write the bank of at most ``total`` latent frames; returns its number of sounds.

    Without a sound that asks for no credit, no file is written.

    Args:
        bank: the training sounds, in the order of the known sounds.
        encoder: the model's VAE encoder, from log-mels.
        entries: the manifest of the sounds, for licences and credits.
        path: the file to write.
        total: latent frames of all sounds together.
    """
    by_id = {str(entry.get("id", entry["file"])): entry for entry in entries}
    known = [row for row, c in enumerate(bank.clips) if c.variant == 0 and not c.held_out]
    free = [row for row in known if _free(by_id[bank.clips[row].id])]
    chosen: list[int] = []
    frames: list[int] = []
    for row in _in_turns(bank, free):
        length = _frames(bank, row)
        if sum(frames) + length <= total:
            chosen.append(row)
            frames.append(length)
    if not chosen:
        return 0
    codes, scales = zip(*_encoded(bank, encoder, chosen, frames), strict=True)
    np.savez_compressed(
        path,
        latents=np.concatenate(codes),
        scales=np.stack(scales),
        frames=np.array(frames, np.int32),
        looping=np.array([bank.clips[row].looping for row in chosen]),
        rows=np.searchsorted(known, chosen).astype(np.int32),
        credits=np.array([_credit(by_id[bank.clips[row].id]) for row in chosen]),
    )
    return len(chosen)


def _free(entry: dict[str, Any]) -> bool:
    return str(entry.get("licence", "")) in WITHOUT_CONDITIONS


def _credit(entry: dict[str, Any]) -> str:
    """Name, source and author of a sound, in one line."""
    captions = entry.get("captions") or [Path(entry["file"]).stem]
    parts = (entry.get("source", ""), entry.get("attribution", ""), entry.get("licence", ""))
    return f"{captions[0]} ({', '.join(str(part) for part in parts if part)})"


def _in_turns(bank: SoundBank, rows: Sequence[int]) -> Iterator[int]:
    """``rows``: each kind's first before any kind's second, and groups likewise within a kind."""
    kind = kinds_of(bank.clips)
    kinds: dict[Any, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        kinds[kind(bank.clips[row])][bank.clips[row].group].append(row)
    ordered = [list(_alternating(groups.values())) for groups in kinds.values()]
    yield from _alternating(ordered)


def _alternating(lists: Any) -> Iterator[int]:
    turns = chain.from_iterable(zip_longest(*lists))
    return (row for row in turns if row is not None)


def _frames(bank: SoundBank, row: int) -> int:
    """Latent frames that are kept of a clip; a loop fills all of them."""
    clip = bank.clips[row]
    return MAX_FRAMES if clip.looping else min(MAX_FRAMES, -(-clip.frames // MEL_PER_LATENT))


@torch.no_grad()
def _encoded(
    bank: SoundBank, encoder: nn.Module, rows: Sequence[int], frames: Sequence[int]
) -> Iterator[tuple[Any, Any]]:
    """Codes int8 [T, C, F] and scales float16 [C] of each clip."""
    for row, length in zip(rows, frames, strict=True):
        one = torch.tensor([row], device=bank.device)
        mel = bank.crop_mels(one, torch.zeros_like(one), MAX_FRAMES * MEL_PER_LATENT)
        latent = encoder(mel)[0][0, :, :length].float().cpu().numpy()
        scales = (np.maximum(np.abs(latent).max(axis=(1, 2)), 1e-3) / 127.0).astype(np.float16)
        codes = np.round(latent / scales.astype(np.float32)[:, None, None]).clip(-127, 127)
        yield codes.astype(np.int8).transpose(1, 0, 2), scales
