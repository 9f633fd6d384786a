"""The folders that a client may name for its takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from server.errors import Forbidden

pytestmark = pytest.mark.integration

Running = RunningBridge[MemoryEngine]


def test_takes_appear_in_the_folder_that_was_named(client: Client, takes: Path) -> None:
    assert client.render("rain", folder="song/verse")[0].path.parent == takes / "song" / "verse"
    absolute = takes / "elsewhere"
    assert client.render("rain", folder=str(absolute))[0].path.parent == absolute


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", "a/../../b", "~/x", "ok/../../../tmp"])
def test_folders_outside_are_forbidden(
    client: Client, bridge: Running, takes: Path, folder: str
) -> None:
    with pytest.raises(Forbidden, match="outside the allowed folders"):
        client.render("rain", folder=folder)
    assert bridge.engine.jobs() == []
    assert not takes.exists() or list(takes.rglob("*")) == []


def test_a_symbolic_link_leads_nowhere(client: Client, takes: Path, tmp_path: Path) -> None:
    takes.mkdir()
    (takes / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "outside").mkdir()
    with pytest.raises(Forbidden):
        client.render("rain", folder="link/deeper")
    assert list((tmp_path / "outside").iterdir()) == []
