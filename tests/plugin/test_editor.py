"""The editor in jalv's window: typed into, resized, scaled, driven by keys alone, idle."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile as sf
from companion import Companion, environment
from patient_jack import patient_jack
from plugin_build import LV2, URI
from project_state import noise
from running_programs import needs
from screen import PROGRAMS, Screen, screen

pytestmark = [pytest.mark.daw, needs("jalv.gtk3", "jackd", *PROGRAMS)]

SIZE = (760, 520)
PROMPT, GENERATE, INPAINT = (240, 58), (696, 58), (508, 283)
HISTORY, SETTINGS, LOOP = (524, 58), (698, 24), (214, 283)
WAVE_LEFT, WAVE_RIGHT = (100, 180), (300, 180)


class Editor(Screen):
    """The plug-in in jalv on a screen of its own."""

    companion: Companion
    process: psutil.Process

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs of the companion, the newest first."""
        url = f"http://127.0.0.1:{self.companion.http_port}/v1/jobs"
        with urllib.request.urlopen(url) as answer:
            jobs: list[dict[str, Any]] = json.load(answer)
        return jobs

    def new_job(self, action: Callable[[], None]) -> dict[str, Any]:
        """The job that an action starts, when it is done."""
        before = len(self.jobs())
        action()
        end = time.monotonic() + 30
        while len(jobs := self.jobs()) == before or jobs[0]["state"] != "done":
            assert time.monotonic() < end, f"{len(jobs) - before} new jobs, {jobs[:1]}"
            time.sleep(0.1)
        time.sleep(0.5)  # the editor draws it
        return jobs[0]


@contextlib.contextmanager
def running_editor(companion: Companion, folder: Path, scale: float = 1) -> Iterator[Editor]:
    """Shown and connected."""
    lv2 = folder / "lv2"
    lv2.mkdir()
    (lv2 / LV2.name).symlink_to(LV2)
    with patient_jack(folder / "jackd.log") as jack, screen() as shown:
        variables = {
            **os.environ, **environment(folder, companion.port), **jack, **shown.environment,
            "LV2_PATH": f"{lv2}:/usr/lib/lv2", "DPF_SCALE_FACTOR": str(scale),
        }  # fmt: skip
        with (folder / "jalv.log").open("wb") as log:
            jalv = subprocess.Popen(
                ("jalv.gtk3", "--no-menu", URI), env=variables, stdout=log, stderr=log
            )
        with jalv:
            try:
                editor = Editor(shown.display)
                editor.companion = companion
                editor.process = psutil.Process(jalv.pid)
                editor.find("AudioLDM", size=(round(SIZE[0] * scale), round(SIZE[1] * scale)))
                time.sleep(2)  # until the companion is found
                yield editor
                assert jalv.poll() is None, (folder / "jalv.log").read_text()
            finally:
                jalv.terminate()


@pytest.fixture
def editor(plugin: None, companion: Companion, tmp_path: Path) -> Iterator[Editor]:
    """At its usual size."""
    with running_editor(companion, tmp_path) as running:
        yield running


def test_a_prompt_is_typed_and_rendered(editor: Editor) -> None:
    editor.click(*PROMPT)
    editor.key("ctrl+a")
    editor.type("deep church bell, slow")
    job = editor.new_job(lambda: editor.key("Return"))
    assert job["request"]["prompt"] == "deep church bell, slow"
    assert (job["request"]["bars"], job["request"]["loop"]) == (2, True)
    picture = editor.picture("plugin-editor", *SIZE)
    wave = picture[170:225, 20:740]
    assert (np.abs(wave.astype(int) - (112, 172, 240)).sum(axis=2) < 30).sum() > 1000, "no waveform"


def test_text_is_selected_cut_pasted_and_undone(editor: Editor) -> None:
    editor.click(*PROMPT)
    editor.key("ctrl+a")
    editor.type("one two three")
    editor.key("ctrl+shift+Left", "ctrl+x", "Home", "ctrl+v", "BackSpace")
    editor.type("X")
    editor.key("ctrl+z", "ctrl+z")
    assert editor.new_job(lambda: editor.key("Return"))["request"]["prompt"] == "threeone two "
    editor.click(*PROMPT, times=2)  # nothing there: the last word stays
    editor.key("ctrl+a")
    editor.type("a b")
    editor.click(24, 58, times=2)
    editor.type("word")
    assert editor.new_job(lambda: editor.key("Return"))["request"]["prompt"] == "word b"


def test_keys_alone(editor: Editor) -> None:
    """From the prompt by Tab to every widget: the length, the edits, the list."""
    editor.click(*PROMPT)
    editor.key("Tab", "Tab", "Tab")
    job = editor.new_job(lambda: editor.key("space"))
    assert job["request"]["kind"] == "text"
    editor.key("Tab", "Tab")
    editor.type("3")
    job = editor.new_job(lambda: editor.key("Return"))
    assert job["request"]["bars"] == 3
    # To the waveform, a selection by Shift and arrows, then on to Inpaint.
    editor.key("Tab", "Tab", "Tab", "Tab")
    editor.key("Right", *["shift+ctrl+Right"] * 3)
    editor.key(*["Tab"] * 7)
    job = editor.new_job(lambda: editor.key("space"))
    assert job["request"]["kind"] == "inpaint"
    start, end = map(float, job["request"]["regions"].split(":"))
    assert (start, end) == pytest.approx((0.06, 1.86), abs=0.01)


def test_a_region_is_dragged_and_made_anew(editor: Editor) -> None:
    editor.new_job(lambda: editor.click(*GENERATE))
    editor.drag(WAVE_LEFT, (200, 180), WAVE_RIGHT)
    job = editor.new_job(lambda: editor.click(*INPAINT))
    width = SIZE[0] - 24
    start, end = map(float, job["request"]["regions"].split(":"))
    seconds = 2 * 4 * 60 / 120
    assert start == pytest.approx((WAVE_LEFT[0] - 12) / width * seconds, abs=0.03)
    assert end == pytest.approx((WAVE_RIGHT[0] - 12) / width * seconds, abs=0.03)


def test_the_history_remembers_prompts(editor: Editor) -> None:
    for prompt in ("first words", "second words"):
        editor.click(*PROMPT)
        editor.key("ctrl+a")
        editor.type(prompt)
        editor.new_job(lambda: editor.key("Return"))
    editor.click(*HISTORY)
    editor.key("Down", "Return")
    job = editor.new_job(lambda: editor.click(*GENERATE))
    assert job["request"]["prompt"] == "first words"


def test_settings_are_written_for_the_user_alone(editor: Editor, tmp_path: Path) -> None:
    editor.click(*SETTINGS)
    editor.click(400, 242)
    editor.type("127.0.0.1")
    editor.key("Tab", "ctrl+a")
    editor.type(str(editor.companion.http_port))
    editor.key("Tab")
    editor.type("a-token")
    editor.key("Return")
    time.sleep(1)
    path = tmp_path / "config" / "audioldm-daw" / "plugin-companion"
    assert path.read_text() == f"127.0.0.1\n{editor.companion.http_port}\na-token\n"
    assert path.stat().st_mode & 0o077 == 0
    job = editor.new_job(lambda: editor.click(*GENERATE))
    assert job["owner"] == "local", "it went over HTTP"


def test_an_idle_editor_costs_at_most_2_percent_of_a_core(editor: Editor) -> None:
    editor.new_job(lambda: editor.click(*GENERATE))
    time.sleep(2)
    before, seconds = editor.process.cpu_times(), 8
    time.sleep(seconds)
    after = editor.process.cpu_times()
    used = (after.user + after.system - before.user - before.system) / seconds
    print(f"jalv with an idle editor: {used:.1%} of a core")
    assert used <= 0.02


def test_it_is_resized(editor: Editor) -> None:
    editor.xdotool("search", "--onlyvisible", "--name", "AudioLDM", "windowsize", "1000", "700")
    editor.find("AudioLDM", size=(1000, 700))
    time.sleep(1)
    job = editor.new_job(lambda: editor.click(GENERATE[0] + 240, GENERATE[1]))
    assert job["state"] == "done"
    picture = editor.picture("plugin-editor-large", 1000, 700)
    assert picture[690, 500].tolist() == [30, 32, 38], "the background reaches the new edge"


def test_it_is_scaled_for_a_display_of_high_density(
    plugin: None, companion: Companion, tmp_path: Path
) -> None:
    with running_editor(companion, tmp_path, scale=1.5) as editor:
        job = editor.new_job(lambda: editor.click(GENERATE[0] * 1.5, GENERATE[1] * 1.5))
        assert job["state"] == "done"
        editor.picture("plugin-editor-scaled", round(SIZE[0] * 1.5), round(SIZE[1] * 1.5))


DROP_SOURCE = """
import sys, gi
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gtk
window = Gtk.Window(title="source")
button = Gtk.Button(label="drag me")
button.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [], Gdk.DragAction.COPY)
button.drag_source_add_uri_targets()
button.connect("drag-data-get", lambda w, c, data, i, t: data.set_uris([sys.argv[1]]))
window.add(button)
window.set_default_size(120, 60)
window.show_all()
window.move(10, 10)
Gtk.main()
"""


def _have_gtk() -> bool:
    code = "import gi; gi.require_version('Gtk', '3.0')"
    command = ("/usr/bin/python3", "-c", code)
    return Path(command[0]).exists() and not subprocess.call(command, stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not _have_gtk(), reason="not installed: python3-gi, gir1.2-gtk-3.0")
def test_a_file_is_dropped_and_worked_on(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "a loop ü.wav"
    sf.write(path, noise(48000).T, 48000, subtype="FLOAT")
    command = ("/usr/bin/python3", "-c", DROP_SOURCE, path.as_uri())
    source = subprocess.Popen(command, env={**os.environ, **editor.environment})
    with source:
        editor_at = editor.origin
        editor.find("source")
        source_at = editor.origin
        editor.origin = (0, 0)
        target = (editor_at[0] + 300, editor_at[1] + 180)
        start = (source_at[0] + 60, source_at[1] + 30)
        editor.drag(start, (start[0] + 20, start[1] + 8), (start[0] + 60, start[1] + 40),
                    (target[0] - 5, target[1]), target)  # fmt: skip
        source.terminate()
    editor.origin = editor_at
    time.sleep(0.5)
    job = editor.new_job(lambda: editor.click(435, 283))  # Transfer
    assert job["request"]["kind"] == "transfer"
    assert job["request"]["clip"] == path.name
