"""Prices of jobs, over OSC."""

from __future__ import annotations

from hearing import addresses, heard
from memory_engine import MemoryEngine
from running_bridge import RunningBridge

from osc_bridge.client.client import Client

Running = RunningBridge[MemoryEngine]


def test_a_long_job_is_told_that_it_waits_among_the_bulk_jobs(
    bridge: Running, client: Client
) -> None:
    bridge.engine.automatic = False
    client.send("/ldm/text", "1", "rain", "num_inference_steps", 1000, "audio_length_in_s", 600)
    request_id, job_id, price_s, sentence = heard(client, "/ldm/job/bulk")[-1].arguments
    assert (request_id, job_id) == ("1", bridge.engine.jobs()[-1].id)
    assert price_s > 1000
    assert "bulk jobs" in str(sentence)
    client.send("/ldm/text", "2", "rain", "num_inference_steps", 2)
    messages = heard(client, "/ldm/job/accepted")
    assert "/ldm/job/bulk" not in addresses(messages)
    assert messages[-1].arguments[2] == 0, "it goes before the long one"
