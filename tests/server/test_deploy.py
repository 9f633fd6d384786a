"""Service files name programs, flags, settings and routes that there are."""

from __future__ import annotations

import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from server.cli import _parser
from server.config import ENVIRONMENT_PREFIX, Config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETTINGS = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Config.__struct_fields__}


def check_command(command: list[str]) -> None:
    assert re.split(r"[\\/]", command[0])[-1].removesuffix(".exe") in PROJECT["scripts"]
    _parser().parse_args(command[1:])


def unit() -> list[tuple[str, str]]:
    lines = (DEPLOY / "systemd" / "audioldm-server.service").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line[:1].isalpha()]
    return [(name, value) for name, _, value in pairs]


def test_the_systemd_unit() -> None:
    check_command(shlex.split(dict(unit())["ExecStart"]))
    environment = [value.partition("=")[0] for name, value in unit() if name == "Environment"]
    assert len(environment) == 3
    assert set(environment) <= SETTINGS
    drain_s = _parser().parse_args([]).drain_s
    assert int(dict(unit())["TimeoutStopSec"]) > drain_s


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "audioldm-server.service").read_text()
    installed = Path(sys.executable).with_name("audioldm-server")
    path = tmp_path / "audioldm-server.service"
    path.write_text(text.replace("/opt/audioldm/bin/audioldm-server", str(installed)))
    said = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_the_launchd_plist() -> None:
    plist = plistlib.loads((DEPLOY / "launchd" / "audioldm.server.plist").read_bytes())
    assert plist["Label"] == "audioldm.server"
    check_command(plist["ProgramArguments"])
    assert plist["ExitTimeOut"] > _parser().parse_args([]).drain_s


def test_the_windows_service() -> None:
    text = (DEPLOY / "windows" / "README.md").read_text()
    service = ElementTree.fromstring(text.split("```xml")[1].split("```")[0])
    arguments = shlex.split(service.findtext("arguments") or "")
    check_command([service.findtext("executable") or "", *arguments])
    assert {env.get("name") for env in service.iter("env")} <= SETTINGS


def test_the_dockerfile() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    said = dict[str, list[str]]()
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            said.setdefault(name, []).append(rest)
    check_command(
        [*re.findall(r'"([^"]+)"', said["ENTRYPOINT"][-1] + said["CMD"][-1])],
    )
    named = set(re.findall(rf"{ENVIRONMENT_PREFIX}\w+", said["ENV"][0]))
    assert named
    assert named <= SETTINGS
    assert int(said["EXPOSE"][0]) == Config().http_port
    assert f"127.0.0.1:{Config().http_port}/ready" in said["HEALTHCHECK"][0]
    extras = next(arg for arg in said["ARG"] if arg.startswith("EXTRAS=")).partition("=")[2]
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    wheel = PROJECT["name"].replace("-", "_")
    assert f"/wheels/{wheel}-*.whl" in text
    assert said["USER"] == re.findall(r"--uid (\d+)", text)
    assert said["STOPSIGNAL"] == ["SIGTERM"]


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not here")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", str(DEPLOY / "docker" / "Dockerfile")], check=True)
