"""What a client hears, up to a message."""

from __future__ import annotations

from osc_bridge.client.client import Client
from osc_bridge.wire.codec import OscMessage


def heard(client: Client, until: str, timeout_s: float = 10.0) -> list[OscMessage]:
    """Everything up to the first message at ``until``."""
    messages: list[OscMessage] = []
    while not messages or messages[-1].address != until:
        message = client.receive(timeout_s)
        assert message is not None, f"{until} never came; heard {messages}"
        messages.append(message)
    return messages


def addresses(messages: list[OscMessage]) -> list[str]:
    return [message.address for message in messages]
