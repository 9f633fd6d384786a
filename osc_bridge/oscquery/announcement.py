"""The announcement on the network (mDNS), by which control surfaces find this program.

OSCQuery (``_oscjson._tcp``) and OSC (``_osc._udp``) are announced on the interface that the ports
listen on. On loopback nothing leaves the machine.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from server.errors import DeviceError, InvalidRequest

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["announced"]

NAME: Final = "audioldm-daw"
_ANY: Final = ("0.0.0.0", "::", "")


@asynccontextmanager
async def announced(host: str, osc_port: int, http_port: int) -> AsyncIterator[None]:
    """Announce both ports inside the context.

    Raises:
        InvalidRequest: zeroconf is not installed.
        DeviceError: multicast is not possible on this interface.
    """
    zeroconf = _open(host)
    services = [
        _service("_oscjson._tcp.local.", host, http_port),
        _service("_osc._udp.local.", host, osc_port),
    ]
    try:
        for service in services:
            await (await zeroconf.async_register_service(service, allow_name_change=True))
        yield
    finally:
        await zeroconf.async_unregister_all_services()
        await zeroconf.async_close()


def _open(host: str) -> AsyncZeroconf:
    try:
        from zeroconf import InterfaceChoice
        from zeroconf.asyncio import AsyncZeroconf
    except ImportError as error:
        raise InvalidRequest("--announce needs zeroconf: pip install zeroconf") from error
    interfaces = InterfaceChoice.Default if host in _ANY else [_address(host)]
    try:
        return AsyncZeroconf(interfaces=interfaces)
    except OSError as error:
        raise DeviceError(f"cannot announce on {host}: {error.strerror or error}") from error


def _service(kind: str, host: str, port: int) -> Any:
    from zeroconf.asyncio import AsyncServiceInfo

    own = socket.gethostname().partition(".")[0]
    address = _address(socket.gethostname() if host in _ANY else host)
    return AsyncServiceInfo(
        kind,
        f"{NAME} {own} {port}.{kind}",
        port=port,
        addresses=[socket.inet_pton(_family(address), address)],
        server=f"{NAME}-{own}.local.",
    )


def _address(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None)[0][4][0])
    except OSError:
        return "127.0.0.1"


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
