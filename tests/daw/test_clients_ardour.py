"""The Ardour script, in Ardour's own window: selection out, job, take on the track, saved."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from running_programs import assert_only_changed_within, needs

from server.audio.waveform import Waveform

RIG = Path(__file__).parent / "ardour" / "rig.py"
NAME = "AudioLDM: high hiss"


def _can_have_a_namespace() -> bool:
    """Ardour's OSC port is fixed, so it gets a network of its own; that takes root."""
    unshare = shutil.which("unshare")
    return bool(unshare) and subprocess.run((unshare, "-n", "true"), check=False).returncode == 0


pytestmark = [
    pytest.mark.daw,
    pytest.mark.slow,
    needs("ardour", "ardour7-lua", "jackd", "Xvfb", "ip"),
    pytest.mark.skipif(not _can_have_a_namespace(), reason="unshare -n is not allowed here"),
]
Region = tuple[str, str, int, int, int]


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the rig leaves behind."""
    folder = tmp_path_factory.mktemp("ardour")
    samples = np.random.default_rng(1).normal(0, 0.1, (96000, 2)).astype(np.float32)
    (folder / "source.wav").write_bytes(Waveform(samples, 48000).encode("wav32f"))
    command = ("unshare", "-n", sys.executable, str(RIG), str(folder), str(tiny_folder))
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    logs = "".join(f"\n--- {log}\n{log.read_text()[-3000:]}" for log in folder.glob("*.txt"))
    assert done.returncode == 0, f"{done.stderr}{logs}"
    return folder


def _report(folder: Path, name: str) -> list[list[str]]:
    lines = (folder / f"{name}.txt").read_text().splitlines()
    return [line.split("\t") for line in lines]


def _regions(folder: Path, name: str) -> list[Region]:
    """Track, name, position, length, layer of every region."""
    return [
        (track, region, int(position), int(length), int(layer))
        for kind, track, region, position, length, layer in (
            words for words in _report(folder, name) if words[0] == "region"
        )
        if kind
    ]


def test_a_time_selection_over_a_clip_becomes_a_region_on_top_of_it(folder: Path) -> None:
    assert ["selection", "120000", "144000"] in _report(folder, "prepared")
    assert _regions(folder, "part") == [
        ("source", "source", 96000, 96000, 0),
        ("source", NAME, 96000, 96000, 1),
    ]


def test_a_time_selection_over_nothing_becomes_a_track(folder: Path) -> None:
    added = [region for region in _regions(folder, "empty") if region[0] != "source"]
    assert added == [(NAME, NAME, 264000, 24000, 0)]


def test_a_selected_region_is_made_anew_as_a_whole(folder: Path) -> None:
    assert ["selected", "source"] in _report(folder, "selected")
    assert _regions(folder, "whole")[:3] == [
        ("source", "source", 96000, 96000, 0),
        ("source", NAME, 96000, 96000, 1),
        ("source", NAME, 96000, 96000, 2),
    ]


def test_one_undo_takes_away_what_was_inserted_and_nothing_else(folder: Path) -> None:
    """However many takes; the track of a new sound stays, empty (Ardour cannot undo tracks)."""
    assert _regions(folder, "empty undone") == _regions(folder, "part")
    assert ["track", NAME] in _report(folder, "empty undone")
    assert _regions(folder, "empty redone") == _regions(folder, "empty")
    assert _regions(folder, "undone") == _regions(folder, "empty")
    assert len(_regions(folder, "two takes")) == len(_regions(folder, "undone")) + 2
    assert _regions(folder, "two takes undone") == _regions(folder, "undone")


def test_the_saved_session_holds_the_takes_at_their_places(folder: Path) -> None:
    session = ElementTree.parse(folder / "session" / "session.ardour")
    playlists = {playlist.get("name"): playlist for playlist in session.iter("Playlist")}
    on_source = [_place(region) for region in playlists["source"].findall("Region")]
    assert on_source == [("source", 96000, 96000), (NAME, 96000, 96000)]
    new = next(playlist for name, playlist in playlists.items() if "high hiss" in str(name))
    assert [_place(region) for region in new.findall("Region")] == [(NAME, 264000, 24000)]


def _place(region: ElementTree.Element) -> tuple[str | None, int, int]:
    """Name, position and length in samples.

    Ardour 7 saves "a<length>@a<position>", in superclocks: 282 240 000 a second.
    """
    length, position = str(region.get("length")).split("@")
    superclocks = 282_240_000 // 48_000
    return (
        region.get("name"),
        int(position.removeprefix("a")) // superclocks,
        int(length.removeprefix("a")) // superclocks,
    )


def test_outside_of_the_selection_the_take_is_the_clip_to_the_bit(folder: Path) -> None:
    takes = sorted((folder / "takes").glob("*.wav"), key=lambda path: path.stat().st_mtime)
    assert [Waveform.read(take).samples.shape for take in takes] == [
        (96000, 2),
        (24000, 1),
        (96000, 2),
        (96000, 2),
        (96000, 2),
    ]
    assert_only_changed_within(folder / "source.wav", takes[0], 0.5, 1.0)
