"""Fixtures of the bridge's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge, running_bridge

from osc_bridge.client.client import Client
from server.model.manifest import Manifest


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    return tmp_path / "takes"


@pytest.fixture
def bridge(tiny_folder: Path, takes: Path) -> Iterator[RunningBridge[MemoryEngine]]:
    """A bridge whose engine finishes every job at once."""
    engine = MemoryEngine(Manifest.load(tiny_folder), takes)
    with running_bridge(engine, takes) as running:
        yield running


@pytest.fixture
def client(bridge: RunningBridge[MemoryEngine]) -> Iterator[Client]:
    with bridge.client() as client:
        yield client
