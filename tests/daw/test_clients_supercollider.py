"""The SuperCollider class, in sclang."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_programs import (
    CLIENTS,
    Instrument,
    assert_only_changed_within,
    needs,
    run_program,
)

from server.audio.waveform import Waveform

FOLDER = CLIENTS / "supercollider"
SESSION = Path(__file__).with_name("session.scd")

pytestmark = [pytest.mark.daw, needs("sclang")]


def _sclang(home: Path, script: Path, *arguments: str) -> list[str]:
    """What a script prints with the class installed."""
    config = home / "config.yaml"
    config.write_text(f"includePaths:\n  - {FOLDER / 'Classes'}\npostInlineWarnings: true\n")
    # Qt's web engine refuses to start as root with its sandbox on.
    qt = {
        "HOME": str(home),
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu",
    }
    command = ("sclang", "-D", "-l", config, script, *arguments)
    return run_program(command, timeout_s=90, environment=qt).splitlines()


@pytest.fixture(scope="module")
def session(instrument: Instrument, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What session.scd tells, as words."""
    printed = _sclang(tmp_path_factory.mktemp("sclang"), SESSION, str(instrument.port))
    assert not [line for line in printed if "ERROR" in line or "WARNING" in line], printed
    return [line.split("|") for line in printed if "|" in line]


def _about(session: list[list[str]], name: str) -> list[list[str]]:
    return [words[1:] for words in session if words[0] == name]


def test_a_prompt_becomes_takes(session: list[list[str]]) -> None:
    told = _about(session, "text")
    steps = [words for words in told if words[0] == "step"]
    assert steps[-1] == ["step", "4", "4"]
    takes = [words for words in told if words[0] == "take"]
    assert [words[1:3] for words in takes] == [["0", "48000"], ["1", "48000"]]
    assert ["done", "2"] in told
    assert ["state", "done"] in told
    assert ["frames", "48000", "48000"] in told, "sclang reads the file"


def test_a_part_of_a_take_is_made_anew_and_the_take_stays(session: list[list[str]]) -> None:
    take = next(Path(words[3]) for words in _about(session, "text") if words[0] == "take")
    edited = next(Path(words[3]) for words in _about(session, "inpaint") if words[0] == "take")
    assert Waveform.read(take).frames == 48000
    assert_only_changed_within(take, edited, 0.25, 0.5)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("refused", "bad_request"),
        ("cancelled", "cancelled"),
        ("nobody", "engine_unavailable"),
    ],
)
def test_failures_are_told_once(session: list[list[str]], name: str, code: str) -> None:
    fails = [words for words in _about(session, name) if words[0] == "fail"]
    assert [words[1] for words in fails] == [code]
    assert not [words for words in _about(session, name) if words[0] == "done"]


def test_responders_are_freed(session: list[list[str]]) -> None:
    before = _about(session, "responders at start")
    assert _about(session, "responders") == before


def test_the_help_file_can_be_read_by_scdoc(tmp_path: Path) -> None:
    script = tmp_path / "help.scd"
    page = FOLDER / "HelpSource" / "Classes" / "AudioLDM.schelp"
    script.write_text(
        f'("parsed" + SCDoc.parseFileFull("{page}").notNil).postln; 0.exit;\n', encoding="utf-8"
    )
    printed = _sclang(tmp_path, script)
    assert "parsed true" in printed, printed
    assert not [line for line in printed if "SCDoc" in line], printed
