"""The library of takes over OSC: names, folders and favourites."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from numpy_engine import NumpyEngine
from running_bridge import running_bridge

from osc_bridge.client.client import Client
from server.errors import EngineUnavailable, InvalidRequest, NotFound
from server.jobs.journal import Journal
from server.model.manifest import Manifest

pytestmark = pytest.mark.integration


def test_takes_are_named_filed_and_found(tiny_folder: Path, takes: Path) -> None:
    journal = Journal(takes.parent / "journal.sqlite3")
    journal.load()
    engine = NumpyEngine(Manifest.load(tiny_folder), takes, journal=journal)
    with (
        closing(journal),
        running_bridge(engine, takes) as running,
        running.client() as client,
    ):
        for request_id, prompt in (("a", "soft rain"), ("b", "deep kick")):
            client.render(prompt, request_id=request_id)
        entry = client.query("/ldm/takes/mark", "a", 0, "name", "Sub drop", "folder", "bass/low")
        assert entry[1:6] == (0, "Sub drop", "bass/low", 0, "soft rain")
        job_id = entry[0]
        assert client.query("/ldm/takes/mark", job_id, 0, "kept", 1)[2:5] == (*entry[2:4], 1)
        for search in (("sub",), ("", "folder", "bass"), ("", "kept", 1)):
            client.send("/ldm/takes/find", *search)
            *found, end = client.messages(0.5)
            assert [m.arguments[0] for m in found] == [job_id], search
            assert (end.address, end.arguments) == ("/ldm/takes/found", (1,))
        client.send("/ldm/takes/folders")
        folder, listed = client.messages(0.5)
        assert folder.arguments == ("bass/low", 1)
        assert listed.arguments == (1,)
        with pytest.raises(InvalidRequest, match="folder"):
            client.query("/ldm/takes/mark", job_id, 0, "folder", "/etc")
        with pytest.raises(NotFound):
            client.query("/ldm/takes/mark", job_id, 7, "name", "x")


def test_a_program_without_takes_says_so(client: Client) -> None:
    with pytest.raises(EngineUnavailable, match="keeps no takes"):
        client.query("/ldm/takes/find", "rain")
