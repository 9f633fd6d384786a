"""VST3 and LV2 in Ardour: rendered, saved, opened, exported; typed into, dragged onto a track."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from ardour_rig import SCANNER, Ardour
from companion import Companion, environment
from host_window import SIZE, HostWindow
from running_programs import needs
from screen import PROGRAMS
from talking import Samples

pytestmark = [
    pytest.mark.daw,
    needs("ardour", "ardour7-lua", "ardour7-export"),
    pytest.mark.skipif(not SCANNER.exists(), reason="not installed: ardour"),
]
# Within Ardour's window.
TRACK_HEADER, PLUGIN_ENTRY, LANE = (55, 345), (55, 199), (895, 346)
ARDOUR, EDITOR = "session - Ardour", "sounds: AudioLDM"


@pytest.fixture
def ardour(plugin: None, companion: Companion, tmp_path: Path) -> Iterator[Ardour]:
    """Knows the plug-in, which knows the companion."""
    variables = environment(tmp_path, companion.port)
    # Ardour's own settings go by the same variable as ours.
    return Ardour(tmp_path, {k: v for k, v in variables.items() if k != "XDG_CONFIG_HOME"})


def _samples(path: Path) -> Samples:
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    assert rate == 48000
    return np.ascontiguousarray(samples.T)


@pytest.mark.parametrize(("kind", "channels"), [("VST3", 2), ("LV2", 2), ("VST3", 1), ("LV2", 1)])
def test_saved_opened_and_exported_it_is_the_take(
    ardour: Ardour, companion: Companion, kind: str, channels: int
) -> None:
    before = set(companion.takes.glob("*.wav"))
    session = ardour.new_session(kind, channels)
    (take,) = set(companion.takes.glob("*.wav")) - before
    bar = _samples(take)[0]
    assert len(bar) == 96000
    first = _samples(ardour.export(session, "first"))
    np.testing.assert_array_equal(first[:, :96000], np.vstack([bar, bar]))
    assert not first[:, 96000:].any()
    np.testing.assert_array_equal(_samples(ardour.export(session, "second")), first)


def _open_editor(window: HostWindow) -> tuple[float, float]:
    """By a double click in the mixer strip, which Shift-E shows and hides: Ardour may be busy.

    Gives the place of the track on the screen.
    """
    for _ in range(4):
        window.find(ARDOUR)
        lane = (window.origin[0] + LANE[0], window.origin[1] + LANE[1])
        window.click(*TRACK_HEADER)
        window.key("shift+e")
        time.sleep(2)
        window.click(*PLUGIN_ENTRY, times=2)
        if window.has(EDITOR, 10):
            break
    window.find(EDITOR)
    time.sleep(3)
    # Ardour's own buttons lie above the editor.
    window.origin = (window.origin[0], window.origin[1] + window.height - SIZE[1])
    return lane


@pytest.mark.parametrize("kind", ["VST3", pytest.param("LV2", marks=pytest.mark.slow)])
@needs("jackd", *PROGRAMS)
def test_typed_into_and_dragged_onto_a_track(
    ardour: Ardour, companion: Companion, kind: str
) -> None:
    session = ardour.new_session(kind, 2)
    with ardour.window(session) as shown:
        window = HostWindow(shown.display)
        window.companion = companion
        window.find(ARDOUR, 90)
        time.sleep(4)
        lane = _open_editor(window)
        take = window.type_prompt("dog barking")
        window.drag_first_take(*lane)
        window.key("ctrl+s")
        time.sleep(3)
        window.picture(f"plugin-ardour-{kind.lower()}")
    saved = (session / "session.ardour").read_text()
    assert f'name="{take.name}"' in saved, "no source"
    assert re.search(f'<Region name="{re.escape(take.stem)}', saved), "no region"
