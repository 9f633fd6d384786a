"""Warnings of takes through a socket."""

from __future__ import annotations

import pytest
from hearing import addresses, heard
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client

pytestmark = pytest.mark.integration


def test_a_warning_follows_its_take(bridge: RunningBridge[MemoryEngine], client: Client) -> None:
    bridge.engine.warnings = ("the take is silent", "turned down by 3 dB")
    client.send("/ldm/text", "mine", "rain", "num_waveforms_per_prompt", 2)
    messages = heard(client, "/ldm/job/done")
    assert addresses(messages)[-5:-1] == ["/ldm/take", "/ldm/take/warning"] * 2
    (job,) = bridge.engine.jobs()
    said = "the take is silent; turned down by 3 dB"
    for index, message in enumerate(messages[-4:-1:2]):
        assert message.arguments == ("mine", job.id, index, said)
    with bridge.client() as other:
        (take,) = other.render("rain", request_id="other")
        assert take.warning == said
