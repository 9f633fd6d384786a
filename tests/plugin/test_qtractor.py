"""CLAP in Qtractor: typed into, played with the song, dragged onto the track, saved."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from companion import Companion, environment
from host_window import SIZE, HostWindow
from patient_jack import patient_jack
from plugin_build import CLAP
from project_state import find_exact
from qtractor_rig import build_no_sequencer, write_session
from running_programs import needs
from screen import PROGRAMS, screen

jack = pytest.importorskip("jack")

pytestmark = [pytest.mark.daw, needs("qtractor", "jackd", "gcc", "nm", *PROGRAMS)]

SCANNER = Path("/usr/lib/x86_64-linux-gnu/qtractor/qtractor_plugin_scan")
EDITOR, CORNER = "AudioLDM - sounds", (40, 360)
PLUGIN_ENTRY, LANE, PLAY, TITLE = (372, 252), (560, 240), (428, 150), (560, 62)


class Qtractor(HostWindow):
    """The running host and its session."""

    session: Path

    def play(self, seconds: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """What it plays from the beginning of the song, and the silence before."""
        corner, self.origin = self.origin, (0, 0)
        client = jack.Client("test")
        inputs = [client.inports.register(f"in_{k}") for k in (1, 2)]
        blocks: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]] = []

        def record(_: int) -> None:
            blocks.append(np.stack([port.get_array().copy() for port in inputs]))

        client.set_process_callback(record)
        with client:
            outputs = client.get_ports("Qtractor.*Master/out", is_audio=True, is_output=True)
            for output, port in zip(outputs, inputs, strict=True):
                client.connect(output, port)
            self.click(*PLAY)
            time.sleep(seconds)
            self.click(*PLAY)
        self.origin = corner
        return np.concatenate(blocks, axis=1)


@pytest.fixture
def qtractor(
    plugin: None, companion: Companion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Qtractor]:
    """With the editor open."""
    library, session = build_no_sequencer(tmp_path), write_session(tmp_path)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(patient_jack(tmp_path / "jackd.log"))
        for name, value in server.items():
            monkeypatch.setenv(name, value)
        shown = stack.enter_context(screen(1400, 900))
        variables = {
            **os.environ, **environment(tmp_path, companion.port), **shown.environment,
            "LD_PRELOAD": str(library), "XDG_RUNTIME_DIR": str(tmp_path),
        }  # fmt: skip
        with (tmp_path / "qtractor.log").open("w") as log:
            host = subprocess.Popen(
                ("qtractor", str(session)), env=variables, stdout=log, stderr=log
            )
        stack.enter_context(host)
        stack.callback(host.kill)
        running = Qtractor(shown.display)
        running.companion, running.session = companion, session
        running.find("session.qtr", 60)
        time.sleep(3)
        running.origin = (0, 0)
        running.click(*PLUGIN_ENTRY, times=2)
        running.find(EDITOR, size=SIZE)
        running.move(EDITOR, *CORNER)
        running.find(EDITOR, size=SIZE)
        time.sleep(2)
        yield running


def test_typed_played_dragged_and_saved(qtractor: Qtractor) -> None:
    take = qtractor.type_prompt("dog barking")
    samples, _ = sf.read(take, dtype="float32")
    assert len(samples) == 2 * 4 * 60 / 120 * 48000
    played = qtractor.play(4.5)[0]
    # Its first block is silent; later ones may be lost on a busy machine.
    assert find_exact(played, samples[2048:32768]) > 0
    qtractor.move(EDITOR, *CORNER)  # in front again
    qtractor.drag_first_take(*LANE)
    qtractor.click(*TITLE)  # in front
    qtractor.key("ctrl+s")
    time.sleep(3)
    qtractor.move(EDITOR, *CORNER)
    qtractor.picture("plugin-qtractor")
    saved = qtractor.session.read_text()
    assert take.name in saved
    assert '<config key="state">' in saved


@pytest.mark.skipif(not SCANNER.exists(), reason="not installed: qtractor")
def test_its_scanner_knows_the_plugin(plugin: None) -> None:
    done = subprocess.run(
        (str(SCANNER),), input=f"CLAP:{CLAP}\n", capture_output=True, text=True, timeout=60,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, check=False,
    )  # fmt: skip
    assert "CLAP|AudioLDM|2:2|1:0|" in done.stdout, done.stdout + done.stderr
