"""The demonstration behind ``make demo``: start everything, ask for sounds over OSC, stop.

Each prompt travels as a DAW would send it; the takes and a picture of each are left in ``--out``.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from osc_bridge.client.client import Client
from server.audio.waveform import Waveform
from server.render.finishing.measures import SILENCE_DB

PROMPTS = (
    "a deep kick drum",
    "a bright piano chord",
    "heavy rain and thunder",
    "a dog barking",
    "a drum loop at 120 bpm",
    "birds singing in a forest",
    "a church bell",
    "a warm synth pad",
)
OSC_PORT = re.compile(r"\bOSC\b.*?:(\d+)")
RENDER_TIMEOUT_S = 300.0
CANDIDATES = 6


@contextlib.contextmanager
def instrument(takes: Path) -> Iterator[int]:
    """``audioldm-daw`` on free ports, shut down at the end; yields its OSC port."""
    with tempfile.TemporaryDirectory() as state:
        # Its own ports and journal: an instrument that is up already is left alone.
        flags = ("--osc-port=0", "--http-port=0", f"--takes-folder={takes}")
        process = subprocess.Popen(
            (sys.executable, "-m", "osc_bridge.cli", *flags, f"--state-folder={state}"),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield _osc_port(process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def _osc_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        print(f"  | {line.rstrip()}")
        if found := OSC_PORT.search(line):
            return int(found[1])
    raise SystemExit("audioldm-daw ended before it was ready")


def draw(sound: Waveform, picture: Path) -> None:
    """The spectrogram of a take."""
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.specgram(sound.downmix() + 1e-7, NFFT=1024, Fs=sound.sample_rate, noverlap=768, vmin=-140)
    axes.set(title=picture.stem, xlabel="seconds", ylabel="Hz", ylim=(0, 8000))
    figure.savefig(picture, dpi=90)
    plt.close(figure)


def main() -> int:
    """Render the prompts; 0 if every one became sound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    silent = 0
    with instrument(out) as port, Client(port=port) as client:
        print(f"ready after {time.monotonic() - started:.1f} s")
        for number, prompt in enumerate(PROMPTS):
            asked = time.monotonic()
            # Seeded, so that every machine plays the same, and the best of several, as without.
            settings = {"seed": number, "num_candidates": CANDIDATES}
            take = client.render(prompt, timeout_s=RENDER_TIMEOUT_S, **settings)[0]
            seconds = time.monotonic() - asked
            sound = Waveform.read(take.path)
            silent += sound.rms_db < SILENCE_DB
            draw(sound, take.path.with_suffix(".png"))
            print(f"{seconds:5.2f} s  {prompt:28} {take.path}")
    print(f"{len(PROMPTS)} takes in {time.monotonic() - started:.1f} s; everything is shut down")
    if silent:
        print(f"{silent} of them are silent", file=sys.stderr)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
