"""Renders every job on a model folder and writes docs/jobs.md with what came out.

    python docs/make_job_gallery.py [--model FOLDER]

The commands and OSC messages on the page are made from the very requests that are rendered.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from job_examples import Example, examples
from job_pictures import draw, likeness
from job_studio import Studio

import models
from osc_bridge.messages.generated import SUBMISSIONS
from server.audio.waveform import Waveform
from server.render.pipeline import Pipeline
from server.render.take import Take
from server.requests.fields import Field, fields_of
from server.requests.request import (
    ClipRequest,
    Continue,
    Delivery,
    Inpaint,
    Request,
    TextToAudio,
    Transfer,
    Vary,
)

HERE: Final = Path(__file__).parent
PICTURES: Final = HERE / "jobs"
MEGABYTE: Final = 2**20


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
        "The worst join less the usual jump of the sound itself, in dB as `server/audio/seam.py` "
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


if __name__ == "__main__":
    main()
