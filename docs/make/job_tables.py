"""The tables of docs/jobs.md: how far jobs go, how their joins sound, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from job_pictures import likeness
from job_studio import Studio

from server.audio.waveform import Waveform
from server.requests.request import (
    Continue,
    Delivery,
    Inpaint,
    Request,
    TextToAudio,
    Transfer,
    Vary,
)

__all__ = ["costs", "distances", "seams", "strengths", "table", "widths"]

MEGABYTE: Final = 2**20


def table(title: str, words: str, heads: list[str], rows: list[list[str]]) -> str:
    """A section with a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return f"\n## {title}\n\n{words}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def strengths(studio: Studio) -> str:
    """How near a transfer stays to its clip."""
    clip = studio.folder / "rain.wav"
    source = Waveform.read(clip)
    rows = []
    for strength in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0):
        request = Transfer(prompt="ocean waves", clip=str(clip), strength=strength, seed=3)
        take = studio.render(request)[0].waveform
        word = studio.pipeline.text("ocean waves")
        rows.append(
            [
                f"{strength:g}",
                f"{likeness(take, source):.3f}",
                f"{float(studio.pipeline.audio(take) @ word):.3f}",
            ]
        )
    return table(
        "Strength of a transfer",
        "Correlation of spectrograms with the clip, and CLAP similarity with the prompt.",
        ["strength", "like the clip", "like the prompt"],
        rows,
    )


def distances(studio: Studio) -> str:
    """How near a variation stays to its take."""
    clip = studio.folder / "rain.wav"
    source = Waveform.read(clip)
    rows = []
    for distance in (0.0, 0.1, 0.3, 0.6, 1.0):
        take = studio.render(Vary(clip=str(clip), distance=distance, seed=9))[0].waveform
        rows.append([f"{distance:g}", f"{likeness(take, source):.3f}"])
    return table(
        "Distance of a variation",
        "Correlation of spectrograms with the take.",
        ["distance", "like the take"],
        rows,
    )


def widths(studio: Studio) -> str:
    """What a stereo width gives."""
    rows = []
    for width in (0.0, 0.25, 0.5, 1.0):
        request = TextToAudio(prompt="rain", width=width, seed=3, delivery=Delivery(channels=2))
        measures = studio.render(request)[0].measures
        rows.append(
            [
                f"{width:g}",
                f"{measures['stereo_correlation']:.3f}",
                f"{measures['mono_sum_db']:.2f}",
            ]
        )
    return table(
        "Width",
        "Correlation of the sides, and level of their mono sum against one side. "
        "Independent sides lose 3 dB.",
        ["width", "correlation", "mono sum, dB"],
        rows,
    )


def seams(studio: Studio) -> str:
    """Joins over several seeds: inpainting, continuation, loops."""
    clip = str(studio.folder / "rain.wav")
    jobs: dict[str, Callable[[int], Request]] = {
        "inpaint 1.5:2.2": lambda seed: Inpaint(clip=clip, regions="1.5:2.2", seed=seed),
        "continue 5.12 s": lambda seed: Continue(clip=clip, audio_length_in_s=5.12, seed=seed),
        "loop, 1 bar at 117.3": lambda seed: TextToAudio(
            prompt="rain", bars=1, bpm=117.3, loop=True, seed=seed
        ),
    }
    rows = []
    for name, make in jobs.items():
        measures = [studio.render(make(seed))[0].measures for seed in range(4)]
        ours = [m["seam_db"] for m in measures]
        naive = [m["naive_seam_db"] for m in measures if "naive_seam_db" in m]
        rows.append(
            [
                name,
                f"{np.mean(ours):.1f} ({min(ours):.1f} to {max(ours):.1f})",
                f"{np.mean(naive):.1f}" if naive else "-",
            ]
        )
    return table(
        "Seams",
        "The worst join, less the usual jump of the sound itself, in dB (`server/audio/seam.py`). "
        "Four seeds: mean (range), and the mean of a plain cut. Lower is better.",
        ["job", "seam, dB", "plain cut, dB"],
        rows,
    )


def costs(studio: Studio) -> str:
    """Time and memory of every job."""
    rows = [
        [
            title,
            f"{seconds:.2f}",
            f"{spent:.2f}",
            f"{spent / plain:.2f}",
            f"{max(extra, 0) / MEGABYTE:.0f}",
        ]
        for title, seconds, spent, plain, extra in studio.costs
    ]
    return table(
        "Costs",
        "Processor time of each job's second run, on a CPU. *Against text* compares it with plain "
        "text-to-audio of the same length; so does the extra peak memory. Lower is better.",
        ["job", "length, s", "processor, s", "against text", "extra memory, MiB"],
        rows,
    )
