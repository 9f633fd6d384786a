"""Sounds of the library in the commands that render, without a running companion."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_folder import noise, tone

from osc_bridge.cli import main
from server.render.recipe import Recipe
from server.requests.request import Fill, TextToAudio

pytestmark = pytest.mark.integration


def test_sounds_and_folders_of_the_library_are_named(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = tmp_path / "Own"
    noise(sounds / "hiss.wav", seconds=0.5)
    tone(sounds / "beep.wav", seconds=0.5)
    at = ["--model", str(tiny_folder), "--state-folder", str(tmp_path / "state")]
    at += ["--http-port", "1"]  # where nobody answers
    assert main(["library", "add", str(sounds), *at]) == 0
    quick = [*at, "--threads", "1", "--steps", "2"]
    gap = tmp_path / "gap.wav"
    fill = ["fill", "library:0", "library:1", "--takes", "2", "-o", str(gap)]
    assert main([*fill, *quick]) == 0
    request = Recipe.read(tmp_path / "gap-2.wav").request
    assert isinstance(request, Fill)
    assert {request.clip, request.other} == {str(path) for path in sounds.iterdir()}
    grown = tmp_path / "grown.wav"
    grow = ["render", "low", "--grounding", "0.5", "--grounding-sound", "library:nearest"]
    grow += ["--audio-prompt", f"library:{sounds}", "--seconds", "0.5", "-o", str(grown)]
    assert main([*grow, *quick]) == 0
    recipe = Recipe.read(grown)
    assert isinstance(recipe.request, TextToAudio)
    assert Path(recipe.request.grounding_sound).parent == sounds
    assert recipe.grounded_in == Path(recipe.request.grounding_sound).name
    assert recipe.request.audio_embedding is not None
    capsys.readouterr()
    assert main(["transfer", "library:9", "-o", str(gap), *quick]) == 1
    assert "no sound 9 in the library" in capsys.readouterr().err
