"""The sound card, takes, levels and the capture."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from osc_bridge.audio.device import DeviceReport, DeviceSettings
from osc_bridge.audio.portaudio import list_devices
from osc_bridge.messages.arguments import SOFTEST_DB
from osc_bridge.messages.message import Command, Message
from osc_bridge.messages.stage import sound as m
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Context, Handler, Service
from osc_bridge.stage.stage import Stage
from server.file_names import existing, path_of

__all__ = ["SoundHandlers", "device_notice"]


class SoundHandlers:
    """Handlers of the sound card, takes, levels and the capture.

    Args:
        service: answers for them.
        stage: plays.
        folders: where clients may name files.
    """

    def __init__(self, service: Service, stage: Stage, folders: AllowedFolders) -> None:
        self._service = service
        self._stage = stage
        self._folders = folders

    @property
    def handlers(self) -> dict[type[Command], Handler]:
        """Command class to handler."""
        player = self._stage.player
        return {
            m.DeviceList: self._device_list,
            m.DeviceOpen: self._device_open,
            m.DeviceClose: self._device_close,
            m.DeviceStatus: lambda _, c: self._service.reply(c.client, self._device_state()),
            m.TakePlay: self._take_play,
            m.TakeStop: lambda t, c: player.stop(t.voice, fade_s=t.fade_s),
            m.TakeGain: lambda t, c: player.set_gain(t.voice, t.gain_db),
            # Not async: a panic waits for nothing.
            m.StopAll: lambda s, c: self._stage.stop_all(s.fade_s),
            m.MasterGain: lambda g, c: player.set_master(g.gain_db),
            m.MonitorGain: lambda g, c: player.set_monitor(g.gain_db),
            m.CaptureSave: self._capture_save,
        }

    @property
    def values(self) -> dict[type[Message], Callable[[], Message]]:
        """The values that control surfaces show."""
        player = self._stage.player
        return {
            m.MasterGain: lambda: m.MasterGain(player.master_db),
            m.MonitorGain: lambda: m.MonitorGain(max(player.monitor_db, SOFTEST_DB)),
            m.DeviceState: self._device_state,
        }

    # --- sound card

    async def _device_list(self, _: m.DeviceList, context: Context) -> None:
        for card in await asyncio.to_thread(list_devices):
            listed = m.DeviceListed(
                id=card.id,
                name=card.name,
                host_api=card.host_api,
                inputs=card.inputs,
                outputs=card.outputs,
                sample_rate=card.sample_rate,
                default=card.default,
            )
            self._service.reply(context.client, listed)
        self._service.reply(context.client, self._device_state())

    async def _device_open(self, command: m.DeviceOpen, context: Context) -> None:
        values = {name: getattr(command, name) for name in command.__struct_fields__}
        await self._stage.open_device(DeviceSettings(**values))
        self._service.reply(context.client, self._device_state())

    async def _device_close(self, _: m.DeviceClose, context: Context) -> None:
        await self._stage.stream.stop(0.0)
        await self._stage.player.close()
        self._service.reply(context.client, self._device_state())

    def _device_state(self) -> m.DeviceState:
        status = self._stage.player.status()
        return m.DeviceState(
            state=status.state,
            name=status.device,
            sample_rate=status.sample_rate,
            blocksize=status.blocksize,
            latency_s=status.latency_s,
            under_runs=status.under_runs,
            late=status.late,
            voices=status.voices,
            peak=status.peak,
            load=status.load,
            reopened=status.reopened,
        )

    # --- takes

    async def _take_play(self, take: m.TakePlay, context: Context) -> None:
        path = self._folders.file(take.path, anywhere=context.client.sender.is_local)
        voice, frame = await self._stage.play(
            path,
            gain_db=take.gain_db,
            loop=take.loop,
            quantise=take.quantise,
            choke=take.choke,
            panic_count=context.panic_count,
        )
        self._service.reply(context.client, m.TakePlaying(voice, str(path), frame % 2**31))

    # --- capture

    async def _capture_save(self, command: m.CaptureSave, context: Context) -> None:
        while True:
            path = self._new_file(command.path)
            # Of two clients that save under one name at once, one takes the next name.
            with contextlib.suppress(FileExistsError):
                waveform = await self._stage.save_capture(path, command.seconds, command.bus)
                break
        saved = m.CaptureSaved(str(path), waveform.seconds, waveform.peak)
        self._service.reply(context.client, saved)

    def _new_file(self, name: str) -> Path:
        """A path in an allowed folder that does not exist yet."""
        wanted = path_of(name or f"captures/{time.strftime('%Y-%m-%d %H.%M.%S')}.wav")
        path = self._folders.folder(str(wanted.parent)) / wanted.name
        number = 2
        while os.path.lexists(existing(path)):
            path = path.with_name(f"{wanted.stem} {number}{wanted.suffix}")
            number += 1
        return path


def device_notice(report: DeviceReport) -> m.DeviceNotice:
    """The notice that the sound card came, went or refused."""
    opened = report.opened
    return m.DeviceNotice(
        state=report.state,
        name=opened.name if opened else "",
        sample_rate=opened.sample_rate if opened else 0,
        reason=report.reason,
    )
