"""The Windows build: made by mingw-w64, its CLAP in a host of its own in Wine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from clap_host import ClapHost
from companion import Companion
from plugin_build import OUT, SOURCES, build_plugin, compiled, run
from project_state import clap_state, noise, project, take, write
from running_programs import needs

COMPILER = "x86_64-w64-mingw32-g++-posix"
BIN = OUT / "windows" / "bin"

pytestmark = [pytest.mark.daw, pytest.mark.slow, needs(COMPILER, "wine")]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The plug-in for Windows, and the environment of a fresh Wine."""
    build_plugin()
    run("make", "-C", str(SOURCES), "windows")
    folder = tmp_path_factory.mktemp("wine")
    variables = {
        "WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all", "HOME": str(folder),
        # Neither Mono nor Gecko is asked for, and there is no screen.
        "WINEDLLOVERRIDES": "mscoree,mshtml=", "DISPLAY": "",
    }  # fmt: skip
    yield variables
    if server := shutil.which("wineserver") or shutil.which("/usr/lib/wine/wineserver"):
        os.system(f"WINEPREFIX={variables['WINEPREFIX']} {server} -k")


@pytest.fixture
def host(prefix: dict[str, str], companion: Companion, tmp_path: Path) -> Iterator[ClapHost]:
    """The host as a Windows program."""
    flags = ("-static", "-DNOMINMAX")
    program = compiled(
        OUT / "windows" / "clap_host.exe", "main.cpp", "clap_host.cpp",
        compiler=COMPILER, flags=flags,
    )  # fmt: skip
    variables = {
        **prefix, "AUDIOLDM_OSC_PORT": str(companion.port),
        "AUDIOLDM_PLUGIN_FOLDER": f"Z:{tmp_path}/captures",
    }  # fmt: skip
    plugin = f"Z:{BIN / 'audioldm.clap'}"
    with ClapHost(("wine", str(program)), plugin, tmp_path, variables) as running:
        yield running


def test_a_take_plays_at_its_place_and_the_state_comes_back(host: ClapHost, tmp_path: Path) -> None:
    samples = noise(5000)
    path = write(tmp_path / "a ü.wav", samples)
    host.restore(clap_state(project(take(1, Path(f"Z:{path}"), anchor=1234))), 7)
    np.testing.assert_array_equal(host.run(6234, 0)[:, 1234:], samples)
    state = host.save(5)
    host.new("second")
    host.restore(state, 3)
    np.testing.assert_array_equal(host.run(6234, 0)[:, 1234:], samples)


def test_the_link_works_and_the_track_is_captured(host: ClapHost, tmp_path: Path) -> None:
    end = time.monotonic() + 30
    while host.get("Connected") < 0.5:
        assert time.monotonic() < end, "not connected"
        host.run(4800, pace=0.5)
    track = noise(48000, seed=4)
    host.set(capture=1)
    np.testing.assert_array_equal(host.run(48000, 0, input=track, pace=0.5), track)
    host.set(capture=0)
    host.run(4800)
    while host.get("Takes") < 0.5:
        assert time.monotonic() < end, "no capture"
        host.run(4800, pace=0.5)
    (capture,) = (tmp_path / "captures").glob("capture-*.wav")
    samples, _ = sf.read(capture, dtype="float32")
    np.testing.assert_array_equal(samples.T, track)
    host.set(bars=1, seed=3)
    host.run(4800)
    # A Linux companion gives a path without a drive: Wine knows it.
    host.set(generate=1)
    while host.get("Takes") < 1.5:
        assert time.monotonic() < end + 30, "no take"
        host.run(4800, pace=0.5)
    assert np.abs(host.run(96000, 0)).max() > 0.01
