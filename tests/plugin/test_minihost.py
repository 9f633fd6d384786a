"""VST3 in minihost (JUCE): transport, notes, capture, state, export twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from companion import Companion, environment
from plugin_build import VST3
from talking import Samples

minihost = pytest.importorskip("minihost")

BLOCK = 256
NUM_PARAMETERS = 19


class Vst3:
    """The plug-in, and where its host is in the song."""

    def __init__(self, takes: Path, rate: int) -> None:
        self.takes, self.rate, self.metre = takes, rate, (4, 4)
        self.plugin = minihost.Plugin(str(VST3), sample_rate=rate, max_block_size=512)
        self.names = [self.plugin.get_param_info(k)["name"] for k in range(self.plugin.num_params)]

    def get(self, name: str) -> float:
        return float(self.plugin.get_param(self.names.index(name)))

    def set(self, name: str, value: float) -> None:
        """Normalized, from 0 to 1."""
        self.plugin.set_param_by_name(name, value)

    def run(
        self, seconds: float, start: int = -1, bpm: float = 100, input: Samples | None = None,
        pace: float = 0,
    ) -> Samples:  # fmt: skip
        """The song plays from `start`, or is stopped (-1)."""
        blocks = []
        for k in range(int(seconds * self.rate) // BLOCK):
            frame = max(0, start) + (k * BLOCK if start >= 0 else 0)
            self.plugin.set_transport(
                bpm=bpm, position_samples=frame, position_beats=frame / self.rate * bpm / 60,
                is_playing=start >= 0, time_sig_num=self.metre[0], time_sig_denom=self.metre[1],
            )  # fmt: skip
            silence = np.zeros((2, BLOCK), np.float32)
            samples = silence if input is None else input[:, k * BLOCK : (k + 1) * BLOCK]
            output = np.zeros((2, BLOCK), np.float32)
            self.plugin.process(np.ascontiguousarray(samples), output)
            blocks.append(output)
            time.sleep(BLOCK / self.rate * pace)
        return np.concatenate(blocks, axis=1)

    def until(self, name: str, value: float) -> None:
        """Process until a parameter is there."""
        end = time.monotonic() + 30
        while self.get(name) < value:
            assert time.monotonic() < end, name
            self.run(0.02)
            time.sleep(0.02)

    def generate(self) -> Path:
        """One bar of a new take at 100 bpm; its file."""
        self.set("Bars", 1 / 64)
        self.run(0.05)
        before = self.get("Takes")
        self.set("Generate", 1)
        self.run(0.05)
        self.set("Generate", 0)
        self.until("Takes", before + 0.9 / 999)
        self.run(0.02)
        return max(self.takes.glob("*.wav"), key=lambda path: path.stat().st_mtime)


@pytest.fixture
def load(
    plugin: None, companion: Companion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Vst3]:
    """Loads it at a sample rate, connected to the companion."""
    for name, value in environment(tmp_path, companion.port).items():
        monkeypatch.setenv(name, value)

    def load(rate: int) -> Vst3:
        loaded = Vst3(companion.takes, rate)
        loaded.until("Connected", 0.5)
        return loaded

    return load


@pytest.fixture
def vst3(load: Callable[[int], Vst3]) -> Vst3:
    """At 48 kHz."""
    return load(48000)


def _samples(path: Path) -> Samples:
    import soundfile as sf

    samples, _ = sf.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))


def test_no_midi_controllers_among_the_parameters(vst3: Vst3) -> None:
    assert len(vst3.names) in (NUM_PARAMETERS, NUM_PARAMETERS + 1), "JUCE may add a bypass"


@pytest.mark.parametrize("rate", [44100, 48000])
def test_generate_to_sound_at_its_place(load: Callable[[int], Vst3], rate: int) -> None:
    vst3 = load(rate)
    take = _samples(vst3.generate())
    assert take.shape[1] == 4 * 60 / 100 * rate
    for start in (0, 10240):
        played = vst3.run(3, start)
        expected = take[:, start:]
        np.testing.assert_array_equal(played[:, : expected.shape[1]], expected)
        assert not played[:, expected.shape[1] :].any()
    assert not vst3.run(0.5).any()


def test_two_exports_are_equal_and_equal_real_time(vst3: Vst3) -> None:
    vst3.generate()
    vst3.set("Loop", 1)
    first, second = vst3.run(6, 0), vst3.run(6, 0)
    real_time = vst3.run(6, 0, pace=1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, real_time)
    assert first.any()


def test_captures_the_track_to_the_bit(vst3: Vst3, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    track = random.normal(0, 0.1, (2, 96000)).astype(np.float32)
    vst3.set("Capture", 1)
    played = vst3.run(2, 96000, input=track, pace=0.3)
    np.testing.assert_array_equal(played, track[:, : played.shape[1]])
    vst3.run(0.05)
    vst3.until("Takes", 0.9 / 999)
    (capture,) = (tmp_path / "captures").glob("capture-*.wav")
    np.testing.assert_array_equal(_samples(capture), track[:, : played.shape[1]])


def test_the_state_comes_back_in_a_new_instance(vst3: Vst3) -> None:
    take = _samples(vst3.generate())
    vst3.set("Gain", (6 + 60) / 72)
    vst3.run(0.02)
    state = vst3.plugin.get_state()
    other = Vst3(vst3.takes, vst3.rate)
    other.plugin.set_state(state)
    played = other.run(2.4, 0)
    gain = np.float32(10 ** (6 / 20))
    np.testing.assert_allclose(played, take[:, : played.shape[1]] * gain, rtol=1e-5, atol=1e-7)
    assert other.get("Gain") == pytest.approx(66 / 72)
    assert other.get("Bars") == pytest.approx(1 / 64)


@pytest.mark.parametrize(("beats", "kind"), [(3, 4), (7, 8), (6, 8)])
def test_bars_of_other_metres(vst3: Vst3, beats: int, kind: int) -> None:
    vst3.metre = (beats, kind)
    assert _samples(vst3.generate()).shape[1] == round(beats * 4 / kind * 60 / 100 * vst3.rate)
