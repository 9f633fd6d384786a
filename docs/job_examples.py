"""The jobs that docs/jobs.md shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from job_studio import Studio

from server.audio.waveform import Waveform
from server.requests.request import (
    Continue,
    Delivery,
    Inpaint,
    Morph,
    Request,
    TextToAudio,
    Transfer,
    Upscale,
    Vary,
)

__all__ = ["Example", "examples"]


@dataclass(frozen=True)
class Example:
    """One job on the page."""

    title: str
    words: str
    request: Request
    shown: tuple[str, ...] = ()
    """Which measures are told."""


def examples(studio: Studio) -> Iterator[tuple[Example, Waveform | None]]:
    """Every job, and the clip that it works on."""
    make = studio.pipeline.render
    rain = make(TextToAudio(prompt="heavy rain on a tin roof", seed=3, audio_length_in_s=5.12))[0]
    clip = studio.clip("rain.wav", rain)
    sound = Waveform.read(Path(clip))
    beat = make(TextToAudio(prompt="drum loop", seed=5, bars=2, bpm=120.0, loop=True))[0]
    loop = studio.clip("beat.wav", beat)
    dull = studio.clip("dull.wav", sound.resample(8000))
    seam = ("seam_db", "naive_seam_db")
    yield Example("Text", "Sound from words.", rain.recipe.request, ("prompt_distance",)), None
    yield (
        Example(
            "Note",
            "A note (`A4`, `Bb3`, `F sharp 5`, `middle C`, `440 Hz`) or a tempo (`128 bpm`) that "
            "the prompt names is told to the unet as a number, where the model was trained with "
            "notation, as the built-in one was. Of several notes or tempi none counts. What a "
            "take plays is measured, and of several those that play what was named come first.",
            TextToAudio(prompt="an alto saxophone playing A4", num_candidates=3, seed=3),
            ("note_cents",),
        ),
        None,
    )
    yield (
        Example(
            "Blend and takes",
            "Parts of a prompt weighted against each other in CLAP's space; several takes come "
            "ranked by how well the prompt is heard in them.",
            TextToAudio(prompt="rain:0.6 + wind:0.4", num_waveforms_per_prompt=4, seed=3),
            ("score", "prompt_distance"),
        ),
        None,
    )
    yield (
        Example(
            "Audio prompt",
            "More like this clip, but as the words say.",
            TextToAudio(prompt="metallic", audio_prompt=clip, audio_prompt_weight=0.6, seed=3),
        ),
        sound,
    )
    yield (
        Example(
            "Style transfer",
            "The clip's shape with another sound: 0 is the clip itself, 1 is the prompt alone.",
            Transfer(prompt="ocean waves", clip=clip, strength=0.6, seed=3),
        ),
        sound,
    )
    yield (
        Example(
            "Inpaint",
            "Two regions made anew; every sample elsewhere stays as it is, to the bit. "
            "Without a prompt the clip's own sound fills them. The file has the clip's rate, "
            "channels and bits, from 8-bit integers to 64-bit floats.",
            Inpaint(clip=clip, regions="1.5:2.2, beats:7:8", bpm=120.0, seed=3),
            seam,
        ),
        sound,
    )
    yield (
        Example(
            "Inpaint a band",
            "Only what lies between two frequencies is replaced.",
            Inpaint(prompt="birds singing", clip=clip, regions="hz:2000:6000@1.0:4.0", seed=3),
            seam,
        ),
        sound,
    )
    yield (
        Example(
            "Continue",
            "The clip goes on; with `side before` it begins earlier.",
            Continue(clip=clip, audio_length_in_s=5.12, seed=3),
            seam,
        ),
        sound,
    )
    yield (
        Example(
            "Upscale",
            "The upper band that a dull clip lacks; its own band is delivered as it came. Where "
            "none is missing (above the fall is more than -40 dB of the power) it says so.",
            Upscale(clip=dull, seed=3),
            ("cutoff_hz",),
        ),
        Waveform.read(Path(dull)).resample(16000),
    )
    yield (
        Example(
            "Loop",
            "Exactly so many bars, and no seam where the end meets the beginning; a model with "
            "notation plays at the request's `bpm`. A hit on the "
            "first beat counts in `seam_db`, as it does here: the same ring decoded with its join "
            "elsewhere jumps as much at that beat, so it is the music.",
            TextToAudio(prompt="drum loop", bars=2, bpm=117.3, loop=True, seed=5),
            ("tempo_bpm", "seam_db", "length_error_samples"),
        ),
        None,
    )
    yield (
        Example(
            "Transfer a loop",
            "A loop stays a loop.",
            Transfer(prompt="metallic hits", clip=loop, strength=0.5, loop=True, seed=3),
            ("seam_db",),
        ),
        beat.waveform,
    )
    yield (
        Example(
            "Vary",
            "A take's neighbour, made from the recipe in its file.",
            Vary(clip=clip, distance=0.3, seed=9),
        ),
        sound,
    )
    yield (
        Example(
            "Morph",
            "From one prompt to the next along the take.",
            Morph(prompt="rain > birds singing > thunder", audio_length_in_s=10.24, seed=3),
        ),
        None,
    )
    yield (
        Example(
            "Wide",
            "Sides that differ as much as the width says, and sum to mono.",
            TextToAudio(prompt="rain", width=0.8, seed=3, delivery=Delivery(channels=2)),
            ("stereo_correlation", "mono_sum_db"),
        ),
        None,
    )
    yield (
        Example(
            "Long",
            "Longer than the model: overlapping windows, denoised together.",
            TextToAudio(prompt="ocean waves", audio_length_in_s=60.0, seed=3),
        ),
        None,
    )
