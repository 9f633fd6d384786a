"""``audioldm-daw service``: the companion starts whenever the user logs in.

On Linux it is a systemd user unit, on macOS a launchd agent, on Windows a scheduled task. All of
them belong to the user, so no administrator is asked. The service opens no sound card unless told
to: a plug-in needs none, and on some systems a card has room for one program only.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.errors import AudioLDMError

__all__ = ["LoginService", "service", "service_for"]

_NAME = "audioldm-daw"
_LABEL = "audioldm.daw"


class ServiceError(AudioLDMError):
    """The system's service manager is missing or refused; ``str()`` says what to do."""


@dataclass(frozen=True)
class LoginService:
    """What is written where, and the commands that make the system take it up."""

    path: Path | None
    """The file; None where the system keeps it elsewhere."""
    text: str
    install: Sequence[Sequence[str]]
    uninstall: Sequence[Sequence[str]]
    status: Sequence[str]
    before_install: Sequence[Sequence[str]] = ()
    """They end one that runs, which may have other flags; where none does, they fail."""


def service(action: str, flags: Sequence[str]) -> int:
    """Do ``action`` on this system; ``flags`` are those that audioldm-daw shall run with."""
    login = service_for(sys.platform, Path.home(), flags)
    if action == "show":
        print(login.text)
        return 0
    if action == "status":
        return subprocess.run(login.status, check=False).returncode
    if action == "install":
        _install(login)
    else:
        _uninstall(login)
    return 0


def service_for(platform: str, home: Path, flags: Sequence[str]) -> LoginService:
    """The service of a system, by the name that ``sys.platform`` has for it.

    >>> service_for("linux", Path("/home/you"), ()).path.as_posix()
    '/home/you/.config/systemd/user/audioldm-daw.service'
    """
    command = (sys.executable, "-m", "osc_bridge.cli", *_with_silence(flags))
    if platform == "darwin":
        return _launchd(home, command)
    if platform == "win32":
        return _scheduled_task(command)
    return _systemd(home, command)


def _with_silence(flags: Sequence[str]) -> tuple[str, ...]:
    named = any(flag.split("=")[0] == "--sound-card" for flag in flags)
    return tuple(flags) if named else ("--sound-card", "none", *flags)


def _systemd(home: Path, command: Sequence[str]) -> LoginService:
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path = configuration / "systemd" / "user" / f"{_NAME}.service"
    text = f"""[Unit]
Description=AudioLDM for the DAW

[Service]
ExecStart={" ".join(_quoted(word) for word in command)}
Restart=on-failure
RestartSec=2
# A running job may finish.
TimeoutStopSec=60
KillMode=mixed

[Install]
WantedBy=default.target
"""
    manager = ("systemctl", "--user")
    unit = f"{_NAME}.service"
    return LoginService(
        path=path,
        text=text,
        install=(
            (*manager, "daemon-reload"),
            (*manager, "enable", unit),
            (*manager, "restart", unit),
        ),
        uninstall=((*manager, "disable", "--now", unit),),
        status=(*manager, "--no-pager", "status", unit),
    )


def _quoted(word: str) -> str:
    """A word of ExecStart: in quotes, and without the meanings that %, $, \\ and " have there."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(plain, escaped)
    return f'"{word}"'


def _launchd(home: Path, command: Sequence[str]) -> LoginService:
    path = home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
    log = str(home / "Library" / "Logs" / f"{_NAME}.log")
    agent = {
        "Label": _LABEL,
        "ProgramArguments": list(command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": 60,
        "ProcessType": "Interactive",
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    bootout = ("launchctl", "bootout", f"{domain}/{_LABEL}")
    return LoginService(
        path=path,
        text=plistlib.dumps(agent).decode(),
        before_install=(bootout,),
        install=(("launchctl", "bootstrap", domain, str(path)),),
        uninstall=(bootout,),
        status=("launchctl", "print", f"{domain}/{_LABEL}"),
    )


def _scheduled_task(command: Sequence[str]) -> LoginService:
    # pythonw has no console, which would stay open otherwise.
    program = Path(command[0])
    windowless = program.with_name("pythonw.exe")
    line = subprocess.list2cmdline((str(windowless), *command[1:]))
    return LoginService(
        path=None,
        text=line,
        before_install=(("schtasks", "/End", "/TN", _NAME),),
        install=(
            ("schtasks", "/Create", "/F", "/SC", "ONLOGON", "/TN", _NAME, "/TR", line),
            ("schtasks", "/Run", "/TN", _NAME),
        ),
        uninstall=(
            ("schtasks", "/End", "/TN", _NAME),
            ("schtasks", "/Delete", "/F", "/TN", _NAME),
        ),
        status=("schtasks", "/Query", "/TN", _NAME),
    )


def _install(login: LoginService) -> None:
    if login.path is not None:
        login.path.parent.mkdir(parents=True, exist_ok=True)
        login.path.write_text(login.text)
        print(f"written: {login.path}")
    for command in login.before_install:
        with contextlib.suppress(ServiceError):
            _run(command)
    for command in login.install:
        _run(command)
    print("audioldm-daw runs now, and whenever you log in")


def _uninstall(login: LoginService) -> None:
    problem = ""
    for command in login.uninstall:
        try:
            _run(command)
        except ServiceError as error:  # the file goes all the same
            problem = problem or str(error)
    if login.path is not None:
        login.path.unlink(missing_ok=True)
    if problem:
        raise ServiceError(problem)
    print("audioldm-daw is started no more when you log in")


def _run(command: Sequence[str]) -> None:
    line = subprocess.list2cmdline(command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ServiceError(
            f"{command[0]} is not here; start audioldm-daw yourself, or by your desktop's settings"
        ) from None
    if done.returncode:
        reason = (done.stderr or done.stdout).strip()
        raise ServiceError(f"{line} failed: {reason}")
