"""The commands, run as people run them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import QUICK, daw, run
from daw_process import running_daw
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from server.audio.waveform import Waveform
from server.render.recipe import Recipe
from server.requests.request import REQUESTS

pytestmark = pytest.mark.integration


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['audioldm-daw', '--help']\n"
        "from osc_bridge.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'onnxruntime', 'sounddevice', 'starlette', 'asyncio')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "render" in done.stdout


def test_render_has_a_flag_for_every_field() -> None:
    code, text, _ = daw("render", "--help")
    assert code == 0
    for kind in REQUESTS:
        for name in kind.__struct_fields__:
            if name not in ("prompt", "delivery"):
                assert f"--{name.replace('_', '-')}" in text


def test_render_writes_what_was_asked_for(tiny_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "dog.wav"
    code, text, errors = daw(
        *("render", "low hum", "-o", str(output), "--model", str(tiny_folder)),
        *("--seed", "3", "--takes", "2", "--json", *QUICK),
    )
    assert code == 0, errors
    summary = json.loads(text)
    paths = [Path(take["path"]) for take in summary["takes"]]
    assert [path.name for path in paths] == ["dog-1.wav", "dog-2.wav"]
    assert {take["seed"] for take in summary["takes"]} == {3, 4}  # the best first
    assert Waveform.read(paths[0]).seconds == pytest.approx(0.5)
    assert Recipe.read(paths[0]).request.seed == summary["takes"][0]["seed"]
    assert summary["takes"][0]["recipe"]["request"]["num_inference_steps"] == 2


def test_render_to_flac_and_a_plain_summary(tiny_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "dog.flac"
    code, text, _ = daw("render", "low hum", "-o", str(output), "--model", str(tiny_folder), *QUICK)
    assert code == 0
    assert str(output) in text
    assert output.read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("render", "", "-o", "x.wav"), "prompt is empty"),
        (("render", "hum", "-o", "x.mp3"), ".wav or .flac"),
        (("render", "hum", "-o", "x.wav", "--steps", "0"), "steps must be at least 1 (got 0)"),
        (("render", "hum", "-o", "x.wav", "--model", "/nowhere"), "/nowhere"),
        (("render", "hum", "-o", "x.wav", "--file-format", "flac"), "x.wav"),
        (("--osc-port", "x"), "osc_port must be a whole number from 0 to 65535 (got 'x')"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    code, text, errors = daw(*words)
    assert code == 1
    assert text == ""
    assert errors.startswith("audioldm-daw: ")
    assert sentence in errors
    assert len(errors.splitlines()) == 1


def test_doctor_says_what_works_and_how_to_fix_the_rest(tiny_folder: Path, tmp_path: Path) -> None:
    settings = ("--model", str(tiny_folder), "--takes-folder", str(tmp_path / "takes"))
    code, text, _ = daw("doctor", "--json", *settings)
    findings = {finding["what"]: finding for finding in json.loads(text)}
    assert code == 0
    assert findings["model"]["state"] == findings["runtime"]["state"] == "works"
    assert all(f.get("fix") for f in findings.values() if f["state"] != "works")
    assert not (tmp_path / "takes").exists()
    code, text, _ = daw("doctor", "--model", str(tmp_path))
    assert code == 1
    assert "BROKEN   model" in text
    assert "->" in text


def test_devices_lists_or_says_why_not() -> None:
    code, text, errors = daw("devices")
    assert (code, bool(text)) == (0, True) or (code == 1 and "PortAudio" in errors)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_stays_up_answers_and_stops(
    tiny_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    settings = (
        *("--model", str(tiny_folder), "--takes-folder", str(tmp_path / "takes")),
        *("--state-folder", str(tmp_path / "state"), "--sound-card", "none", "--threads", "1"),
    )
    with running_daw(*settings) as (process, port, printed):
        assert "CPUExecutionProvider" in printed
        assert "none, as asked" in printed
        with Client(port=port) as client:
            take = client.render("low hum", num_inference_steps=2, audio_length_in_s=0.5)[0]
            assert take.path.parent == tmp_path / "takes"
            assert client.query("/ldm/status")[0] == "ready"
            long = ("num_inference_steps", 1000, "num_waveforms_per_prompt", 64)
            client.send("/ldm/text", "long", "low hum", *long)
            while (message := client.receive(30)) is not None:
                if message.address == "/ldm/job/progress":
                    break
            process.send_signal(number)
            last = list(client.messages(5))[-1]
        assert process.wait(30) == 0
    assert last.address == "/ldm/job/fail"
    assert last.arguments[2] == "unavailable"


def test_two_instances_cannot_share_a_port(
    tiny_folder: Path, bridge: RunningBridge[MemoryEngine]
) -> None:
    code, _, errors = daw("--osc-port", str(bridge.port), "--model", str(tiny_folder))
    assert code == 1
    assert "another audioldm-daw" in errors


def osc(bridge: RunningBridge[MemoryEngine], *words: str) -> tuple[int, str, str]:
    return run("osc_bridge.client.command", "--port", str(bridge.port), *words)


def test_audioldm_osc_sends_waits_and_prints(bridge: RunningBridge[MemoryEngine]) -> None:
    assert osc(bridge, "/ldm/ping", "7") == (0, "7\n", "")
    assert osc(bridge, "--tcp", "/ldm/ping", "7") == (0, "7\n", "")
    code, text, _ = osc(bridge, "/ldm/text", "a1", "rain on a tin roof", "seed", "3")
    lines = [line.split("\t") for line in text.splitlines()]
    assert code == 0
    assert [line[0] for line in lines] == [
        *("/ldm/job/accepted", "/ldm/job/progress", "/ldm/take", "/ldm/job/done")
    ]
    assert Path(lines[2][4]).is_file()
    code, text, _ = osc(bridge, "--quiet", "/ldm/text", "", "rain")
    assert (code, text.split("\t")[0]) == (0, "/ldm/take")


def test_audioldm_osc_tells_warnings(bridge: RunningBridge[MemoryEngine]) -> None:
    bridge.engine.warnings = ("the take is silent",)
    words = ("--port", str(bridge.port), "/ldm/text", "", "rain")
    code, out, _ = run("osc_bridge.client.command", *words)
    assert (code, "the take is silent" in out) == (0, True)
    code, out, errors = run("osc_bridge.client.command", "--quiet", *words)
    assert (code, out.count("\n"), errors) == (0, 1, "audioldm-osc: the take is silent\n")


def test_a_sound_that_a_file_cannot_hold_is_turned_down_and_said(
    tiny_folder: Path, tmp_path: Path
) -> None:
    clip, out = tmp_path / "in.wav", tmp_path / "out.flac"
    soundfile.write(clip, 2.5 * np.sin(np.arange(16000) * 0.1), 16000, subtype="FLOAT")
    common = ("inpaint", str(clip), "--region", "0.3:0.5", "--steps", "2", "--seed", "1")
    common += ("--model", str(tiny_folder), "--threads", "1")
    code, text, errors = daw(*common, "-o", str(out))
    assert (code, out.is_file()) == (0, True)
    assert "turned down by 8.96 dB" in errors
    assert "wav32f" in errors
    assert np.abs(soundfile.read(out)[0]).max() < 0.9
    code, text, errors = daw(*common, "-o", str(out), "--json")
    (take,) = json.loads(text)["takes"]
    assert take["measures"]["attenuated_db"] == 8.96
    assert take["measures"]["peak_dbfs"] == -1.0
    assert "turned down" in take["warnings"][0]
    code, _, errors = daw(*common, "-o", str(tmp_path / "out.wav"))
    assert (code, errors) == (0, "")


def test_audioldm_osc_exit_codes(bridge: RunningBridge[MemoryEngine]) -> None:
    code, _, errors = osc(bridge, "/ldm/text", "a", "rain", "seed", "-1")
    assert (code, "seed must be at least 0 (got -1)" in errors) == (1, True)
    assert osc(bridge, "/ldm/job/status", "never")[0] == 1
    assert osc(bridge, "/ldm/nonsense")[0] == 1
    assert osc(bridge)[0] == 2
    code, _, errors = run("osc_bridge.client.command", "--port", "1", "/ldm/ping")
    assert (code, "nobody answers" in errors) == (3, True)
