"""Measures without a classifier: pitch, tempo, and errors of the decoder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from server.audio.beat import grid_alignment, onset_times, related_tempo, tempo_bpm
from server.audio.pitch import note_pitch, octave_error
from training.evaluation.prompt_list import LoopPrompt, NotePrompt
from training.evaluation.setup import EvaluationSetup, JudgedTake, Samples, mean, read_samples
from training.evaluation.sound_classes import LabelledClip
from training.evaluation.texture import (
    block_excess_db,
    flux_db,
    mel_l1,
    modulation_difference_db,
    ring_db,
)
from training.evaluation.tuning import judge_tuning
from training.networks.mel import HOP_LENGTH, NUM_MELS, LogMel

__all__ = [
    "RealSound",
    "judge_decoder",
    "judge_decoder_tuning",
    "judge_loops",
    "judge_notes",
    "judge_texture",
]

RealSound = tuple[str, float, Path]
"""Caption, MIDI note or tempo, file."""

MAX_CENTS: Final = 50.0
IN_TUNE_CENTS: Final = 10.0
DECODER_SECONDS: Final = 5.12
LOOP_SECONDS: Final = 5.12
SHORTEST: Final = 4800
"""Samples to which a short clip is padded: the encoder wants some frames."""
_TO_MEL: Final = LogMel()


def judge_notes(
    setup: EvaluationSetup, prompts: Iterable[NotePrompt], real: Iterable[RealSound]
) -> dict[str, Any]:
    """Share of note prompts whose take has the named pitch within 50 cents."""
    pitches = [(prompt.prompt, prompt.midi, setup.render(prompt.prompt)) for prompt in prompts]
    clips = [(caption, midi, read_samples(path)) for caption, midi, path in real]
    return {**_note_rates(pitches), "real": _note_rates(clips) if clips else None}


def judge_loops(
    setup: EvaluationSetup, prompts: Iterable[LoopPrompt], real: Iterable[RealSound]
) -> dict[str, Any]:
    """Measured against named tempo, and how well onsets sit on sixteenths of it."""
    loops = [(p.prompt, p.bpm, setup.render(p.prompt, seconds=LOOP_SECONDS)) for p in prompts]
    clips = [(caption, bpm, read_samples(path, LOOP_SECONDS)) for caption, bpm, path in real]
    return {**_loop_rates(loops), "real": _loop_rates(clips) if clips else None}


def judge_texture(setup: EvaluationSetup, takes: Sequence[JudgedTake]) -> dict[str, Any]:
    """Flux of the takes, and of held-out clips of their classes cut or padded to their length."""
    frames = len(takes[0].samples)
    clips = [clip for label in setup.labels for clip in setup.real.of("held_out", label)]
    real = [read_samples(clip.path)[:frames] for clip in clips]
    padded = [np.pad(samples, (0, frames - len(samples))) for samples in real]
    flux = mean(flux_db(_log_mel(take.samples)) for take in takes)
    real_flux = mean(flux_db(_log_mel(samples)) for samples in padded)
    return {"flux_db": flux, "real_flux_db": real_flux, "relative": flux / real_flux}


def judge_decoder(setup: EvaluationSetup, clips: Sequence[LabelledClip]) -> dict[str, Any]:
    """Real clips through VAE and vocoder: recognition, mel-L1, block patterns, ringing.

    A model with another spectrogram than AudioLDM's is measured as a whole only.
    """
    originals = [read_samples(clip.path, DECODER_SECONDS) for clip in clips]
    originals = [np.pad(samples, (0, max(0, SHORTEST - len(samples)))) for samples in originals]
    mels = [_log_mel(samples) for samples in originals]
    both = [setup.decode(samples) for samples in originals]
    decoded, middle = [samples for samples, _ in both], [frames for _, frames in both]
    decoded_mels = [_log_mel(samples) for samples in decoded]
    labels = [clip.label for clip in clips]
    block = setup.manifest.latent.time_factor
    report = {
        "clips": len(clips),
        "top1": _recognised(setup, labels, decoded),
        "real_top1": _recognised(setup, labels, originals),
        "mel_l1": mean(map(mel_l1, mels, decoded_mels)),
        "modulation_difference_db": modulation_difference_db(mels, decoded_mels),
        "block_excess_time_db": block_excess_db(mels, decoded_mels, block, axis=0),
        "block_excess_frequency_db": block_excess_db(mels, decoded_mels, block, axis=1),
        "ring_db": ring_db(originals, decoded),
    }
    if setup.manifest.num_mels == NUM_MELS and setup.manifest.hop_length == HOP_LENGTH:
        vocoded = [setup.vocode(frames) for frames in mels]
        report["top1_vocoder_only"] = _recognised(setup, labels, vocoded)
        report["mel_l1_vocoder_only"] = mean(map(mel_l1, mels, map(_log_mel, vocoded)))
        report["mel_l1_vae_only"] = mean(map(mel_l1, mels, middle))
    return report


def judge_decoder_tuning(setup: EvaluationSetup, real: Iterable[RealSound]) -> dict[str, Any]:
    """Cents by which tones, chords and real notes come out beside where they went in."""
    notes = [(caption, midi, read_samples(path, DECODER_SECONDS)) for caption, midi, path in real]
    return judge_tuning(lambda samples: setup.decode(samples)[0], setup.transfer, notes)


def _note_rates(notes: Sequence[tuple[str, float, Samples]]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    steady, rows, in_tune = [], [], 0
    for text, midi, samples in notes:
        pitch = note_pitch(samples)
        outcome, cents = "unpitched", math.nan
        if not math.isnan(pitch.hz):
            octaves, cents = octave_error(pitch.hz, midi)
            near = abs(cents) <= MAX_CENTS
            outcome = ("octave" if octaves else "right") if near else "wrong"
            in_tune += not octaves and abs(cents) <= IN_TUNE_CENTS
        counts[outcome] += 1
        steady.append(pitch.steady * pitch.voiced)
        rows.append(
            {
                "prompt": text,
                "midi": midi,
                "hz": _round(pitch.hz),
                "cents": _round(cents),
                "outcome": outcome,
            }
        )
    total = len(notes)
    rates = {name: counts[name] / total for name in ("right", "octave", "wrong", "unpitched")}
    rates["in_tune"] = in_tune / total
    return {"takes": total, **rates, "steady": mean(steady), "notes": rows}


def _loop_rates(loops: Sequence[tuple[str, float, Samples]]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    alignments, chances, rows = [], [], []
    for text, bpm, samples in loops:
        times, measured = onset_times(samples), tempo_bpm(samples)
        relation = "none" if math.isnan(measured) else related_tempo(measured, bpm)
        counts[relation] += 1
        alignments.append(grid_alignment(times, bpm))
        chances.append(1.0 / math.sqrt(max(1, len(times))))
        rows.append(
            {
                "prompt": text,
                "bpm": bpm,
                "measured": _round(measured),
                "onsets": len(times),
                "relation": relation,
            }
        )
    total = len(loops)
    rates = {name: counts[name] / total for name in ("same", "related", "other", "none")}
    grid = {"grid_alignment": mean(alignments), "grid_alignment_by_chance": mean(chances)}
    return {"takes": total, **rates, **grid, "loops": rows}


def _recognised(setup: EvaluationSetup, labels: Sequence[str], sounds: Sequence[Samples]) -> float:
    indices = [setup.judge.classes.index(label) for label in labels]
    return mean(
        setup.judge.classify(samples).top(1)[0] == index
        for index, samples in zip(indices, sounds, strict=True)
    )


def _log_mel(samples: Samples) -> npt.NDArray[np.float32]:
    padded = np.pad(samples, (0, -len(samples) % HOP_LENGTH)).astype(np.float32)
    with torch.no_grad():
        return np.asarray(_TO_MEL(torch.from_numpy(padded)[None])[0].numpy())


def _round(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 1)
