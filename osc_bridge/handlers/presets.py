"""The presets' OSC handlers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from osc_bridge.messages.generated import SETTINGS
from osc_bridge.messages.message import Command
from osc_bridge.messages.presets import PresetEntry, PresetList, PresetListed, PresetUse, PresetUsed
from osc_bridge.service.service import Context, Handler, Service
from server.requests.presets import find_preset, list_presets

__all__ = ["preset_handlers"]


def preset_handlers(service: Service, own: Path) -> dict[type[Command], Handler]:
    """Handlers of the preset addresses; ``own`` is the user's folder of presets."""

    async def list_all(_: PresetList, context: Context) -> None:
        presets = await asyncio.to_thread(list_presets, own)
        for preset in presets:
            tags = ",".join(preset.tags)
            entry = PresetEntry(preset.name, preset.kind, preset.description, tags)
            service.reply(context.client, entry)
            await asyncio.sleep(0)
        service.reply(context.client, PresetListed(len(presets)))

    async def use(wanted: PresetUse, context: Context) -> None:
        preset = await asyncio.to_thread(find_preset, wanted.name, own)
        known = {setting.field.name for setting in SETTINGS}
        values = {name: v for name, v in preset.values() if name in known}
        context.client.settings.update(values)
        service.reply(context.client, PresetUsed(preset.name, preset.kind))

    return {PresetList: list_all, PresetUse: use}
