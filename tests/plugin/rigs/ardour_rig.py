"""Ardour with the plug-in: its scan, sessions made without a window, export, and the window."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from patient_jack import patient_jack
from plugin_build import LV2, VST3
from screen import Screen, screen

HERE = Path(__file__).resolve().parents[1] / "ardour"
SCANNER = Path("/usr/lib/ardour7/ardour-vst3-scanner")
# Without its resampler (quality 0) a port has no latency; on a busy machine Ardour begins an export
# before it has made up for that.
_CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config>
    <Option name="show-plugin-scan-window" value="0"/>
    <Option name="discover-plugins-on-start" value="1"/>
    <Option name="port-resampler-quality" value="0"/>
  </Config>
  <Extra><AudioMIDISetup><EngineStates>
    <State backend="JACK" driver="" device="" input-device="" output-device=""
      sample-rate="48000" buffer-size="1024" n-periods="2" input-latency="0" output-latency="0"
      lm-input="" lm-output="" active="1" use-buffered-io="0" midi-option=""><MIDIDevices/></State>
  </EngineStates></AudioMIDISetup></Extra>
</Ardour>
"""
_FOUR_SECONDS = (
    '<Locations>\n<Location id="9001" name="session" start="a0" end="a1128960000" timestamp="0"'
    ' flags="IsSessionRange" locked="0" position-lock-style="AudioTime"/>\n</Locations>'
)


class Ardour:
    """A home folder in which Ardour knows the plug-in, and its sessions."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = {**os.environ, **environment, "HOME": str(folder)}
        for hidden, bundle in ((".vst3", VST3), (".lv2", LV2)):
            (folder / hidden).mkdir(parents=True)
            (folder / hidden / bundle.name).symlink_to(bundle)
        config = folder / ".config" / "ardour7"
        config.mkdir(parents=True)
        (config / ".a7").touch()  # the wizard was seen
        (config / "config").write_text(_CONFIG)
        # The session in Lua only reads what the scanner has left.
        path = {"LD_LIBRARY_PATH": str(SCANNER.parent)}
        self._run(str(SCANNER), "-f", str(folder / ".vst3" / VST3.name), extra=path)

    def _run(self, *command: str, extra: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            command, env={**self.variables, **(extra or {})}, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    def new_session(self, kind: str, channels: int) -> Path:
        """One with a rendered take; `kind` is LV2 or VST3."""
        session = self.folder / f"session-{kind}-{channels}"
        script = str(HERE / "new_session.lua")
        printed = self._run("ardour7-lua", script, str(session), "session", kind, str(channels))
        assert "saved" in printed, printed
        file = session / "session.ardour"
        text = re.sub(r"<Locations/>|<Locations>.*?</Locations>", _FOUR_SECONDS,
                      file.read_text(), flags=re.S)  # fmt: skip
        # A hint about the engine brings up a question that nobody answers.
        lines = (line for line in text.splitlines(keepends=True) if "<EngineHints" not in line)
        file.write_text("".join(lines))
        return session

    def export(self, session: Path, name: str) -> Path:
        """Four seconds as a WAV file of 32-bit float."""
        path = self.folder / f"{name}.wav"
        self._run("ardour7-export", "-b", "float", "-o", str(path), str(session), "session")
        return path

    @contextlib.contextmanager
    def window(self, session: Path) -> Iterator[Screen]:
        """Ardour's own window."""
        with patient_jack(self.folder / "jackd.log") as server, screen(1400, 900) as shown:
            variables = {
                **self.variables, **server, **shown.environment, "ARDOUR_TRY_AUTOSTART_ENGINE": "1",
            }  # fmt: skip
            command = ("ardour", "-a", "-n", str(session / "session.ardour"))
            with (self.folder / "ardour.log").open("w") as log:
                program = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
            try:
                yield shown
            finally:
                program.terminate()
                try:
                    program.wait(5)
                except subprocess.TimeoutExpired:  # it may wait for its window manager
                    program.kill()
                    program.wait()
