"""A client's own defaults, as they are told and forgotten; ``Set`` is in submissions."""

from __future__ import annotations

from typing import Any, ClassVar

from osc_bridge.messages.message import Command, Reply

__all__ = ["SetClear", "Setting"]


class Setting(Reply, frozen=True):
    """The value that this client's requests use where they name none."""

    address: ClassVar[str] = "/ldm/setting"
    name: str
    value: Any


class SetClear(Command, frozen=True):
    """Forget all values this client has set."""

    address: ClassVar[str] = "/ldm/settings/clear"
