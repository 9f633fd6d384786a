"""The OSC side of a running instance: one service behind a UDP and a TCP port."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final

from osc_bridge.handlers.files import FileHandlers
from osc_bridge.handlers.jobs import JobHandlers
from osc_bridge.handlers.models import ModelHandlers
from osc_bridge.handlers.presets import PresetHandlers
from osc_bridge.handlers.server import ServerHandlers
from osc_bridge.handlers.settings import SettingHandlers
from osc_bridge.handlers.takes import TakeHandlers
from osc_bridge.service.allowed_folders import AllowedFolders
from osc_bridge.service.service import Service
from osc_bridge.service.tcp import TcpServer
from osc_bridge.service.udp import UdpServer
from server.config import Config
from server.engine.engine import Engine
from server.errors import DeviceError
from server.net.limits import ConnectionLimits

__all__ = ["OscBridge"]

_TRIES: Final = 20


class OscBridge:
    """Answers OSC clients inside its context.

    Further parts add their handlers with ``bridge.service.add(handlers)``.

    Args:
        engine: renders.
        config: host, port and folders.
    """

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._config = config
        self.service = Service()
        self.folders = AllowedFolders(config.roots)

    async def __aenter__(self) -> OscBridge:
        """Open the ports.

        Raises:
            DeviceError: a port cannot be opened.
        """
        async with AsyncExitStack() as stack:
            service, engine = self.service, self._engine
            stack.push_async_callback(service.close)
            server = ServerHandlers(service, engine)
            stack.push_async_callback(server.close)
            self.settings = SettingHandlers(service, engine)
            jobs = self.jobs = JobHandlers(service, engine, self.folders)
            models = ModelHandlers(service, engine)
            stack.callback(models.close)
            presets = PresetHandlers(service, self._config.state / "presets")
            files = FileHandlers(service, self.folders)
            stack.callback(files.close)
            takes = TakeHandlers(service, engine)
            for part in (server, self.settings, jobs, models, presets, files, takes):
                service.add(part.handlers)
            self.udp, self.tcp = await _listen(service, self._config)
            stack.push_async_callback(self.udp.close)
            stack.push_async_callback(self.tcp.close)
            # While the ports are still open: every job that was received gets its end.
            stack.callback(jobs.close)
            stack.push_async_callback(service.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """The OSC port, the same for UDP and TCP."""
        return self.udp.port


async def _listen(service: Service, config: Config) -> tuple[UdpServer, TcpServer]:
    """Listen on one port for UDP and TCP.

    Port 0 is a free UDP port, which may be taken for TCP; then another one is tried.
    """
    host, port, limits = config.host, config.osc_port, _limits(config)
    tries = 1 if port else _TRIES
    while True:
        tries -= 1
        udp = await UdpServer.open(service, host, port)
        try:
            return udp, await TcpServer.open(service, host, udp.port, limits)
        except DeviceError:
            await udp.close()
            if not tries:
                raise


def _limits(config: Config) -> ConnectionLimits:
    """The limits of OSC over TCP; one address gets a quarter of the connections."""
    total = config.max_osc_connections
    return ConnectionLimits(total=total, per_address=max(1, total // 4), stall_s=config.stall_s)
