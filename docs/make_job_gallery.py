"""Renders every job on a model folder and writes docs/jobs.md with what came out.

    python docs/make_job_gallery.py [--model FOLDER]

The commands and OSC messages on the page are made from the very requests that are rendered.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from PIL import Image

import models
from osc_bridge.submissions import SUBMISSIONS
from server.fields import Field, fields_of
from server.pipeline import Pipeline
from server.request import (
    ClipRequest,
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
from server.take import Take
from server.waveform import Waveform

HERE: Final = Path(__file__).parent
PICTURES: Final = HERE / "jobs"
MEGABYTE: Final = 2**20
SIZE: Final = (480, 128)


@dataclass(frozen=True)
class Example:
    """One job on the page."""

    title: str
    words: str
    request: Request
    shown: tuple[str, ...] = ()
    """Which measures are told."""


def main() -> None:
    """Render, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(models.__path__[0]) / "tiny")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    pipeline = Pipeline(options.model, "auto", options.threads)
    pipeline.warm_up()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(pipeline, Path(folder))
        text = "".join(page(studio))
    (HERE / "jobs.md").write_text(text, "utf-8")


class Studio:
    """The pipeline, the clips that examples work on, and what each render cost."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self.pipeline = pipeline
        self.folder = folder
        self.costs: list[tuple[str, float, float, float, float]] = []
        self._plain: dict[float, tuple[float, float]] = {}

    def clip(self, name: str, take: Take | Waveform) -> str:
        """A file to work on; a take keeps its recipe."""
        path = self.folder / name
        encoded = take.encode() if isinstance(take, Take) else take.encode("wav16")
        path.write_bytes(encoded)
        return str(path)

    def render(self, request: Request, title: str = "") -> list[Take]:
        """The takes; with a ``title``, their cost is noted."""
        if not title:
            return self.pipeline.render(request)
        self.pipeline.render(request)
        with watched() as used:
            takes = self.pipeline.render(request)
        seconds = takes[0].waveform.seconds
        plain_s, plain_bytes = self._plain_cost(round(seconds, 2))
        self.costs.append((title, seconds, used[0], plain_s, used[1] - plain_bytes))
        return takes

    def _plain_cost(self, seconds: float) -> tuple[float, float]:
        if seconds not in self._plain:
            request = TextToAudio(prompt="rain", audio_length_in_s=max(0.3, seconds), seed=1)
            self.pipeline.render(request)
            with watched() as used:
                self.pipeline.render(request)
            self._plain[seconds] = (used[0], used[1])
        return self._plain[seconds]


@contextmanager
def watched() -> Iterator[list[float]]:
    """Processor seconds (a busy machine does not lengthen them), and bytes of resident memory at
    the peak, of what runs inside."""
    used, done = [0.0, 0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            used[1] = max(used[1], resident())

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.process_time()
    try:
        yield used
    finally:
        used[0] = time.process_time() - started
        done.set()
        thread.join()
        used[1] = max(used[1], resident())


def resident() -> float:
    """Bytes of this process in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096.0


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


def page(studio: Studio) -> Iterator[str]:
    """The page, piece by piece."""
    name = studio.pipeline.manifest.name
    yield (
        "# Jobs\n\n"
        f"Every job on the model `{name}`, made by `python docs/make_job_gallery.py`, which can "
        "be run again on any model folder. Pictures show 0 to 8 kHz upwards and 70 dB of level; "
        "the upper one is what was there before. Python: `Pipeline(folder).render(request)` with "
        "the request that is shown.\n"
    )
    for number, (example, before) in enumerate(examples(studio), 1):
        takes = studio.render(example.request, example.title)
        picture = f"{number:02d}-{example.title.lower().replace(' ', '-')}.png"
        draw(before, takes[0].waveform, PICTURES / picture)
        yield section(example, takes, picture)
    for table in (strengths, distances, widths, seeds):
        yield table(studio)
    yield costs(studio)


def section(example: Example, takes: list[Take], picture: str) -> str:
    """One job: words, command, message, request, measures, picture."""
    request = example.request
    names = [field for field in example.shown if field in takes[0].measures]
    told = "; ".join(
        f"{name} " + ", ".join(f"{take.measures[name]:.4g}" for take in takes) for name in names
    )
    return (
        f"\n## {example.title}\n\n{example.words}\n\n"
        f"    {command(request)}\n    {osc(request)}\n\n"
        f"`{python(request)}`\n\n"
        + (f"Measured: {told}.\n\n" if told else "")
        + f"![before and after](jobs/{picture})\n"
    )


def given(request: Request) -> Iterator[tuple[Field, Any]]:
    """The fields that say something, as they were asked for."""
    for field in fields_of(type(request)):
        value: Any = request
        for part in field.name.split("."):
            value = getattr(value, part)
        settled = ("num_inference_steps", "guidance_scale", "sampler")
        if value != field.default and field.name not in (*settled, "recipe"):
            shown = Path(value).name if field.extra.get("file") else value
            yield field, shown


def command(request: Request) -> str:
    """The command line that makes the same."""
    tag = str(request.__struct_config__.tag)
    words = ["audioldm-daw", "render" if tag == "text" else tag]
    if isinstance(request, ClipRequest):
        words.append(Path(request.clip).name)
    if request.prompt:
        words += [request.prompt] if tag == "text" else ["-p", request.prompt]
    for field, value in given(request):
        if field.name in ("prompt", "clip"):
            continue
        flag = field.extra.get("flag", field.name.rpartition(".")[2].replace("_", "-"))
        values = value.split(field.extra["repeat"]) if "repeat" in field.extra else [value]
        for one in values:
            words += [f"--{flag}", str(int(one)) if isinstance(one, bool) else str(one)]
    return shlex.join([*words, "-o", "out.wav"])


def osc(request: Request) -> str:
    """The OSC message that makes the same."""
    kind = next(s for s in SUBMISSIONS if s.kind is type(request))
    words: list[Any] = ["job1", request.prompt]
    for field, value in given(request):
        if field.name != "prompt":
            words += [field.name, int(value) if isinstance(value, bool) else value]
    shown = " ".join(
        f'"{w}"' if (isinstance(w, str) and " " in w) or w == "" else str(w) for w in words
    )
    return f"{kind.address} {shown}"


def python(request: Request) -> str:
    """The request in Python."""
    inside: dict[str, list[str]] = {}
    for field, value in given(request):
        parent, _, leaf = field.name.rpartition(".")
        inside.setdefault(parent, []).append(f"{leaf}={value!r}")
    words = inside.pop("", [])
    words += [f"{name}={name.title()}({', '.join(parts)})" for name, parts in inside.items()]
    return f"{type(request).__name__}({', '.join(words)})"


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
        "Correlation of log-mel spectrograms with the clip, and CLAP similarity with the prompt.",
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
        "Correlation of log-mel spectrograms with the take.",
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
        "Correlation of the sides, and the level of their mono sum against a side in dB "
        "(independent sides lose 3 dB).",
        ["width", "correlation", "mono sum, dB"],
        rows,
    )


def seeds(studio: Studio) -> str:
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
        "The worst join less the usual jump of the sound itself, in dB as `server/seam.py` "
        "defines it, over four seeds: mean (range), and the mean of a naive splice.",
        ["job", "seam, dB", "naive splice, dB"],
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
        "Processor time of the second run of each job, against plain text to audio of the same "
        "length in the same process (which is 1.00), and resident memory at the peak beyond it.",
        ["job", "length, s", "processor, s", "against text", "extra memory, MiB"],
        rows,
    )


def likeness(a: Waveform, b: Waveform) -> float:
    """Correlation of the two sounds' spectrograms."""
    first, second = (spectrogram(sound)[:, :400] for sound in (a, b))
    frames = min(first.shape[1], second.shape[1])
    return float(np.corrcoef(first[:, :frames].ravel(), second[:, :frames].ravel())[0, 1])


def spectrogram(sound: Waveform) -> np.ndarray:
    """Levels in dB from 0 to 8 kHz, [128, frames]."""
    mono = sound.resample(16000).downmix()
    length, hop = 1024, 160
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, length // 2), length)[::hop]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)))[:, :512]
    bands = power.reshape(len(power), 128, 4).mean(axis=2).T
    return 10.0 * np.log10(bands + 1e-8)


def draw(before: Waveform | None, after: Waveform, path: Path) -> None:
    """The spectrograms one above the other, in few colours, so that the file stays small."""
    sounds = [sound for sound in (before, after) if sound is not None]
    longest = max(sound.seconds for sound in sounds)
    strips = [strip(sound, longest) for sound in sounds]
    gap = np.full((6, SIZE[0]), 31, np.uint8)
    rows = [part for one in strips for part in (one, gap)][:-1]
    image = Image.fromarray(np.concatenate(rows), mode="P")
    colours = matplotlib.colormaps["magma"](np.linspace(0, 1, 32))[:, :3]
    image.putpalette((colours * 255).astype(np.uint8).ravel().tolist())
    image.save(path, optimize=True, bits=5)


def strip(sound: Waveform, longest_s: float) -> np.ndarray:
    """One spectrogram as colour numbers, [128, width]."""
    levels = spectrogram(sound)
    width = max(1, round(SIZE[0] * sound.seconds / longest_s))
    columns = np.linspace(0, levels.shape[1] - 1, width).astype(int)
    shown = np.clip((levels[:, columns] - levels.max() + 70.0) / 70.0, 0.0, 1.0)
    result = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    result[:, :width] = np.round(shown[::-1] * 31)
    return result


if __name__ == "__main__":
    main()
