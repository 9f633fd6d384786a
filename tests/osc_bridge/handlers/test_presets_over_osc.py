"""Presets through a socket."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client
from server.errors import NotFound

pytestmark = pytest.mark.integration

PRESET = """
name: wide rain
description: for long scenes
tags: [weather, wide]
request:
  kind: text
  prompt: rain on leaves
  num_inference_steps: 7
  delivery: {sample_rate: 44100}
"""


@pytest.fixture(autouse=True)
def own_preset(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "presets"
    folder.mkdir(parents=True)
    (folder / "wide-rain.yaml").write_text(PRESET)


def test_presets_are_listed(client: Client) -> None:
    client.send("/ldm/preset/list")
    *entries, listed = client.messages(1.0)
    assert listed.arguments == (len(entries),)
    own = next(entry for entry in entries if entry.arguments[0] == "wide rain")
    assert own.arguments == ("wide rain", "text", "for long scenes", "weather,wide")


def test_a_preset_becomes_this_clients_settings(
    bridge: RunningBridge[MemoryEngine], client: Client
) -> None:
    assert client.query("/ldm/preset/use", "wide rain") == ("wide rain", "text")
    client.send("/ldm/set/num_inference_steps", 3)
    client.send("/ldm/press/text", 1)
    with bridge.client() as other:
        other.render("wind")
    assert [m.address for m in client.messages(0.5)][-1] == "/ldm/job/done"
    pressed, theirs = (job.request for job in bridge.engine.jobs())
    assert (pressed.prompt, pressed.num_inference_steps) == ("rain on leaves", 3)
    assert pressed.delivery.sample_rate == 44100
    assert theirs.delivery.sample_rate is None


def test_an_unknown_preset_is_said_to_be_unknown(client: Client) -> None:
    with pytest.raises(NotFound, match="no preset 'nothing'"):
        client.query("/ldm/preset/use", "nothing")
