"""The presets that ship, over HTTP and from the command line."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files
from pathlib import Path

import pytest
import soundfile
from server_run import running_server

from osc_bridge.cli import main
from server.requests.presets import list_presets, parse_preset
from server.requests.request import parse_request

SHIPPED = sorted(Path(str(files("presets"))).glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_preset_is_a_request(path: Path) -> None:
    preset = parse_preset(path.read_bytes())
    assert path.stem == preset.name.replace(" ", "-")
    assert preset.description.endswith(".")
    assert preset.tags
    clip = {} if preset.kind in ("text", "morph") else {"clip": "clip.wav"}
    other = {"other": "other.wav"} if preset.kind == "fill" else {}
    request = parse_request({**clip, **other, **preset.request})
    assert request.prompt or preset.kind == "fill"
    assert request.seed is None, "a preset is a kind of sound, not one take"


@pytest.mark.integration
def test_presets_are_answered_over_http(tiny_folder: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_server(tiny_folder, tmp_path) as server:
            listed = (await server.http.get("/v1/presets")).json()
            assert [preset["name"] for preset in listed] == [p.name for p in list_presets()]
            assert len(listed) == len(SHIPPED) >= 12
            kick = (await server.http.get("/v1/presets/kick")).json()
            job = await server.done({**kick["request"], "num_inference_steps": 2})
            assert len(job["takes"]) == 4

    asyncio.run(scenario())


def test_a_preset_on_the_command_line(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(tiny_folder), "--device", "cpu", "--threads", "1", "--steps", "2"]
    take = tmp_path / "rain.wav"
    assert (
        main(["render", "--preset", "rain bed", "-o", str(take), "--seconds", "1", *options]) == 0
    )
    assert soundfile.info(take).duration == pytest.approx(1.0)
    assert soundfile.info(take).channels == 2
    assert main(["render", "--preset", "made of rain", "-o", str(take), *options]) != 0
    assert "audioldm-daw transfer" in capsys.readouterr().err
    made = tmp_path / "made.wav"
    assert main(["transfer", str(take), "--preset", "Made-of_rain", "-o", str(made), *options]) == 0
    assert made.is_file()


def test_presets_and_live_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out
    for name in ("rain bed", "storm coming", "first-steps", "weather-station"):
        assert f"  {name}  " in listed
    assert main(["presets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {preset["name"] for preset in found["presets"]} >= {"kick", "rain bed"}
    assert found["live_sets"][0]["name"] == "first-steps"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("rain-bad", "did you mean 'rain bed'"), ("zzz", "there are 'a little wind'")],
)
def test_a_preset_that_is_not_there(
    capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    assert main(["render", "--preset", name, "-o", "x.wav"]) == 1
    assert sentence in capsys.readouterr().err


def test_a_live_set_that_is_not_there_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--live-set", "first step", "--osc-port", "0", "--http-port", "0"]) == 1
    assert "did you mean 'first-steps'" in capsys.readouterr().err
