"""``audioldm-daw render`` and the other jobs: a request to a file, without a server."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from osc_bridge.commands.library import with_library_sounds
from osc_bridge.commands.request_flags import request_from, with_preset
from server.audio.formats import file_format_of, fitting
from server.config import Config
from server.errors import AudioLDMError, InvalidRequest
from server.file_names import existing, is_same_file, path_of
from server.jobs.job import TakeInfo, tempo_in_name
from server.render.recipe import Recipe
from server.requests.fields import fields_of
from server.requests.presets import find_preset
from server.requests.request import AnyRequest, Vary

if TYPE_CHECKING:
    from server.render.pipeline import Pipeline
    from server.render.take import Take

__all__ = ["render"]


def render(options: argparse.Namespace, config: Config) -> int:
    """Render the request of ``options`` to ``options.output`` and print the takes.

    Raises:
        AudioLDMError: the request, the model or the file cannot be used.
    """
    flags = dict(vars(options))
    if options.preset:
        flags = with_preset(flags, find_preset(options.preset, config.state / "presets"))
    output = existing(path_of(options.output))
    file_format = file_format_of(output)
    if flags.get("delivery.file_format") is None:
        # An edited clip keeps its own bit depth.
        flags["delivery.file_format"] = None if flags.get("clip") else file_format
    elif flags["delivery.file_format"].startswith("flac") != (file_format == "flac"):
        raise InvalidRequest(f"--file-format {flags['delivery.file_format']} into {output.name}")
    request = with_library_sounds(request_from(flags, flags["prompt"]), config)
    if not options.overwrite:
        _check_inputs_stay(request, output)
    from server.model.manifest import Manifest
    from server.render.pipeline import Pipeline

    started_s = time.perf_counter()
    Manifest.load(config.model_folder).verify(config.model_folder)
    pipeline = Pipeline(config.model_folder, config.devices[0], config.threads)
    takes = [
        take.in_format(fitting(take.file_format, output))
        for take in pipeline.render(request, _progress)
    ]
    stored = _store_all(takes, output.with_stem(output.stem + tempo_in_name(request)))
    elapsed_s = time.perf_counter() - started_s
    if options.json:
        print(_as_json(pipeline, takes, stored, elapsed_s))
    else:
        for take in stored:
            print(f"{take.path}  {take.seconds:.2f} s  {take.sample_rate} Hz  seed {take.seed}")
            for warning in take.warnings:
                print(f"{take.path}: {warning}", file=sys.stderr)
    return 0


def _store_all(takes: list[Take], output: Path) -> list[TakeInfo]:
    """One take under the name itself, several with a number before the suffix."""
    from server.worker.main import store

    names = _names(output, len(takes))
    return [store(take, name) for take, name in zip(takes, names, strict=True)]


def _names(output: Path, num_takes: int) -> list[Path]:
    if num_takes == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}") for number in range(1, num_takes + 1)]


def _check_inputs_stay(request: AnyRequest, output: Path) -> None:
    """Check that no file of the job is written over.

    Raises:
        InvalidRequest: the output is a file that the job reads, or may be asked for later.
    """
    names = (getattr(request, f.name) for f in fields_of(type(request)) if f.extra.get("file"))
    inputs = [path_of(name) for name in names if name]
    if isinstance(request, Vary):
        # The take's own recipe needs the clip that it was made from.
        with contextlib.suppress(AudioLDMError):
            inputs += map(Path, Recipe.read(existing(inputs[0])).clips)
    for written in _names(output, request.num_waveforms_per_prompt):
        if any(is_same_file(written, path) for path in inputs):
            raise InvalidRequest(
                f"{written} is a file that this job reads; choose another name with -o, "
                "or add --overwrite"
            )


def _progress(step: int, num_steps: int) -> None:
    """Show the progress on a terminal, but not in a pipe."""
    if sys.stderr.isatty():
        end = "\n" if step == num_steps else ""
        print(f"\rstep {step} of {num_steps}", end=end, file=sys.stderr, flush=True)


def _as_json(
    pipeline: Pipeline, takes: list[Take], stored: list[TakeInfo], elapsed_s: float
) -> str:
    described = []
    for take, info in zip(takes, stored, strict=True):
        values = msgspec.to_builtins(info, enc_hook=str)
        del values["embedding"]  # half a thousand numbers that nobody reads
        recipe = msgspec.to_builtins(take.recipe)
        described.append({**values, "seconds": info.seconds, "recipe": recipe})
    summary: dict[str, Any] = {
        "takes": described,
        "providers": list(pipeline.graphs["unet"].providers),
        "elapsed_s": round(elapsed_s, 3),
    }
    return msgspec.json.encode(summary).decode()
