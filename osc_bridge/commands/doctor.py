"""``audioldm-daw doctor``: what works, what does not, and the command that fixes it."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import msgspec

from server import __version__
from server.config import Config
from server.errors import AudioLDMError
from server.extras import install_again, install_extra

__all__ = ["Finding", "diagnose", "doctor"]

_MIN_FREE_BYTES: Final = 1_000_000_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check."""

    what: str
    state: Literal["works", "missing", "broken"]
    """missing: the rest works without it; broken: nothing does."""
    detail: str = ""
    fix: str = ""


def doctor(config: Config, *, as_json: bool) -> int:
    """Print all findings; returns 1 where something is broken, else 0."""
    findings = list(diagnose(config))
    if as_json:
        print(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            mark = {"works": "ok     ", "missing": "missing", "broken": "BROKEN "}[finding.state]
            print(f"{mark}  {finding.what}: {finding.detail}")
            if finding.fix:
                print(f"         -> {finding.fix}")
    return int(any(finding.state == "broken" for finding in findings))


def diagnose(config: Config) -> Iterator[Finding]:
    """Run all checks, one after the other; nothing is changed."""
    yield _program()
    for check in (
        _model,
        _published_models,
        _providers,
        _takes_folder,
        _ports,
        _sound_card,
        _midi,
        _link,
        _announcement,
    ):
        yield check(config)


def _program() -> Finding:
    detail = f"{__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}"
    return Finding(what="audioldm-daw", state="works", detail=detail)


def _model(config: Config) -> Finding:
    from server.model.manifest import Manifest

    try:
        folder = config.model_folder
        manifest = Manifest.load(folder)
        manifest.verify(folder)
    except AudioLDMError as error:
        fix = "audioldm-export verify FOLDER, or leave out --model to use the built-in one"
        return Finding(what="model", state="broken", detail=str(error), fix=fix)
    detail = f"{manifest.name} at {folder}, {manifest.sample_rate} Hz, {manifest.licence}"
    return Finding(what="model", state="works", detail=detail)


def _published_models(config: Config) -> Finding:
    """AudioLDM itself: what is here, else what it would need."""
    from server.model.memory import machine_memory, shown
    from server.store.catalogue import offers
    from server.store.installed import Installed, installed

    here = [entry for entry in installed(config.model_folders) if isinstance(entry, Installed)]
    names = [entry.name for entry in here if entry.folder.parent == config.models]
    if names:
        return Finding(what="added models", state="works", detail=", ".join(names))
    free = shutil.disk_usage(_existing(config.models)).free
    needs = "; ".join(
        f"{offer.name}: {shown(offer.download_bytes)} to download, "
        f"{shown(offer.memory_bytes)} of memory"
        for offer in offers(())
    )
    return Finding(
        what="added models",
        state="missing",
        detail=f"none; {shown(free)} of disk are free, the machine has "
        f"{shown(machine_memory())} of memory. {needs}",
        fix=f"audioldm-daw model add {offers(())[1].name}",
    )


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _providers(config: Config) -> Finding:
    try:
        from server.model.session import providers_for

        providers = providers_for(config.devices[0])
    except ImportError as error:
        fix = install_again()
        return Finding(what="ONNX Runtime", state="broken", detail=str(error), fix=fix)
    except AudioLDMError as error:
        fix = f"{install_extra('gpu')} (NVIDIA), or --device cpu"
        return Finding(what="ONNX Runtime", state="broken", detail=str(error), fix=fix)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ", ".join(p if isinstance(p, str) else p[0] for p in providers)
    detail = f"{names}; {cores} CPU cores"
    return Finding(what="ONNX Runtime", state="works", detail=detail)


def _takes_folder(config: Config) -> Finding:
    folder = config.roots[0]
    existing = _existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Finding(
            what="takes folder",
            state="broken",
            detail=f"{folder} cannot be written",
            fix="choose another: --takes-folder FOLDER",
        )
    free = shutil.disk_usage(existing).free
    detail = f"{folder}, {free / 1e9:.1f} GB free"
    if free < _MIN_FREE_BYTES:
        return Finding(
            what="takes folder", state="missing", detail=detail, fix="make room, a take is 1 MB"
        )
    return Finding(what="takes folder", state="works", detail=detail)


def _ports(config: Config) -> Finding:
    taken = [
        f"{name} {port}"
        for name, port, kind in (
            ("OSC/UDP", config.osc_port, socket.SOCK_DGRAM),
            ("OSC/TCP", config.osc_port, socket.SOCK_STREAM),
            ("HTTP", config.http_port, socket.SOCK_STREAM),
        )
        if port and not _is_free(config.host, port, kind)
    ]
    if taken:
        return Finding(
            what="ports",
            state="missing",
            detail=f"{', '.join(taken)} in use on {config.host} (by a running audioldm-daw?)",
            fix="audioldm-daw --osc-port 0 --http-port 0 takes free ones",
        )
    detail = f"OSC {config.osc_port}, HTTP {config.http_port} on {config.host} are free"
    return Finding(what="ports", state="works", detail=detail)


def _is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, kind)) as probe:
        if kind is socket.SOCK_STREAM and os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _sound_card(_: Config) -> Finding:
    from osc_bridge.audio.portaudio import list_devices

    try:
        outputs = [device for device in list_devices() if device.outputs]
    except AudioLDMError as error:
        return Finding(what="sound card", state="missing", detail=str(error), fix=_PORTAUDIO_FIX)
    if not outputs:
        return Finding(
            what="sound card",
            state="missing",
            detail="PortAudio lists no output",
            fix="plug one in, or start a JACK server; takes are written to disk all the same",
        )
    names = ", ".join(f"{device.name} ({device.host_api})" for device in outputs[:3])
    return Finding(what="sound card", state="works", detail=f"{len(outputs)} outputs: {names}")


def _midi(_: Config) -> Finding:
    return _extra("MIDI", ("mido", "rtmidi"), "pip install mido python-rtmidi")


def _link(_: Config) -> Finding:
    return _extra("Ableton Link", ("aalink",), "pip install aalink")


def _announcement(_: Config) -> Finding:
    return _extra("announcement (mDNS)", ("zeroconf",), "pip install zeroconf")


def _extra(what: str, modules: tuple[str, ...], fix: str) -> Finding:
    absent = [module for module in modules if find_spec(module) is None]
    if absent:
        detail = f"{', '.join(absent)} not installed"
        return Finding(what=what, state="missing", detail=detail, fix=fix)
    return Finding(what=what, state="works", detail=f"{', '.join(modules)} installed")


def _portaudio_fix() -> str:
    if sys.platform.startswith("linux"):
        for tool, command in (
            ("apt-get", "sudo apt-get install libportaudio2"),
            ("dnf", "sudo dnf install portaudio"),
            ("pacman", "sudo pacman -S portaudio"),
        ):
            if shutil.which(tool):
                return command
    return f"{sys.executable} -m pip install --force-reinstall sounddevice"


_PORTAUDIO_FIX: Final = _portaudio_fix()
