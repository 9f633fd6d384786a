"""VST3 in pedalboard (JUCE), as people use it from Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from companion import Companion, environment
from plugin_build import VST3

pytest.importorskip("pedalboard")

# In a process of its own: what a plug-in does to the thread that loads it must not reach the tests.
SESSION = """
import pathlib, sys, time
import numpy as np, pedalboard, soundfile as sf

tiny = np.array([1e-310])
plugin = pedalboard.load_plugin(sys.argv[1])
assert (tiny * 0.5)[0] != 0, "loading the plug-in switched denormals off"
assert not plugin.is_instrument and plugin.name == "AudioLDM", plugin
assert len(plugin.parameters) < 25, list(plugin.parameters)

def run(seconds, samples=None):
    samples = np.zeros((2, int(seconds * 48000)), np.float32) if samples is None else samples
    return plugin.process(samples, 48000, buffer_size=512, reset=False)

takes = pathlib.Path(sys.argv[2])
before = set(takes.glob("*.wav"))

def take():
    return next(iter(set(takes.glob("*.wav")) - before), None)

run(0.1)
plugin.bars, plugin.seconds_s, plugin.seed = 0, 2.0, 7
run(0.1)
time.sleep(1)
plugin.generate = True
end = time.monotonic() + 30
while not take():
    assert time.monotonic() < end, "no take"
    run(0.02)
    time.sleep(0.05)
plugin.generate = False
time.sleep(0.5)
run(0.1)
plugin.trigger = True
played = run(3)
samples, rate = sf.read(take(), dtype="float32")
assert rate == 48000 and len(samples) == 96000, (rate, samples.shape)
assert np.array_equal(played[0, : len(samples)], samples), "not the samples of the file"
assert not played[:, len(samples) :].any()
print("equal")
"""


def test_a_take_is_rendered_and_heard(plugin: None, companion: Companion, tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-c", SESSION, str(VST3), str(companion.takes)),
        env={**os.environ, **environment(tmp_path, companion.port)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.strip().endswith("equal"), done.stdout + done.stderr[-3000:]
