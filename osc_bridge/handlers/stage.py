"""The stage answers OSC: its rooms' handlers together, and its notices to all who listen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import astuple

from osc_bridge.audio.arena import ArenaShape
from osc_bridge.audio.device import DeviceReport
from osc_bridge.audio.output import Output
from osc_bridge.handlers.midi import MidiService
from osc_bridge.handlers.pads import PadService
from osc_bridge.handlers.sound import SoundService
from osc_bridge.handlers.stream import StreamService
from osc_bridge.handlers.transport import TransportService
from osc_bridge.messages.message import Reply
from osc_bridge.messages.pads import PadNotice
from osc_bridge.messages.sound import DeviceNotice, VoiceNotice
from osc_bridge.messages.stream import StreamNotice
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Service
from osc_bridge.stage.pads.slot import PadReport
from osc_bridge.stage.stage import Stage, VoiceReport
from osc_bridge.stage.stream.report import StreamReport
from server.engine.engine import Engine

__all__ = ["serve_stage", "stage_on"]


@asynccontextmanager
async def stage_on(
    engine: Engine,
    service: Service,
    folders: AllowedFolders,
    output: Output | None = None,
    shape: ArenaShape | None = None,
) -> AsyncIterator[Stage]:
    """A stage that answers OSC inside the context; no device is open yet."""
    stage = Stage(engine, lambda notice: None, output, shape)
    try:
        serve_stage(service, stage, folders)
        yield stage
    finally:
        await stage.close()


def serve_stage(service: Service, stage: Stage, folders: AllowedFolders) -> None:
    """Let ``service`` answer for ``stage``; ``folders`` are those in which clients name files."""
    sound = SoundService(service, stage, folders)
    transport = TransportService(service, stage)
    pads = PadService(service, stage, folders)
    stream = StreamService(service, stage)
    midi = MidiService(service, stage)
    for room in (sound, transport, pads, stream, midi):
        service.add(room.handlers)
    service.values |= sound.values | transport.values | stream.values
    service.panic = stage.panic
    stage.notify = lambda notice: service.broadcast(_notice(notice))


def _notice(notice: DeviceReport | PadReport | StreamReport | VoiceReport) -> Reply:
    if isinstance(notice, PadReport):
        return PadNotice(*astuple(notice))
    if isinstance(notice, StreamReport):
        return StreamNotice(*astuple(notice))
    if isinstance(notice, VoiceReport):
        return VoiceNotice(notice.voice, notice.state, notice.path)
    opened = notice.opened
    name, rate = (opened.name, opened.sample_rate) if opened else ("", 0)
    return DeviceNotice(notice.state, name, rate, notice.reason)
