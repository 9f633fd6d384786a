"""The stage over OSC: all its handlers, and its notices to the clients that asked for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from osc_bridge.audio.arena import Arena, ArenaShape
from osc_bridge.audio.output import Output
from osc_bridge.handlers.listen import ListenHandlers, listen_notice
from osc_bridge.handlers.midi import MidiHandlers
from osc_bridge.handlers.pads import PadHandlers, pad_notice
from osc_bridge.handlers.sound import SoundHandlers, device_notice
from osc_bridge.handlers.stream import StreamHandlers, stream_notice
from osc_bridge.handlers.transport import TransportHandlers
from osc_bridge.messages.message import Reply
from osc_bridge.messages.stage.sound import VoiceNotice
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Service
from osc_bridge.stage.listening.companion import ListenReport
from osc_bridge.stage.pads.slot import PadReport
from osc_bridge.stage.stage import Notice, Stage, VoiceReport
from osc_bridge.stage.stream.report import StreamReport
from server.engine.engine import Engine

__all__ = ["serve_stage", "stage_on"]


@asynccontextmanager
async def stage_on(
    engine: Engine,
    service: Service,
    folders: AllowedFolders,
    output: Output | None = None,
    shape: ArenaShape | Arena | None = None,
) -> AsyncIterator[Stage]:
    """A stage that answers OSC inside the context; no device is open yet.

    Args:
        engine: renders.
        service: answers for the stage.
        folders: where clients may name files.
        output: a sound card by default; memory for tests.
        shape: size of the memory for sounds and of the capture ring; or that memory itself.
    """
    stage = Stage(engine, lambda notice: None, output, shape)
    try:
        serve_stage(service, stage, folders)
        yield stage
    finally:
        await stage.close()


def serve_stage(service: Service, stage: Stage, folders: AllowedFolders) -> None:
    """Let ``service`` answer for ``stage``; clients may name files in ``folders``."""
    sound = SoundHandlers(service, stage, folders)
    transport = TransportHandlers(service, stage)
    pads = PadHandlers(service, stage, folders)
    stream = StreamHandlers(service, stage)
    midi = MidiHandlers(service, stage)
    listen = ListenHandlers(service, stage)
    for part in (sound, transport, pads, stream, midi, listen):
        service.add(part.handlers)
    for part in (sound, transport, stream):
        service.values.add(part.values)
    service.panic = stage.panic
    stage.notify = lambda notice: service.broadcast(_message(notice))


def _message(notice: Notice) -> Reply:
    if isinstance(notice, PadReport):
        return pad_notice(notice)
    if isinstance(notice, StreamReport):
        return stream_notice(notice)
    if isinstance(notice, VoiceReport):
        return VoiceNotice(notice.voice, notice.state, notice.path)
    if isinstance(notice, ListenReport):
        return listen_notice(notice)
    return device_notice(notice)
