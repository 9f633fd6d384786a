"""Presets: list them, take over the values of one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from osc_bridge.messages.message import Command
from osc_bridge.messages.presets import PresetEntry, PresetList, PresetListed, PresetUse, PresetUsed
from osc_bridge.messages.requests.generated import SETTINGS
from osc_bridge.service.service import Context, Handler, Service
from server.requests.presets import find_preset, list_presets

__all__ = ["PresetHandlers"]


class PresetHandlers:
    """Handlers of the preset addresses.

    Args:
        service: answers for them.
        folder: the user's own presets.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self._service = service
        self._folder = folder

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        return {PresetList: self._list, PresetUse: self._use}

    async def _list(self, _: PresetList, context: Context) -> None:
        presets = await asyncio.to_thread(list_presets, self._folder)
        for preset in presets:
            entry = PresetEntry(
                name=preset.name,
                kind=preset.kind,
                description_text=preset.description,
                tags=",".join(preset.tags),
            )
            self._service.reply(context.client, entry)
            await asyncio.sleep(0)  # other clients are answered in between
        self._service.reply(context.client, PresetListed(len(presets)))

    async def _use(self, command: PresetUse, context: Context) -> None:
        preset = await asyncio.to_thread(find_preset, command.name, self._folder)
        known = {setting.field.name for setting in SETTINGS}
        values = {name: v for name, v in preset.values() if name in known}
        context.client.settings.update(values)
        self._service.reply(context.client, PresetUsed(preset.name, preset.kind))
