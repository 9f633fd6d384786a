"""The REAPER script against a stub of REAPER's API: REAPER itself cannot be installed here.

What is proved: syntax, logic, the commands and their answers. What is not: how REAPER behaves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running_programs import CLIENTS, Instrument, assert_only_changed_within, needs, run_program

from server.audio.waveform import Waveform

SCRIPT = CLIENTS / "reaper" / "audioldm.lua"
STUB = Path(__file__).with_name("reaper_stub.lua")

pytestmark = [pytest.mark.daw, needs("lua5.4")]
Project = dict[str, list[list[str]]]
Reaper = Callable[..., Project]


@pytest.fixture
def reaper(instrument: Instrument, tmp_path: Path) -> Reaper:
    """Run the script in a project; returns what the project holds afterwards, by kind of line."""
    program = tmp_path / "audioldm-osc"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m osc_bridge.client.command "$@"\n')
    program.chmod(0o755)
    project = tmp_path / "project"
    project.mkdir()

    def run(*arguments: object, prompt: str, program: Path = program) -> Project:
        words = (project, instrument.port, program, *arguments)
        command = ("lua5.4", STUB, SCRIPT, *map(str, words))
        printed = run_program(command, environment={"PROMPT": prompt})
        told: Project = {}
        for line in printed.splitlines():
            kind, *rest = line.split("\t")
            told.setdefault(kind, []).append(rest)
        return told

    return run


def test_a_time_selection_becomes_an_item_on_a_new_track(reaper: Reaper) -> None:
    told = reaper(2.0, 3.5, prompt="low hum, it's 100% reaper")
    name = "AudioLDM: low hum, it's 100% reaper"
    assert told["track"] == [["1", "drums"], ["2", name]]
    assert told["item"] == [["2", "2.0", "1.5", "1"]]
    assert [take[0] for take in told["take"]] == [name, name]
    assert Waveform.read(Path(told["take"][0][-1])).sample_rate == 44100
    assert told["undo"] == [[name]]
    assert told["help"] == [["AudioLDM: step 4 of 4"]]


def test_takes_are_kept_in_the_project(reaper: Reaper, tmp_path: Path) -> None:
    told = reaper(0, 1, prompt="mid")
    paths = {Path(take[-1]) for take in told["take"]}
    assert len(paths) == 2
    assert {path.parent for path in paths} == {tmp_path / "project"}


def test_without_a_time_selection_it_goes_to_the_cursor(reaper: Reaper) -> None:
    assert reaper(0, 0, prompt="mid")["item"][0][1] == "1.5"


def test_a_part_of_an_item_is_made_anew_as_takes_of_it(
    reaper: Reaper, instrument: Instrument
) -> None:
    clip = instrument.clip("for-reaper.wav", 4.0, 48000)
    before = clip.read_bytes()
    # The item starts 0.5 s into the file and plays it at double speed.
    told = reaper(10.25, 10.75, clip, 10, 1.5, 0.5, 2, prompt="high hiss")
    assert told["track"] == [["1", "drums"]]
    assert told["item"] == [["1", "10", "1.5", "2"]], "the best new take is the active one"
    original, *new = told["take"]
    assert original[0] == "original"
    assert original[-1] == str(clip)
    assert [take[:5] for take in new] == [["AudioLDM: high hiss", "0.5", "2", "0.5", "3"]] * 2
    assert_only_changed_within(clip, Path(new[0][-1]), 1.0, 2.0)
    assert clip.read_bytes() == before
    assert told["undo"] == [["AudioLDM: high hiss"]]


def test_an_item_without_a_time_selection_is_made_anew_as_a_whole(
    reaper: Reaper, instrument: Instrument
) -> None:
    clip = instrument.clip("whole-for-reaper.wav", 2.0, 48000)
    told = reaper(0, 0, clip, 10, 1.0, 0.5, 1, prompt="high hiss")
    assert_only_changed_within(clip, Path(told["take"][1][-1]), 0.5, 1.5)


@pytest.mark.parametrize(
    ("selected", "item", "regions", "title"),
    [
        # An item of 8 s that plays its 4 s twice: the second pass, and across the seam.
        ((15, 16), (10, 8, 0, 1), [(1.0, 2.0)], "in every pass"),
        ((13.5, 14.5), (10, 8, 0, 1), [(3.5, 4.0), (0.0, 0.5)], "on both sides of the seam"),
        ((13.0, 13.5), (10, 8, 2, 1), [(1.0, 1.5)], "in every pass"),
        ((10, 18), (10, 8, 0, 1), [(0.0, 4.0)], "in every pass"),
        # It does not loop: silence follows the file.
        ((13.5, 14.5), (10, 8, 0, 1, 0), [(3.5, 4.0)], "as far as the file reaches"),
        # It loops a section of the file, from 1 s for 2 s.
        ((12.5, 13), (10, 8, 0, 1, 1, 1, 2), [(1.5, 2.0)], "in every pass"),
        ((10.5, 11), (10, 2, 0, 1, 1, 1, 2), [(1.5, 2.0)], "make it anew"),
    ],
)
def test_an_item_that_repeats_its_source(
    reaper: Reaper,
    instrument: Instrument,
    *,
    selected: tuple[float, float],
    item: tuple[float, ...],
    regions: list[tuple[float, float]],
    title: str,
) -> None:
    clip = instrument.clip("looped-太鼓\u3000for-reaper.wav", 4.0, 48000)
    told = reaper(*selected, clip, *item, prompt="high hiss")
    assert told["title"][0][0].endswith(title)
    new = Path(told["take"][1][-1])
    first = min(start for start, _ in regions)
    last = max(end for _, end in regions)
    assert_only_changed_within(clip, new, first, last)
    if len(regions) == 2:
        before, after = Waveform.read(clip).samples, Waveform.read(new).samples
        middle = slice(round(0.6 * 48000), round(3.4 * 48000))
        assert (before[middle] == after[middle]).all()
        for start, end in regions:
            part = slice(round(start * 48000), round(end * 48000))
            assert (before[part] != after[part]).any()


def test_a_selection_behind_the_file_is_refused(reaper: Reaper, instrument: Instrument) -> None:
    clip = instrument.clip("short-for-reaper.wav", 4.0, 48000)
    told = reaper(15, 16, clip, 10, 8, 0, 1, 0, prompt="high hiss")
    assert "The file does not reach the time selection" in told["message"][0][0]


def test_a_time_selection_elsewhere_is_refused(reaper: Reaper, instrument: Instrument) -> None:
    clip = instrument.clip("elsewhere-for-reaper.wav", 1.0, 48000)
    told = reaper(20, 21, clip, 10, 1.0, 0, 1, prompt="high hiss")
    assert told["message"] == [["The time selection does not touch the selected item."]]
    assert len(told["take"]) == 1


def test_what_the_server_refuses_is_shown_and_nothing_changes(reaper: Reaper) -> None:
    told = reaper(2.0, 2.1, prompt="low hum")
    assert "length must be at least 0.3 s" in told["message"][0][0]
    assert "undo" not in told
    assert told["track"] == [["1", "drums"]]


def test_a_missing_program_is_said(reaper: Reaper) -> None:
    told = reaper(2.0, 3.0, prompt="low hum", program=Path("/nowhere/audioldm-osc"))
    assert "/nowhere/audioldm-osc" in told["message"][0][0]
