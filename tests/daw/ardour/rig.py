"""Drive Ardour's own window, unattended: Xvfb, a JACK dummy server and Ardour's OSC surface.

Run as root inside a network namespace of its own (``unshare -n``), because Ardour listens on a
fixed port: ``rig.py FOLDER MODEL``. Leaves in FOLDER what each step reported, and the session.
``rig.py FOLDER MODEL N`` times N clicks instead and leaves ``clicks.json`` (benchmarks/ardour.py).

The way in, found by trying with Ardour 7.3: an empty ``.a7`` says the wizard was seen;
``<EngineHints>`` in a session brings up a modal question; a session's own list of control
surfaces wins over the user's; ``ui_scripts`` binds Lua functions to LuaAction/script-N.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pythonosc.udp_client import SimpleUDPClient

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "rigs" / "programs"))

from running_programs import CLIENTS, running_instrument, running_jack  # noqa: E402

PATIENCE_S = 90.0
CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config>
    <Option name="show-plugin-scan-window" value="0"/>
    <Option name="discover-plugins-on-start" value="0"/>
  </Config>
  <Extra><AudioMIDISetup><EngineStates>
    <State backend="JACK" driver="" device="" input-device="" output-device=""
      sample-rate="48000" buffer-size="1024" n-periods="2" input-latency="0" output-latency="0"
      lm-input="" lm-output="" active="1" use-buffered-io="0" midi-option=""><MIDIDevices/></State>
  </EngineStates></AudioMIDISetup></Extra>
</Ardour>
"""
OSC_OFF = '<Protocol name="Open Sound Control (OSC)" active="0"/>'
OSC_ON = OSC_OFF.replace('"0"', '"1"')
OWN_ACTIONS = ("prepare", "select_empty", "select_two_bars", "select_region", "report")
PROGRAM = """#!/bin/sh
date +%s%N >> "{log}"
"{python}" -m osc_bridge.client.command "$@"
date +%s%N >> "{log}"
"""
"""``audioldm-osc``, and when it began and ended."""
TWO_TAKES = """local real = os
local os = setmetatable ({ getenv = function (name)
  if name == "AUDIOLDM_TAKES" then return "2" end
  return real.getenv (name)
end }, { __index = real })
"""


def _quoted(text: str) -> str:
    """A Lua string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\\n")
    return f'"{escaped}"'


WATCHED = """local run = (function ()
%s
end) ()
return function ()
  local well, problem = pcall (run)
  local log = io.open (os.getenv ("TEST_FOLDER") .. "/ended.txt", "a")
  log:write ("%s: ", well and "well" or tostring (problem), "\\n")
  log:close ()
end
"""
"""A function that tells when it has ended, and how: errors go to a window of Ardour's otherwise."""


def ours(before: str = "") -> str:
    """The shipped script as the source of an action, with ``before`` in front of it."""
    shipped = (CLIENTS / "ardour" / "audioldm.lua").read_text()
    return f"{before}function ardour () end\n{shipped}\nreturn factory ({{}})"


def _actions() -> dict[str, str]:
    """Our script first, the tests' own after it."""
    own = {name: (HERE / f"{name}.lua").read_text() for name in OWN_ACTIONS}
    return {"audioldm": ours(), "two_takes": ours(TWO_TAKES), **own}


def _ui_scripts(actions: Mapping[str, str]) -> str:
    """What Ardour reads at its start: the scripts as LuaAction/script-1 and so on."""
    state = "scripts = {} "
    for number, (name, source) in enumerate(actions.items(), 1):
        slot = f"scripts[{number}]"
        state += f'{slot} = {{}} {slot}["n"] = {_quoted(name)} {slot}["s"] = "-" '
        state += f'{slot}["f"] = {_quoted(WATCHED % (source, name))} {slot}["a"] = {{}} '
    packed = base64.b64encode(state.encode()).decode()
    script = f'<ActionScript lua="Lua 5.3">{packed}</ActionScript>'
    return f"<UIScripts>\n  {script}\n  <ActionHooks/>\n</UIScripts>\n"


def _make_session(folder: Path) -> None:
    command = ("ardour7-lua", str(HERE / "new_session.lua"), str(folder / "session"))
    subprocess.run(command, check=True, capture_output=True)
    file = folder / "session" / "session.ardour"
    lines = file.read_text().replace(OSC_OFF, OSC_ON).splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "<EngineHints" not in line))


def _make_home(folder: Path, actions: Mapping[str, str]) -> None:
    config = folder / "home" / ".config" / "ardour7"
    config.mkdir(parents=True)
    (config / ".a7").touch()
    (config / "config").write_text(CONFIG)
    (config / "ui_scripts").write_text(_ui_scripts(actions))


@contextlib.contextmanager
def _running(command: tuple[str, ...], log: Path, **settings: object) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **settings)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # Ardour may wait for its window manager
            process.kill()
            process.wait()


@contextlib.contextmanager
def _display(folder: Path) -> Iterator[str]:
    """A screen that nobody sees; yields its name."""
    name = f":{100 + os.getpid() % 20000}"
    command = ("Xvfb", name, "-screen", "0", "1400x900x24", "-nolisten", "tcp")
    with _running(command, folder / "xvfb.txt"):
        _until(Path(f"/tmp/.X11-unix/X{name[1:]}").exists, "Xvfb")
        yield name


def _until(happened: Callable[[], bool], what: str, pause_s: float = 0.2) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited for {what} in vain")
        time.sleep(pause_s)


class Ardour:
    """The running program, through its OSC surface."""

    def __init__(self, folder: Path, display: str, actions: Iterable[str]) -> None:
        self.display = display
        self._folder = folder
        self._actions = tuple(actions)
        self._osc = SimpleUDPClient("127.0.0.1", 3819)

    def do(self, action: str) -> float:
        """One of our actions, to its end; the seconds that it took."""
        ended, begun = self._ended(action), time.monotonic()
        self.send(f"LuaAction/script-{self._actions.index(action) + 1}")
        _until(lambda: self._ended(action) > ended, f"the end of {action}", 0.005)
        return time.monotonic() - begun

    def send(self, action: str) -> None:
        """One of Ardour's own actions."""
        self._osc.send_message("/access_action", action)

    def report(self, name: str) -> str:
        """What is selected and lies on the tracks; kept under ``name``."""
        self.do("report")
        text = (self._folder / "report.txt").read_text()
        (self._folder / f"{name}.txt").write_text(text)
        return text

    def until_regions(self, number: int, name: str) -> None:
        _until(lambda: self.report(name).count("\nregion\t") == number, f"{number} regions")

    def _ended(self, action: str) -> int:
        """How often the action has ended."""
        file = self._folder / "ended.txt"
        return file.read_text().count(f"{action}: ") if file.exists() else 0


def _drive(ardour: Ardour) -> None:
    """Selection out, job, take on the track: for a part of a region, for no region, for all."""
    ardour.do("prepare")
    ardour.until_regions(1, "prepared")
    ardour.do("audioldm")
    ardour.until_regions(2, "part")
    ardour.do("select_empty")
    ardour.do("audioldm")
    ardour.until_regions(3, "empty")
    ardour.send("Editor/undo")
    ardour.until_regions(2, "empty undone")
    ardour.send("Editor/redo")
    ardour.until_regions(3, "empty redone")
    ardour.do("select_region")
    ardour.report("selected")
    ardour.do("audioldm")
    ardour.until_regions(4, "whole")
    ardour.send("Editor/undo")
    ardour.until_regions(3, "undone")
    ardour.do("select_region")
    ardour.do("two_takes")
    ardour.until_regions(5, "two takes")
    ardour.send("Editor/undo")
    ardour.until_regions(3, "two takes undone")


def _click(ardour: Ardour, folder: Path, clicks: int) -> None:
    """The same click again and again: from the action to the region on its track."""
    ardour.do("prepare")
    ardour.until_regions(1, "prepared")
    ardour.do("select_two_bars")
    asked = folder / "asked.txt"
    measured = []
    for number in range(clicks):
        seconds = ardour.do("audioldm")
        ardour.until_regions(number + 2, "clicked")
        begun, ended = (int(word) for word in asked.read_text().split()[-2:])
        measured.append({"click to track": seconds, "audioldm-osc": (ended - begun) / 1e9})
    (folder / "clicks.json").write_text(json.dumps(measured))


@contextlib.contextmanager
def running_ardour(
    folder: Path, model: Path, more_actions: Mapping[str, str] | None = None
) -> Iterator[Ardour]:
    """Ardour with a new session in ``folder``, beside an ``audioldm-daw`` that it asks.

    ``more_actions`` are names and Lua sources of actions beside the tests' own.
    """
    actions = {**_actions(), **(more_actions or {})}
    subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
    _make_session(folder)
    _make_home(folder, actions)
    with contextlib.ExitStack() as stack:
        instrument = stack.enter_context(running_instrument(model, folder))
        jack = stack.enter_context(running_jack(folder / "jack.txt"))
        display = stack.enter_context(_display(folder))
        environment = {**os.environ, **jack, **_environment(folder, display, instrument.port)}
        session = str(folder / "session" / "session.ardour")
        command = ("ardour", "-a", "-n", "-d", session)
        stack.enter_context(_running(command, folder / "ardour.txt", env=environment))
        udp = Path("/proc/net/udp")
        _until(lambda: ":0EEB " in udp.read_text(), "Ardour's OSC port 3819")
        time.sleep(3)  # the port is open before the window is
        yield Ardour(folder, display, actions)


def _environment(folder: Path, display: str, port: int) -> dict[str, str]:
    program = folder / "audioldm-osc"
    program.write_text(PROGRAM.format(python=sys.executable, log=folder / "asked.txt"))
    program.chmod(0o755)
    return {
        "HOME": str(folder / "home"),
        "DISPLAY": display,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "ARDOUR_TRY_AUTOSTART_ENGINE": "1",
        "TEST_FOLDER": str(folder),
        "AUDIOLDM_PROMPT": "high hiss",
        "AUDIOLDM_OSC": str(program),
        "AUDIOLDM_OSC_PORT": str(port),
    }


def main(folder: Path, model: Path, clicks: int = 0) -> None:
    """Everything, or ``clicks`` that are timed; an error where a step does not come about."""
    with running_ardour(folder, model) as ardour:
        if clicks:
            _click(ardour, folder, clicks)
        else:
            _drive(ardour)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
