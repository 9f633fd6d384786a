"""``audioldm-train evaluate``: evaluation by measures that a model was not trained on.

    audioldm-train evaluate MODEL_FOLDER --sounds FOLDER [--quick] [--out FOLDER]
    audioldm-train evaluate --generated FOLDER --references FOLDER --cnn14 FILE --vggish FILE

The first renders prompts with the engine that ships and judges them against real held-out
clips; the second compares two folders of sound files as the paper does. Both write
``report.json`` and ``report.md``. ``--quick`` renders short takes, about 120 of them, for
choosing between models while training.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch

from server.audio.waveform import Waveform
from server.errors import AudioLDMError, InvalidRequest
from server.render.pipeline import Pipeline
from training.evaluation import parts
from training.evaluation import sound_measures as sound
from training.evaluation.folders import compare_folders
from training.evaluation.judge import SAMPLE_RATE, Judge
from training.evaluation.prompt_list import DEVELOPMENT, HELD_BACK, PromptList
from training.evaluation.report import folders_markdown, model_markdown
from training.evaluation.setup import EvaluationSetup, RealClips, RenderSettings, Samples
from training.evaluation.sound_classes import LabelledClip, label_clips
from training.sounds.folder import held_out, read_manifest

__all__ = ["evaluate_model", "main"]

PARTS: Final = (
    "classes",
    "noises",
    "distributions",
    "texture",
    "notes",
    "loops",
    "first",
    "decoder",
    "tuning",
    "variety",
    "steps",
    "pairs",
    "copies",
)
QUICK_PARTS: Final = (
    "classes", "noises", "distributions", "texture", "notes", "loops", "first", "decoder",
    "tuning", "variety",
)  # fmt: skip
FIRST_PARTS: Final = ("classes", "distributions", "texture", "notes", "loops")
"""Parts that are also measured on first takes."""
TAKEN_PARTS: Final = {"classes", "noises", "distributions", "texture", "copies"}
"""Parts that share one take for each prompt."""
QUICK_SECONDS: Final = 2.56
VARIETY_CLASSES: Final = (
    "kick", "snare", "piano", "synth pad", "dog", "rain", "fire", "footsteps", "laser", "bell",
    "birds", "drum loop",
)  # fmt: skip
STEP_COUNTS: Final = (20, 8, 4)


def evaluate_model(
    setup: EvaluationSetup,
    sounds: Path,
    prompts: PromptList,
    chosen: Sequence[str],
    *,
    quick: bool = False,
) -> dict[str, Any]:
    """The chosen :data:`PARTS` of the evaluation of the model in ``setup``."""
    per_class = 1 if quick else 4
    asked = {label: prompts.classes[label][:per_class] for label in setup.labels}
    takes = [
        setup.take(label, prompt, seed=number)
        for label, texts in asked.items()
        for number, prompt in enumerate(texts)
        if set(chosen) & TAKEN_PARTS
    ]
    first = {label: texts[0] for label, texts in asked.items()}
    varied = {label: first[label] for label in VARIETY_CLASSES if label in first} or first
    every = 2 if quick else 1
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "classes": lambda: parts.judge_classes(setup, takes),
        "noises": lambda: parts.judge_noises(setup, takes),
        "distributions": lambda: parts.judge_distributions(setup, takes),
        "texture": lambda: sound.judge_texture(setup, takes),
        "first": lambda: evaluate_model(
            setup.of_first_takes(), sounds, prompts, FIRST_PARTS, quick=quick
        ),
        "notes": lambda: sound.judge_notes(
            setup, prompts.notes[::every], _real_sounds(sounds, "midi", 60)
        ),
        "loops": lambda: sound.judge_loops(
            setup, prompts.loops[::every], _real_sounds(sounds, "bpm", 40)
        ),
        "decoder": lambda: sound.judge_decoder(setup, _decoder_clips(setup)),
        "tuning": lambda: sound.judge_decoder_tuning(setup, _real_sounds(sounds, "midi", 60)),
        "variety": lambda: parts.judge_variety(setup, dict(list(varied.items())[:: 3 * every - 2])),
        "steps": lambda: parts.few_steps(setup, first, STEP_COUNTS),
        "pairs": lambda: parts.judge_pairs(setup, clips_per_class=1),
        "copies": lambda: parts.judge_copies(setup, takes),
    }
    report: dict[str, Any] = {}
    for name in chosen:
        started = time.monotonic()
        report[name] = work[name]()
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return report


def _real_sounds(sounds: Path, key: str, limit: int) -> list[sound.RealSound]:
    """Held-out real notes (``midi``) or drum loops (``bpm``) of the folder."""
    found = [
        (str(entry["captions"][0]), float(entry[key]), sounds / entry["file"])
        for entry in read_manifest(sounds)
        if entry.get(key) and entry.get("captions") and held_out(str(entry.get("group")))
        if key == "midi" or entry.get("category") == "drum_loop"
    ]
    return found[:: max(1, len(found) // limit)][:limit]


def _decoder_clips(setup: EvaluationSetup) -> list[LabelledClip]:
    """One clip a class: one the generator's training holds out too, where there is one."""
    clips = []
    for label in setup.labels:
        mine = setup.real.of("held_out", label)
        clips += sorted(mine, key=lambda clip: not held_out(clip.group))[:1]
    return clips


def _write(out: Path, report: dict[str, Any], markdown: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown, encoding="utf-8")
    print(markdown)


def _keep_in(folder: Path | None) -> Callable[[str, Samples], None]:
    """Writes each take as a file, named after its prompt."""

    def keep(name: str, samples: Samples) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            plain = re.sub(r"[^A-Za-z0-9#]+", "_", name).strip("_")
            data = Waveform.mono(samples, SAMPLE_RATE).encode("wav16")
            (folder / f"{plain}.wav").write_bytes(data)

    return keep


def _run_model(arguments: argparse.Namespace) -> None:
    if arguments.sounds is None:
        raise InvalidRequest("--sounds FOLDER is needed: what is real is measured beside the takes")
    judge = Judge.load(arguments.judge)
    prompts = PromptList.load(arguments.prompts, HELD_BACK if arguments.held_back else DEVELOPMENT)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else None)
    settings = RenderSettings(
        arguments.steps,
        arguments.guidance,
        arguments.sampler,
        seconds,
        arguments.seed,
        arguments.candidates,
    )
    real = RealClips(judge, label_clips(arguments.sounds), 6 if arguments.quick else 20)
    pipeline = Pipeline(arguments.model, threads=arguments.threads)
    takes = arguments.out / "takes" if arguments.keep_takes else None
    setup = EvaluationSetup(pipeline, judge, real, settings, prompts.classes, keep=_keep_in(takes))
    chosen = arguments.parts.split(",") if arguments.parts else None
    chosen = chosen or (QUICK_PARTS if arguments.quick else PARTS)
    unknown = set(chosen) - set(PARTS)
    if unknown:
        raise InvalidRequest(f"--parts {','.join(sorted(unknown))}: choose from {','.join(PARTS)}")
    report = evaluate_model(setup, arguments.sounds, prompts, chosen, quick=arguments.quick)
    report["model"] = {
        "name": pipeline.manifest.name,
        "digest": pipeline.manifest.digest,
        "steps": arguments.steps or pipeline.manifest.defaults.num_inference_steps,
        "guidance_scale": arguments.guidance or pipeline.manifest.defaults.guidance_scale,
        "sampler": arguments.sampler or pipeline.manifest.defaults.sampler,
        "candidates": arguments.candidates or pipeline.manifest.defaults.num_candidates,
        "seconds": seconds or pipeline.manifest.defaults.audio_length_in_s,
        "prompts": "held back" if arguments.held_back else str(arguments.prompts or "prompts.yaml"),
    }
    before = json.loads(arguments.before.read_text("utf-8")) if arguments.before else None
    _write(arguments.out, report, model_markdown(report, before))


def _run_folders(arguments: argparse.Namespace) -> None:
    if arguments.generated is None or arguments.references is None:
        raise InvalidRequest("name a model folder, or --generated and --references")
    report = compare_folders(
        arguments.generated,
        arguments.references,
        cnn14=arguments.cnn14,
        vggish=arguments.vggish,
        judge=Judge.load(arguments.judge) if arguments.judge or not arguments.cnn14 else None,
    )
    _write(arguments.out, report, folders_markdown(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audioldm-train evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, nargs="?", help="model folder to render with")
    add("--sounds", type=Path, help="folder of real sounds with manifest.jsonl")
    add("--judge", type=Path, help="judge file (default: the one that ships)")
    add("--out", type=Path, default=Path("out/evaluation"), help="folder for the report")
    add("--quick", action="store_true", help="one short take a class; for choosing models")
    add("--parts", help=f"comma-separated, of {','.join(PARTS)}")
    add("--prompts", type=Path, help="another prompts.yaml")
    add("--held-back", action="store_true", help="the prompts kept for a final report")
    add("--steps", type=int, help="num_inference_steps")
    add("--guidance", type=float, help="guidance_scale")
    add("--sampler", help="ddim, dpmpp_2m or unipc")
    add("--seconds", type=float, help="length of a take")
    add("--seed", type=int, default=0)
    add("--candidates", type=int, help="num_candidates: renders a take is the best of")
    add("--threads", type=int, default=0, help="compute threads (default: all cores)")
    add("--before", type=Path, help="report.json of an earlier version, for its own columns")
    add("--keep-takes", action="store_true", help="write every take to OUT/takes")
    add("--generated", type=Path, help="folder of generated sound files")
    add("--references", type=Path, help="folder of reference files of the same names")
    add("--cnn14", type=Path, help="Cnn14_16k_mAP=0.438.pth: the paper's FD, IS and KL")
    add("--vggish", type=Path, help="vggish-10086976.pth: the paper's FAD")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        (_run_folders if arguments.model is None else _run_model)(arguments)
    except AudioLDMError as error:
        print(f"audioldm-train evaluate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
