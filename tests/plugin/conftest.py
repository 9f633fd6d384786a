"""Fixtures of the plug-in's tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clap_host import ClapHost
from companion import NOBODY, Companion, environment, running_companion
from plugin_build import CLAP, build_host, build_plugin, build_rt_check
from probe import Probe, build_probe


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need the plug-in, which takes a minute to build."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def plugin() -> None:
    """All formats, built."""
    build_plugin()


def made_no_forbidden_call(host: ClapHost) -> None:
    """Such as would make real-time code wait; counted by rt_check.c."""
    assert float(host.ask("forbidden")) == 0, host.errors()


@pytest.fixture
def start_host(plugin: None, tmp_path: Path) -> Iterator[Callable[..., ClapHost]]:
    """Starts CLAP hosts. Whatever the test does in them, process() made no forbidden call."""
    with contextlib.ExitStack() as stack:

        def start(port: int | str = NOBODY) -> ClapHost:
            preload = {"LD_PRELOAD": str(build_rt_check())}
            variables = {**environment(tmp_path, port), **preload}
            host = ClapHost([str(build_host())], str(CLAP), tmp_path, variables)
            stack.enter_context(host)
            stack.callback(made_no_forbidden_call, host)
            return host

        yield start


@pytest.fixture
def host(start_host: Callable[..., ClapHost]) -> ClapHost:
    """A host without a companion."""
    return start_host()


@pytest.fixture(scope="session")
def companion(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companion]:
    """A companion for all tests that do not stop it."""
    with running_companion(tiny_folder, tmp_path_factory.mktemp("companion")) as running:
        yield running


@pytest.fixture
def own_companion(tiny_folder: Path, tmp_path: Path) -> Iterator[Companion]:
    """A companion that the test may stop and kill."""
    with running_companion(tiny_folder, tmp_path / "companion") as running:
        yield running


@pytest.fixture
def start_probe(plugin: None, tmp_path: Path) -> Iterator[Callable[..., Probe]]:
    """Starts instances without a host."""
    probes: list[Probe] = []

    def start(port: int | str = NOBODY, sanitizer: str = "") -> Probe:
        folder = tmp_path / f"probe-{len(probes)}"
        folder.mkdir()
        probe = Probe(build_probe(sanitizer), environment(tmp_path, port), folder / "log")
        probes.append(probe)
        return probe

    yield start
    for probe in probes:
        probe.close()


@pytest.fixture
def probe(start_probe: Callable[..., Probe], companion: Companion) -> Probe:
    """An instance that has found the companion."""
    started = start_probe(companion.port)
    started.connected()
    return started
