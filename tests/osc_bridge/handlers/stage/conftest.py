"""A bridge with a stage, on a device that makes no sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from numpy_engine import NumpyEngine
from running_bridge import running_bridge
from stage_over_osc import SHAPE, Keyboard, Running

from osc_bridge.client.client import Client
from osc_bridge.handlers.stage import stage_on
from osc_bridge.stage.stage import Stage
from server.model.manifest import Manifest


@pytest.fixture
def running(tiny_folder: Path, takes: Path) -> Iterator[Running]:
    engine = NumpyEngine(Manifest.load(tiny_folder), takes)
    with running_bridge(engine, takes) as running:
        yield running


@pytest.fixture
def stage(running: Running) -> Iterator[Stage]:
    """A stage on the bridge's loop."""
    stack = AsyncExitStack()
    bridge = running.bridge
    context = stage_on(running.engine, bridge.service, bridge.folders, shape=SHAPE)
    stage = running.run(stack.enter_async_context(context))
    yield stage
    running.run(stack.aclose())


@pytest.fixture
def client(running: Running, stage: Stage) -> Iterator[Client]:
    with running.client() as client:
        client.query("/ldm/notify", 1)
        yield client


@pytest.fixture
def midi(monkeypatch: pytest.MonkeyPatch) -> Keyboard:
    keyboard = Keyboard()
    monkeypatch.setattr("osc_bridge.stage.midi._backend", lambda api: keyboard)
    return keyboard


@pytest.fixture
def opened(client: Client) -> Client:
    """A client with a device open and a live set loaded."""
    assert client.query("/ldm/device/open", "none", 0, 256)[0] == "open"
    return client
