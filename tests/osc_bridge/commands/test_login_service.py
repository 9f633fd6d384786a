"""``audioldm-daw service``: what is written for each system, and what the system is told."""

from __future__ import annotations

import plistlib
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from osc_bridge.cli import main
from osc_bridge.commands.login_service import service_for


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and a systemctl that writes down how it was called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    systemctl = programs / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    systemctl.chmod(systemctl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
def test_installed_and_uninstalled(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = home / ".config" / "systemd" / "user" / "audioldm-daw.service"
    assert main(["service", "install", "--", "--model", "/models/a b%"]) == 0
    start = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    assert start.endswith('"--sound-card" "none" "--model" "/models/a b%%"')
    assert sys.executable in start
    assert main(["service", "status"]) == 0
    assert main(["service", "uninstall"]) == 0
    assert not unit.exists()
    assert (home / "calls").read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable audioldm-daw.service",
        "--user restart audioldm-daw.service",
        "--user --no-pager status audioldm-daw.service",
        "--user disable --now audioldm-daw.service",
    ]
    assert "runs now" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
def test_installed_again_it_runs_with_the_new_flags(home: Path) -> None:
    """What systemd runs: the unit as it was when it last started."""
    unit = home / ".config" / "systemd" / "user" / "audioldm-daw.service"
    (home / "bin" / "systemctl").write_text(
        "#!/bin/sh\n"
        f'case "$*" in\n*daemon-reload*) cp {unit} {home}/loaded ;;\n'
        f"*restart*) cp {home}/loaded {home}/running ;;\n"
        f"*--now*) test -e {home}/running || cp {home}/loaded {home}/running ;;\nesac\n"
    )
    for model in ("first", "second"):
        assert main(["service", "install", "--", "--model", model]) == 0
        assert f'"--model" "{model}"' in (home / "running").read_text()


def test_on_macos_the_agent_that_runs_goes_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launchctl = home / "bin" / "launchctl"
    launchctl.write_text(
        f'#!/bin/sh\necho "$1" >> {home}/calls\ncase "$1" in\n'
        f"bootout) rm {home}/running ;;\n"
        f"bootstrap) test ! -e {home}/running && touch {home}/running ;;\nesac\n"
    )
    launchctl.chmod(0o755)
    monkeypatch.setattr("osc_bridge.commands.login_service.sys.platform", "darwin")
    for _ in range(2):
        assert main(["service", "install"]) == 0
    assert (home / "calls").read_text().split() == ["bootout", "bootstrap"] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
def test_a_refusal_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "bin" / "systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
    assert main(["service", "install"]) == 1
    assert "no bus" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="not installed: systemd")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    login = service_for("linux", tmp_path, ("--model", "x"))
    unit = tmp_path / "audioldm-daw.service"
    unit.write_text(login.text)
    command = ("systemd-analyze", "verify", "--user", str(unit))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "audioldm-daw.service:" not in done.stderr, done.stderr


def test_the_agent_of_macos() -> None:
    login = service_for("darwin", Path("/Users/you"), ("--sound-card", "2"))
    agent = plistlib.loads(login.text.encode())
    assert agent["ProgramArguments"][1:] == ["-m", "osc_bridge.cli", "--sound-card", "2"]
    assert agent["RunAtLoad"] is True
    assert login.path == Path("/Users/you/Library/LaunchAgents/audioldm.daw.plist")


def test_the_task_of_windows() -> None:
    login = service_for("win32", Path("C:/Users/you"), ())
    assert login.path is None
    assert login.text.endswith("-m osc_bridge.cli --sound-card none")
    assert "pythonw.exe" in login.text
    assert login.before_install[0][:2] == ("schtasks", "/End")
    assert login.install[0][:2] == ("schtasks", "/Create")


def test_show_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "show"]) == 0
    assert "osc_bridge.cli" in capsys.readouterr().out
