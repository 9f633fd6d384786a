"""Warnings of takes through a socket."""

from __future__ import annotations

import pytest
from hearing import addresses, heard
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client

pytestmark = pytest.mark.integration


def test_a_take_carries_its_warnings(bridge: RunningBridge[MemoryEngine], client: Client) -> None:
    bridge.engine.warnings = ("it plays A3, A4 was asked for", "turned down by 3 dB")
    client.send("/ldm/text", "mine", "hum A4", "num_waveforms_per_prompt", 2)
    messages = heard(client, "/ldm/job/done")
    assert addresses(messages)[-3:-1] == ["/ldm/take"] * 2
    said = "it plays A3, A4 was asked for; turned down by 3 dB"
    for message in messages[-3:-1]:
        assert message.arguments[10:] == (4800, said)
    with bridge.client() as other:
        (take,) = other.render("rain", request_id="other")
        assert take.warnings == said
