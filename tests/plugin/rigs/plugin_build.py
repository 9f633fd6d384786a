"""The plug-in and the programs that test it, built once a run of the tests."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "plugin"
HOST_SOURCES = ROOT / "tests" / "plugin" / "host"
OUT = ROOT / "out" / "plugin"
BIN = OUT / "bin"
VST3, CLAP, LV2 = BIN / "audioldm.vst3", BIN / "audioldm.clap", BIN / "audioldm.lv2"
URI = "urn:audioldm-daw:plugin"

HAVE_DPF = Path(os.environ.get("DPF_PATH", "/usr/share/dpf"), "Makefile.plugins.mk").exists()
_TOOLS = ("g++", "make", "patch", "pkg-config")


def missing() -> str:
    """What the plug-in cannot be built without and is not here; empty: nothing."""
    tools = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return ", ".join([*tools, *([] if HAVE_DPF else ["dpf-source"])])


@functools.cache
def build_plugin() -> None:
    """All formats for this machine; skips the test where that cannot be done."""
    if missing():
        pytest.skip(f"not installed: {missing()} (`make clients` installs it)")
    run("make", "-C", str(SOURCES))


@functools.cache
def build_host() -> Path:
    """The CLAP host."""
    build_plugin()
    return compiled(OUT / "clap_host", "main.cpp", "clap_host.cpp")


@functools.cache
def build_rt_check() -> Path:
    """The library that counts forbidden calls, to be preloaded."""
    build_plugin()
    library = OUT / "rt_check.so"
    source = HOST_SOURCES / "rt_check.c"
    run("gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl")
    return library


def compiled(
    program: Path, *sources: str, compiler: str = "g++", flags: tuple[str, ...] = ()
) -> Path:
    """A program of the host's sources."""
    program.parent.mkdir(parents=True, exist_ok=True)
    headers = OUT / "dpf" / "distrho" / "src"
    files = [str(HOST_SOURCES / source) for source in sources]
    options = ("-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-pthread", f"-I{headers}", *flags)
    run(compiler, *options, "-o", str(program), *files, *(("-ldl",) if compiler == "g++" else ()))
    return program


def run(*command: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        ("nice", *command), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout
