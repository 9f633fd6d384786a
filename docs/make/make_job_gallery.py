"""Renders every job on a model folder and writes docs/jobs.md with what came out.

    python docs/make/make_job_gallery.py [--model FOLDER] [--out FOLDER]

The commands and OSC messages on the page are made from the very requests that are rendered.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from job_examples import Example, examples
from job_pictures import draw
from job_studio import Studio
from job_tables import costs, distances, seams, strengths, table, widths

import models
from osc_bridge.messages.requests.generated import SUBMISSIONS
from server.render.pipeline import Pipeline
from server.render.take import Take
from server.requests.fields import Field, fields_of
from server.requests.request import ClipRequest, Request

DOCS: Final = Path(__file__).parents[1]
MEASURES: Final = [
    ["`prompt_distance`", "1 - cosine to the nearest caption of the training sounds"],
    ["`score`", "how well the take matches the prompt, up to 1"],
    ["`note_cents`", "distance from the note in the prompt"],
    ["`tuned_cents`", "by how much the take was transposed to the note in the prompt"],
    ["`tempo_bpm`", "measured tempo"],
    ["`key_share`", "share of the tones that are notes of the key, 0 to 1"],
    ["`seam_db`", "the worst join, less the usual jump of the sound itself; 0 is inaudible"],
    ["`naive_seam_db`", "the same for a plain cut"],
    ["`length_error_samples`", "distance from the exact length of the bars"],
    ["`cutoff_hz`", "where the dull clip ends"],
    ["`stereo_correlation`", "correlation of the two sides"],
    ["`mono_sum_db`", "level of the mono sum against one side"],
    ["`new_rms_db`", "level of what was rendered; of several regions, that of the softest"],
    [
        "`silent`",
        "what was rendered is below -60 dBFS, or 24 dB below the clip (soft clips: the latter)",
    ],
    ["`upper_band_db`", "level of the band above the model's, against the whole take"],
    ["`added_db`", "level of what upscaling added, against the clip"],
    ["`gain_db`", "gain by loudness and ceiling"],
    ["`limited_db`", "by how much the highest peak was limited"],
    [
        "`attenuated_db`",
        "by how much the take was turned down, because its file type could not hold its peaks",
    ],
]
"""Names in the takes' measures, and what they mean."""
FILES: Final = """
## Files

A take may also carry warnings, in sentences. They appear in every interface.

- **Silence.** A silent new part is drawn again, at most three times: alone, then with other
  seeds. The seed that made it is in the recipe. If it stays silent, `silent` says so.
- **Peaks.** The gain of a new part falls smoothly where it would exceed -1 dBFS and the clip's
  peaks. A sound above full scale is turned down for file types of integers; `wav32f` keeps its
  level. An HTTP download in another format (`?format=`) is refused instead.
- **Channels.** Edits keep the correlation of the clip's channels. Surround becomes stereo after
  ITU-R BS.775. In mono, the side signal is shifted by 90 degrees, so that nothing cancels out.
- **Metadata.** What came with a clip goes back with it, up to 16 MiB. Positions move with the
  sound. That is `bext`, iXML, cues, labels, `smpl`, `acid`, names, pictures and the channel mask.
  AIFF markers become cues; in FLAC, RIFF chunks are in `APPLICATION` blocks.
- **Tuning.** A take that plays the note of its prompt up to a whole tone off is transposed to it,
  in the octave where it is. Its length stays. `tune 0` (`--tune 0`) leaves it as the model made it.
- **Loops.** New loops carry `smpl` and `acid`: loop points, tempo, and the root note that the
  prompt or the key names. `bpm_in_name` writes the tempo into the file's name.
- **Recipes** are in the comment, and in iXML (WAV) or `AUDIOLDM_RECIPE` (FLAC). A clip's own
  comment stays.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Render, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(models.__path__[0]) / "tiny")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of jobs.md and jobs/")
    options = parser.parse_args(arguments)
    pipeline = Pipeline(options.model, "auto", options.threads)
    pipeline.warm_up()
    pictures = options.out / "jobs"
    pictures.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(pipeline, Path(folder))
        text = "".join(page(studio, pictures))
    (options.out / "jobs.md").write_text(text, "utf-8")


def page(studio: Studio, pictures: Path) -> Iterator[str]:
    """The page, piece by piece; its pictures go into ``pictures``."""
    name = studio.pipeline.manifest.name
    yield (
        "# Jobs\n\n"
        f"What each job does, as a command, an OSC message and a Python request, on the model "
        f"`{name}`.\n"
        "`python docs/make/make_job_gallery.py` makes this page on any model folder.\n\n"
        "Pictures are spectrograms from 0 to 20 kHz, over 70 dB of level. If there are two, the "
        "upper one is the clip.\nIn Python, pass the request to "
        "`Pipeline(folder).render(request)`.\n"
    )
    yield table("Measures", "Each take carries its measures.", ["measure", "meaning"], MEASURES)
    yield FILES
    for number, (example, before) in enumerate(examples(studio), 1):
        takes = studio.render(example.request, example.title)
        picture = f"{number:02d}-{example.title.lower().replace(' ', '-')}.png"
        draw(before, takes[0].waveform, pictures / picture)
        yield section(example, takes, picture)
    for section_of in (strengths, distances, widths, seams):
        yield section_of(studio)
    yield costs(studio)


def section(example: Example, takes: list[Take], picture: str) -> str:
    """One job: words, command, message, request, measures, picture."""
    request = example.request
    names = [field for field in example.shown if field in takes[0].measures]
    measured = "; ".join(
        f"{name} " + ", ".join(figure(take.measures[name]) for take in takes) for name in names
    )
    return (
        f"\n## {example.title}\n\n{example.words}\n\n"
        f"    {command(request)}\n    {osc(request)}\n\n"
        f"`{python(request)}`\n\n"
        + (f"Measured: {measured}.\n\n" if measured else "")
        + f"![before and after](jobs/{picture})\n"
    )


def figure(measure: float | None) -> str:
    """A measure in four digits; a sound without a beat has no tempo."""
    return "none" if measure is None else f"{measure:.4g}"


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


if __name__ == "__main__":
    main()
