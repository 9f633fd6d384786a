"""Sounds that are made, not recorded: synthesised tones and, with FluidSynth, General MIDI notes.

Tones of synthesisers and sustained instruments are rare among recordings. The folder is read
like any other: ``audioldm-train fullband --sounds RECORDINGS --sounds MADE``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile

from server.errors import NotFound
from server.fullband.analysis import RATE, Array

__all__ = ["make_sounds"]

SECONDS: Final = 3.0
NUM_TONES: Final = 160
GM_CREDIT: Final = {
    "source": "Fluid (R3) General MIDI SoundFont 3.1 (rendered with FluidSynth)",
    "licence": "MIT",
    "attribution": "Fluid R3 GM SoundFont, Copyright 2000-2002, 2008 Frank Wen, "
    "2008 Toby Smithe; MIT licence",
}
OWN_CREDIT: Final = {"source": "synthesised", "licence": "CC0-1.0", "attribution": ""}
Wide = npt.NDArray[np.float64]
_TOP_HZ: Final = 20_500.0
_AUDIBLE_DB: Final = -80.0


def make_sounds(folder: Path, soundfont: Path | None = None, seed: int = 0) -> None:
    """Fill ``folder`` with tones and, from ``soundfont``, two notes of each instrument.

    Raises:
        NotFound: there is a sound font but no FluidSynth.
    """
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    lines = []
    for name, made, facts in _all(soundfont, generator):
        sound = made * np.float32(0.89 / max(float(np.abs(made).max()), 1e-9))
        soundfile.write(folder / "audio" / f"{name}.flac", sound, RATE, subtype="PCM_24")
        lines.append(json.dumps({"id": name, "file": f"audio/{name}.flac", **facts}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def _all(
    soundfont: Path | None, generator: np.random.Generator
) -> Iterator[tuple[str, Array, dict[str, Any]]]:
    for number in range(NUM_TONES):
        facts: dict[str, Any] = {
            "category": "synth",
            "group": f"tone:{number}",
            "wall_hz": None,
            **OWN_CREDIT,
        }
        yield f"tone_{number:03d}", _tone(generator), facts
    if soundfont is None:
        return
    for program in range(112):
        for note in generator.choice(np.arange(36, 85), 2, replace=False):
            sound = _midi_note(soundfont, program, int(note))
            facts = {"category": "instrument", "group": f"gm:{program}:{note}"}
            facts |= {"wall_hz": _wall_hz(sound), **GM_CREDIT}
            yield f"gm_{program:03d}_{note}", sound, facts


def _tone(generator: np.random.Generator) -> Array:
    """A saw, a pulse or several detuned ones through a falling filter, free of aliasing."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    f0 = 40.0 * 2.0 ** generator.uniform(0.0, 5.0)
    voices = int(generator.choice([1, 1, 1, 2, 5]))
    duty = generator.choice([0.0, 0.5, generator.uniform(0.1, 0.4)])
    vibrato = generator.choice([0.0, 0.004]) * np.sin(2.0 * np.pi * 5.5 * time) / (2.0 * np.pi)
    cutoff = generator.uniform(2_000.0, 24_000.0) * (
        generator.uniform(0.3, 1.0) + np.exp(-time / generator.uniform(0.05, 2.0))
    )
    order = generator.uniform(0.5, 2.0)
    total = np.zeros(len(time))
    for voice in range(voices):
        detuned = f0 * 2.0 ** (0.0 if not voice else generator.normal(0.0, 0.006))
        phase = detuned * (time + np.cumsum(vibrato) / RATE) + generator.random()
        total += _partials(phase, detuned, duty, cutoff, order)
    rise = np.minimum(1.0, time / generator.uniform(0.001, 0.1))
    fall = np.exp(-time * generator.choice([0.0, generator.uniform(0.5, 4.0)]))
    hiss = 10.0 ** (generator.uniform(-100.0, -50.0) / 20.0)
    sound = total * rise * fall
    sound += hiss * np.abs(sound).max() * generator.standard_normal(len(time)) * rise * fall
    return sound.astype(np.float32)


def _partials(phase: Wide, f0: float, duty: float, cutoff: Wide, order: float) -> Wide:
    """A pulse of ``duty`` (0: a saw) under a low-pass of ``order`` poles that moves."""
    total = np.zeros(len(phase))
    for number in range(1, int(23_500.0 / f0)):
        weight = 1.0 / number if not duty else np.sin(np.pi * number * duty) / number
        if abs(weight) < 1e-4:
            continue
        gain = (1.0 + (number * f0 / cutoff) ** 2) ** (-order)
        total += weight * gain * np.sin(2.0 * np.pi * number * phase)
    return total


def _midi_note(soundfont: Path, program: int, note: int) -> Array:
    """One note of a General MIDI instrument, the mean of both sides."""
    if shutil.which("fluidsynth") is None:
        raise NotFound("General MIDI sounds need the program fluidsynth")
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "note.mid", Path(folder) / "note.raw"
        score.write_bytes(_midi_file(program, note))
        command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-r", str(RATE), "-g", "0.6"]
        command += ["-O", "float", "-T", "raw", "-F", str(sound), str(soundfont), str(score)]
        subprocess.run(command, capture_output=True, check=True)
        stereo = np.fromfile(sound, np.float32).reshape(-1, 2)
    return np.ascontiguousarray(stereo.mean(axis=1)[: round(SECONDS * RATE)])


def _midi_file(program: int, note: int) -> bytes:
    """A format-0 file: one note of 2 s at 120 beats a minute, 480 ticks a beat."""
    events = bytes([0, 0xC0, program, 0, 0x90, note, 100]) + b"\x8f\x00" + bytes([0x80, note, 0])
    events += b"\x87\x40\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1, 1, 0xE0])
    return header + b"MTrk" + len(events).to_bytes(4, "big") + events


def _wall_hz(sound: Array) -> float | None:
    """Where the spectrum ends, 80 dB below its strongest band; None where that is at the top.

    A sample that is played lower than it was recorded has nothing above its own band.
    """
    power = np.square(np.abs(np.fft.rfft(sound)))
    hz = np.fft.rfftfreq(len(sound), 1.0 / RATE)
    edges = np.arange(0.0, 24_001.0, 250.0)
    bands = np.add.reduceat(power, np.searchsorted(hz, edges[:-1])) + 1e-20
    audible = np.flatnonzero(10.0 * np.log10(bands / bands.max()) > _AUDIBLE_DB)
    end = float(edges[audible[-1] + 1])
    return None if end >= _TOP_HZ else end
