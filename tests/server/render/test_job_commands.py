"""Every job from the command line, with the words of its request."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import stored, tones, write

from osc_bridge.cli import _parser, main
from osc_bridge.commands.request_flags import request_from
from osc_bridge.messages.requests.generated import SUBMISSIONS
from server.errors import InvalidRequest
from server.requests.request import REQUESTS, TextToAudio, parse_request

pytestmark = pytest.mark.integration


def made(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> dict[str, object]:
    status = main([*words, "--model", str(folder), "--device", "cpu", "--threads", "1", "--json"])
    out = capsys.readouterr()
    assert status == 0, out.err
    return json.loads(out.out)


def test_every_job_has_its_command(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = write(tmp_path / "in.wav", tones(2.0)), str(tmp_path / "out.wav")
    take = str(tmp_path / "take.wav")
    dull = write(tmp_path / "dull.wav", tones(1.0, 8000), 8000)
    commands = {
        "text": ["render", "low", "-o", take, "--seconds", "0.5"],
        "vary": ["vary", take, "-o", out, "--distance", "0.2", "--takes", "2"],
        "transfer": ["transfer", clip, "-p", "high", "-o", out, "--strength", "0.4"],
        "inpaint": ["inpaint", clip, "-o", out, "--region", "0.5:0.7", "--region", "1:1.2"],
        "continue": ["continue", clip, "-o", out, "--seconds", "0.5", "--side", "before"],
        "upscale": ["upscale", dull, "-o", out],
        "morph": [
            "morph",
            "-p",
            "low > high",
            "-o",
            out,
            "--bars",
            "1",
            "--bpm",
            "120",
            "--loop",
            "1",
        ],
    }
    for kind, words in commands.items():
        printed = made(capsys, tiny_folder, *words, "--seed", "4", "--steps", "2")
        takes = printed["takes"]
        assert isinstance(takes, list)
        assert {take["recipe"]["request"]["kind"] for take in takes} == {kind}
        seeds = sorted(take["recipe"]["request"]["seed"] for take in takes)
        assert seeds == [4, 5][: len(takes)]
        assert len(takes) == (2 if kind == "vary" else 1)
        assert "peak_dbfs" in takes[0]["measures"]
        assert Path(takes[0]["path"]).exists()


def test_an_edit_keeps_the_bit_depth_unless_the_name_asks_for_another_type(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(tmp_path / "in.wav", tones(1.0))
    for name, expected in (("out.wav", ("WAV", "PCM_16")), ("out.flac", ("FLAC", "PCM_16"))):
        out = tmp_path / name
        made(capsys, tiny_folder, "inpaint", clip, "-o", str(out), "--region", "0.4:0.6")
        assert (soundfile.info(out).format, soundfile.info(out).subtype) == expected
        assert np.array_equal(stored(out, "int16")[:6000], stored(clip, "int16")[:6000])


def test_a_mistake_is_a_sentence(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(tmp_path / "in.wav", tones(1.0))
    words = ["inpaint", clip, "-o", str(tmp_path / "out.wav"), "--region", "7:8"]
    assert main([*words, "--model", str(tiny_folder), "--device", "cpu"]) == 1
    assert "outside the clip" in capsys.readouterr().err


def test_what_is_missing_is_named_with_what_it_means(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(tmp_path / "in.wav", tones(1.0))
    assert main(["inpaint", clip, "-o", str(tmp_path / "out.wav")]) == 1
    assert "regions is missing: what to replace: 1.0:2.5" in capsys.readouterr().err
    for values, why in (
        ({"kind": "transfer"}, "clip is missing: the sound file"),
        ({"prompt": "rain"}, "kind is missing: one of text, "),
    ):
        with pytest.raises(InvalidRequest, match=why):
            parse_request(values)


@pytest.mark.parametrize(
    "words",
    [
        ["render", "low", "--loop", "-o", "out.wav"],
        ["render", "-p", "low", "--loop", "1", "-o", "out.wav"],
        ["render", "-o", "out.wav", "--loop", "--prompt", "low"],
    ],
)
def test_a_switch_stands_alone_or_with_its_value(words: list[str]) -> None:
    options = _parser().parse_args(words)
    assert request_from(vars(options), options.prompt) == TextToAudio(prompt="low", loop=True)


def test_a_silent_take_is_said_to_be_silent(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--model", str(tiny_folder), "--device", "cpu", "--threads", "1"]
    for level, silent in ((0.0, True), (0.1, False)):
        clip, out = write(tmp_path / "in.wav", tones(0.5, level=level)), str(tmp_path / "out.wav")
        assert main(["transfer", clip, "-o", out, "--strength", "0", *settings]) == 0
        assert ("out.wav: the take is silent" in capsys.readouterr().err) == silent


def test_the_page_s_commands_and_messages_are_understood() -> None:
    """docs/jobs.md shows every kind of job, in words that the program still takes."""
    page = Path(__file__).parents[3] / "docs" / "jobs.md"
    lines = [line.strip() for line in page.read_text("utf-8").splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("audioldm-daw ")]
    messages = [shlex.split(line) for line in lines if line.startswith("/ldm/")]
    assert len(commands) == len(messages) >= len(REQUESTS)
    by_address = {submission.address: submission for submission in SUBMISSIONS}
    kinds = set()
    for command, message in zip(commands, messages, strict=True):
        options = _parser().parse_args(command[1:])
        said = request_from(vars(options), options.prompt)
        sent = by_address[message[0]].from_osc(message[1:]).request
        assert said == sent
        kinds.add(type(said))
    assert kinds == set(REQUESTS)
