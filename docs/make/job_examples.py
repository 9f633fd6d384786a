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
    Fill,
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
    """Names of the measures that are printed."""


def examples(studio: Studio) -> Iterator[tuple[Example, Waveform | None]]:
    """Every job, and the clip that it works on."""
    make = studio.pipeline.render
    text = TextToAudio(prompt="heavy rain on a tin roof", seed=3, audio_length_in_s=5.12)
    rain = make(text)[0]
    clip = studio.clip("rain.wav", rain)
    sound = Waveform.read(Path(clip))
    beat = make(TextToAudio(prompt="drum loop", seed=5, bars=2, bpm=120.0, loop=True))[0]
    loop = studio.clip("beat.wav", beat)
    dull = studio.clip("dull.wav", sound.resample(8000))
    seam = ("seam_db", "naive_seam_db")
    yield Example("Text", "Sound from words.", text, ("prompt_distance",)), None
    yield (
        Example(
            "Note",
            "A prompt may name a note (`A4`, `Bb3`, `F sharp 5`, `middle C`, `440 Hz`) or a tempo "
            "(`128 bpm`). Models trained with notation, such as the built-in one, get it as a "
            "number. If a prompt names several notes or tempi, none is used. The pitch and tempo "
            "of each take are measured, and takes that match come first.",
            TextToAudio(prompt="an alto saxophone playing A4", num_candidates=3, seed=3),
            ("note_cents",),
        ),
        None,
    )
    yield (
        Example(
            "Blend and takes",
            "Parts of a prompt are weighted against each other in CLAP's space. Several takes are "
            "ranked by how well they match the prompt.",
            TextToAudio(prompt="rain:0.6 + wind:0.4", num_waveforms_per_prompt=4, seed=3),
            ("score", "prompt_distance"),
        ),
        None,
    )
    yield (
        Example(
            "Audio prompt",
            "A prompt and a clip, weighted against each other.",
            TextToAudio(prompt="metallic", audio_prompt=clip, audio_prompt_weight=0.6, seed=3),
        ),
        sound,
    )
    yield (
        Example(
            "Style transfer",
            "The clip's shape with another sound. Strength 0 is the clip, 1 is the prompt alone.",
            Transfer(prompt="ocean waves", clip=clip, strength=0.6, seed=3),
        ),
        sound,
    )
    yield (
        Example(
            "Inpaint",
            "Two regions are rendered again; every other sample stays as it is, to the bit. "
            "Without a prompt, the clip's own sound fills them. The file has the clip's rate, "
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
            "The clip continues. With `side before`, it begins earlier.",
            Continue(clip=clip, audio_length_in_s=5.12, seed=3),
            seam,
        ),
        sound,
    )
    yield (
        Example(
            "Upscale",
            "The upper band that a dull clip lacks; its own band stays as it is. If no band is "
            "missing (more than -40 dB of the power lies above the cutoff), the job says so.",
            Upscale(clip=dull, seed=3),
            ("cutoff_hz",),
        ),
        Waveform.read(Path(dull)).resample(16000),
    )
    yield (
        Example(
            "Loop",
            "An exact number of bars, without a seam where the end meets the beginning. A model "
            "with notation plays at the request's `bpm`. A hit on the first beat raises "
            "`seam_db`, as it does here. It is no fault: the same loop joined elsewhere jumps as "
            "much at that beat.",
            TextToAudio(prompt="drum loop", bars=2, bpm=117.3, loop=True, seed=5),
            ("tempo_bpm", "seam_db", "length_error_samples"),
        ),
        None,
    )
    yield (
        Example(
            "Transfer a loop",
            "A transferred loop stays a loop.",
            Transfer(prompt="metallic hits", clip=loop, strength=0.5, loop=True, seed=3),
            ("seam_db",),
        ),
        beat.waveform,
    )
    yield (
        Example(
            "Vary",
            "A variation of a take, made from the recipe in its file.",
            Vary(clip=clip, distance=0.3, seed=9),
        ),
        sound,
    )
    yield (
        Example(
            "Morph",
            "The take changes from one prompt to the next.",
            Morph(prompt="rain > birds singing > thunder", audio_length_in_s=10.24, seed=3),
        ),
        None,
    )
    yield (
        Example(
            "Wide",
            "Stereo: the sides differ as much as `width` says, and their sum is the mono take.",
            TextToAudio(prompt="rain", width=0.8, seed=3, delivery=Delivery(channels=2)),
            ("stereo_correlation", "mono_sum_db"),
        ),
        None,
    )
    yield (
        Example(
            "Long",
            "Longer than the model's window: overlapping windows are denoised together.",
            TextToAudio(prompt="ocean waves", audio_length_in_s=60.0, seed=3),
        ),
        None,
    )
    yield (
        Example(
            "Fill",
            "Takes between two sounds, evenly spread. Embeddings and latents are interpolated. "
            "`strength` says how much is new, and a prompt pulls all takes towards it. The picture "
            "shows the first sound and the first take.",
            Fill(clip=clip, other=loop, num_waveforms_per_prompt=3, seed=3),
            ("place", "similarity_to_clip", "similarity_to_other"),
        ),
        sound,
    )
