"""From the prompt to takes, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from companion import Companion
from probe import Probe, track

CAPTURED, FILE = 1, 2


def _samples(take: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    samples, _ = sf.read(take["path"], dtype="float32", always_2d=True)
    return samples.T


@pytest.mark.parametrize(
    ("metre", "bars", "frames"),
    [
        ((100, 4, 4), 1, 115200), ((133, 4, 4), 2, 173233),
        ((90, 6, 8), 1, 96000), ((120, 7, 8), 2, 168000),
    ],
)  # fmt: skip
def test_a_take_lasts_the_bars_of_the_host(
    probe: Probe, metre: tuple[int, int, int], bars: int, frames: int
) -> None:
    probe.ask("song {} {} {}".format(*metre))
    probe.ask(f"set bars {bars}")
    probe.ask("set seed 3")
    probe.ask("play 0")
    take = probe.generate()
    assert _samples(take).shape[1] == frames
    assert take["seed"] == 3


def test_a_take_lasts_the_seconds_that_are_asked_for(probe: Probe) -> None:
    probe.ask("set bars 0")
    probe.ask("set seconds 1.25")
    probe.ask("prompt a dog barking")
    take = probe.generate()
    assert _samples(take).shape[1] == 60000
    assert take["prompt"] == "a dog barking"
    assert not take["problem"]


def test_takes_begin_at_the_placement(probe: Probe) -> None:
    probe.ask("placement 96000")
    assert probe.generate()["anchor"] == 96000


def _capture(probe: Probe, start: int = 48000, seconds: float = 1.5) -> dict[str, Any]:
    count = len(probe.view()["takes"])
    probe.ask("set capture 1")
    probe.ask(f"play {start}")
    probe.until(lambda view: view["captured"] > seconds)
    probe.ask("set capture 0")
    clip: dict[str, Any] = probe.until(lambda view: len(view["takes"]) > count)["takes"][-1]
    probe.ask("stop")
    return clip


def test_captures_what_the_track_plays_to_the_bit(probe: Probe) -> None:
    clip = _capture(probe)
    samples = _samples(clip)
    assert clip["source"] == CAPTURED
    assert clip["anchor"] >= 48000
    np.testing.assert_array_equal(samples, track(clip["anchor"], samples.shape[1]))


def test_a_jump_of_the_song_begins_another_clip(probe: Probe) -> None:
    probe.ask("set capture 1")
    probe.ask("play 0")
    probe.until(lambda view: view["captured"] > 0.3)
    probe.ask("play 480000")
    probe.until(lambda view: len(view["takes"]) == 1 and view["captured"] > 0.3)
    probe.ask("stop")
    first, second = probe.until(lambda view: len(view["takes"]) == 2)["takes"]
    assert (first["anchor"] < 48000, second["anchor"] >= 480000) == (True, True)


def test_inpaint_changes_the_selection_alone(probe: Probe) -> None:
    clip = _capture(probe)
    probe.ask(f"edit inpaint {clip['number']} 0.5 1.0")
    view = probe.until(lambda view: len(view["takes"]) == 2)
    take = view["takes"][-1]
    before, after = _samples(clip), _samples(take)
    changed = np.flatnonzero((before != after).any(axis=0)) / 48000
    assert changed.size
    assert changed[0] >= 0.5 - 0.021
    assert changed[-1] <= 1.0 + 0.021
    assert take["anchor"] == clip["anchor"], "it plays where the clip was"


@pytest.mark.parametrize(
    ("kind", "bars", "longer"), [("transfer", 0, 0), ("continue", 0, 1), ("continue", 1, 2)]
)
def test_edits_of_a_captured_clip(probe: Probe, kind: str, bars: int, longer: float) -> None:
    clip = _capture(probe)
    probe.ask("set seconds 1")
    probe.ask(f"set bars {bars}")
    probe.ask(f"edit {kind} {clip['number']} 0 0")
    take = probe.until(lambda view: len(view["takes"]) == 2)["takes"][-1]
    assert take["kind"] == kind
    assert take["seconds"] == pytest.approx(clip["seconds"] + longer, abs=0.01)


def test_upscale_of_a_dull_file(probe: Probe, tmp_path: Path) -> None:
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(0, 0.1, 96000))
    spectrum[8000:] = 0  # nothing above 4 kHz
    path = tmp_path / "dull.wav"
    sf.write(path, np.fft.irfft(spectrum).astype(np.float32), 48000, subtype="FLOAT")
    probe.ask(f"file {path}")
    probe.until(lambda view: view["takes"])
    probe.ask("edit upscale 1 0 0")
    take = probe.until(lambda view: len(view["takes"]) == 2)["takes"][-1]
    assert np.abs(np.fft.rfft(_samples(take)[0]))[10000:14000].max() > 1e-3


def test_vary_makes_a_neighbour_of_a_take(probe: Probe) -> None:
    first = probe.generate()
    probe.ask("set strength 0.2")
    probe.ask(f"edit vary {first['number']} 0 0")
    second = probe.until(lambda view: len(view["takes"]) == 2)["takes"][-1]
    assert second["kind"] == "vary"
    assert _samples(second).shape == _samples(first).shape


def test_a_file_of_the_users_joins_the_list(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "loop.wav"
    sf.write(path, track(0, 4800).T, 48000, subtype="FLOAT")
    probe.ask(f"file {path}")
    take = probe.until(lambda view: view["takes"])["takes"][0]
    assert (take["source"], take["path"]) == (FILE, str(path))
    probe.ask(f"file {tmp_path}/none.wav")
    assert "cannot read" in probe.until(lambda view: view["notice"])["notice"]
    assert len(probe.view()["takes"]) == 1


def test_a_file_that_is_too_long_is_refused(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    sf.write(path, np.zeros(1201 * 8000, np.int16), 8000, subtype="PCM_U8")
    probe.ask(f"file {path}")
    view = probe.until(lambda view: view["notice"])
    assert view["notice"].startswith("longer than 20 minutes, cut it first")
    assert not view["takes"]


def test_refusals_are_said(probe: Probe) -> None:
    probe.ask("prompt ")
    probe.ask("generate")
    assert "prompt" in probe.until(lambda view: view["notice"])["notice"]
    assert not probe.view()["jobs"]
    probe.ask("edit inpaint 1 0 1")
    assert "no such take" in probe.until(lambda view: "take" in view["notice"])["notice"]


def test_cancel_ends_the_jobs(probe: Probe) -> None:
    probe.ask("set bars 0")
    probe.ask("set seconds 60")
    for _ in range(3):
        probe.ask("generate")
    probe.until(lambda view: len(view["jobs"]) >= 2)
    probe.ask("cancel")
    view = probe.until(lambda view: not view["jobs"])
    assert "ancel" in view["notice"]


def test_a_preset_fills_prompt_length_and_fields(probe: Probe) -> None:
    probe.ask("preset radio noise")
    view = probe.until(lambda view: view["num_preset_fields"])
    assert view["bars"] == 2
    assert "radio" in view["prompt"] or "static" in view["prompt"]


def test_a_missing_take_is_rendered_again_from_its_recipe(
    start_probe: Callable[..., Probe], companion: Companion, tmp_path: Path
) -> None:
    first = start_probe(companion.port)
    first.connected()
    first.ask("set bars 1")
    take = first.generate()
    samples = _samples(take)
    first.ask(f"save {tmp_path / 'project'}")
    Path(take["path"]).unlink()
    second = start_probe(companion.port)
    second.ask(f"restore {tmp_path / 'project'}")
    (again,) = second.until(lambda view: view["takes"] and not view["takes"][0]["problem"])["takes"]
    assert again["number"] == take["number"]
    np.testing.assert_array_equal(_samples(again), samples)
