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
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.cli import _parser
from server.config import ENVIRONMENT_PREFIX, Config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETTINGS = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Config.__struct_fields__}

MUST_HAVE = {
    *("MemoryMax", "TasksMax", "LimitNOFILE", "OOMPolicy"),
    *("NoNewPrivileges", "SystemCallFilter", "ProtectSystem"),
}


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
    assert {name for name, _ in unit()} >= MUST_HAVE
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
    wheel = PROJECT["name"].replace("-", "_")
    assert f"/wheels/{wheel}-*.whl" in text
    assert said["USER"] == re.findall(r"--uid (\d+)", text)
    assert said["STOPSIGNAL"] == ["SIGTERM"]
    assert said["FROM"] == ["${PYTHON} AS build", "${PYTHON}"]
    base = next(arg for arg in said["ARG"] if arg.startswith("PYTHON="))
    assert re.fullmatch(r"PYTHON=python:3\.11-slim@sha256:[0-9a-f]{64}", base)
    installs = [rest for rest in said["RUN"] if "pip install" in rest]
    assert all("--require-hashes" in rest or "--no-index" in rest for rest in installs)


def test_the_standalone_program_refuses_a_child_without_a_name() -> None:
    command = [sys.executable, str(DEPLOY / "app" / "app.py"), "-m"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 2
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("requirements.txt", ["gpu"]),
        ("cluster-requirements.txt", ["gpu", "cluster"]),
        ("build-requirements.txt", []),
    ],
)
def test_what_the_image_installs_is_pinned(name: str, extras: list[str]) -> None:
    folder = DEPLOY / "docker"
    assert (
        name
        in (folder / "Dockerfile").read_text()
        + (DEPLOY / "kubernetes" / "raycluster.yaml").read_text()
    )
    locked = pins((folder / name).read_text())
    wanted = (folder / "build.in").read_text().split()
    if extras:
        optional = PROJECT["optional-dependencies"]
        wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    for line in wanted:
        requirement = Requirement(line)
        versions = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(v) for v in versions), f"{line}: make lock"


def pins(text: str) -> dict[str, list[str]]:
    """The versions of each package; every one has a checksum."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=[a-z])", text.partition("\n#    make lock\n")[2]):
        assert "--hash=sha256:" in entry, entry
        name, version = re.match(r"([\w.-]+)==(\S+)", entry).groups()  # type: ignore[union-attr]
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not here")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", str(DEPLOY / "docker" / "Dockerfile")], check=True)
