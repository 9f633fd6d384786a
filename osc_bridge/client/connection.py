"""Messages to the server, and the answers to them among everything else that arrives."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from osc_bridge.client.transports import PacketTransport, TcpTransport, UdpTransport
from osc_bridge.messages.jobs import JobFail
from osc_bridge.messages.message import Message, Reply
from osc_bridge.messages.server import Cookie, ErrorReply, Prove, Proved, Sync, Synced
from osc_bridge.wire.codec import Argument, OscMessage, decode, encode, encode_bundle
from osc_bridge.wire.framing import MAX_FRAME
from server.errors import AudioLDMError, EngineUnavailable, error_for

__all__ = ["DEFAULT_PORT", "Connection", "error_in"]

DEFAULT_PORT: Final = 9536
RESEND_S: Final = 0.5
"""An unanswered message is sent again after this time; ids make repeats harmless."""
_MAX_PENDING: Final = 10_000
"""Messages kept for later; beyond that the oldest are dropped."""

R = TypeVar("R", bound=Reply)


class Connection:
    """A connection to ``audioldm-daw``; not for use from several threads at once.

    Args:
        host, port: where the server listens.
        transport: ``udp``, or ``tcp`` where nothing may be lost.
        timeout_s: how long an answer may take.

    Raises:
        EngineUnavailable: nobody listens at this TCP port.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        transport: Literal["udp", "tcp"] = "udp",
        timeout_s: float = 5.0,
    ) -> None:
        kind = UdpTransport if transport == "udp" else TcpTransport
        self._transport: PacketTransport = kind(host, port)
        self._where = f"{transport} {host}:{port}"
        self._timeout_s = timeout_s
        self._proofs = 0
        """Proofs of this address that were sent and not answered yet."""
        self._pending: deque[OscMessage] = deque(maxlen=_MAX_PENDING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def send(self, address: str | Message, *arguments: Argument) -> None:
        """Send one message, given as address and arguments or as a typed message."""
        if isinstance(address, Message):
            self._transport.send(encode(address.to_osc()))
        else:
            self._transport.send(encode(OscMessage(address, arguments)))

    def send_bundle(self, messages: Sequence[OscMessage], when_s: float | None = None) -> None:
        """Send messages to be executed together at a Unix time (None: at once)."""
        self._transport.send(encode_bundle(messages, when_s))

    def receive(self, timeout_s: float | None = None) -> OscMessage | None:
        """The next message from the server; None where none comes in time."""
        return self._next(lambda _: True, self._deadline(timeout_s))

    def messages(self, timeout_s: float | None = None) -> Iterator[OscMessage]:
        """Messages from the server until none comes for ``timeout_s``."""
        while (message := self.receive(timeout_s)) is not None:
            yield message

    def query(
        self, address: str, *arguments: Argument, timeout_s: float | None = None
    ) -> tuple[Argument, ...]:
        """Send a message and return the arguments of its answer; other messages are kept.

        Raises:
            AudioLDMError: the one that the server answers with.
            EngineUnavailable: no answer in time.
        """
        from osc_bridge.messages.addresses import TABLE

        self._drop_errors_about(address)
        self.send(address, *arguments)
        expected = {reply.address for reply in TABLE.command(address).replies}

        def answers(message: OscMessage) -> bool:
            return message.address in expected or _is_error_about(message, address)

        message = self._next(answers, self._deadline(timeout_s))
        if message is None:
            raise self._unanswered(f"no answer to {address}")
        if message.address in (ErrorReply.address, JobFail.address):
            raise error_in(message)
        return message.arguments

    def answers(
        self, address: str, *arguments: Argument, timeout_s: float | None = None
    ) -> list[tuple[Argument, ...]]:
        """Send a message and return the arguments of all its answers, which may be none.

        They have all arrived when a ``/ldm/sync`` that is sent behind it is answered.

        Raises:
            AudioLDMError: the one that the server answers with.
            EngineUnavailable: no answer in time.
        """
        from osc_bridge.messages.addresses import TABLE

        token = secrets.randbelow(2**31)
        synced = Synced(token).to_osc()
        expected = {reply.address for reply in TABLE.command(address).replies}
        self._drop_errors_about(address)
        self.send(address, *arguments)
        self.send(Sync(token))
        deadline = self._deadline(timeout_s)
        found: list[tuple[Argument, ...]] = []
        while True:
            message = self._next(
                lambda m: m == synced or m.address in expected or _is_error_about(m, address),
                deadline,
            )
            if message is None:
                raise self._unanswered(f"no answer to {address}")
            if message == synced:
                return found
            if message.address in (ErrorReply.address, JobFail.address):
                raise error_in(message)
            found.append(message.arguments)

    def exchange(self, message: Message, expected: type[R]) -> R:
        """Send a typed message until it is answered; the answer has the same first argument.

        Raises:
            AudioLDMError: the one that the server answers with.
            EngineUnavailable: no answer in time.
        """
        self._drop_errors_about(message.address)
        deadline = self._deadline(None)
        key = message.to_osc().arguments[0]

        def answers(reply: OscMessage) -> bool:
            own = reply.address == expected.address and reply.arguments[0] == key
            return own or _is_error_about(reply, message.address)

        while time.monotonic() < deadline:
            self.send(message)
            reply = self._next(answers, min(time.monotonic() + RESEND_S, deadline))
            if reply is not None and reply.address == ErrorReply.address:
                raise error_in(reply)
            if reply is not None:
                return expected.from_osc(reply.arguments)
        raise self._unanswered(f"no answer to {message.address}")

    def _deadline(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)

    def _next(self, matches: Callable[[OscMessage], bool], deadline: float) -> OscMessage | None:
        """The next matching message; the others stay, in order."""
        for message in self._pending:
            if matches(message):
                self._pending.remove(message)
                return message
        while (packet := self._transport.receive(deadline)) is not None:
            arrived = [m for p in decode(packet, MAX_FRAME) if not self._proves(m := p.message)]
            for index, message in enumerate(arrived):
                if matches(message):
                    self._pending.extend(arrived[:index] + arrived[index + 1 :])
                    return message
            self._pending.extend(arrived)
        return None

    def _proves(self, message: OscMessage) -> bool:
        """Prove this address where the server asks for it; True for messages about that."""
        if message.address == Cookie.address:
            self._proofs += 1
            self.send(Prove(Cookie.from_osc(message.arguments).cookie))
            return True
        if message.address == Proved.address and self._proofs:
            self._proofs -= 1
            return True
        return False

    def _drop_errors_about(self, address: str) -> None:
        """An error from before must not be taken for the answer to a new question."""
        for message in [m for m in self._pending if _is_error_about(m, address)]:
            self._pending.remove(message)

    def _unanswered(self, what: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"{what}: nobody answers at {self._where}; start audioldm-daw, or name its port"
        )


def error_in(message: OscMessage) -> AudioLDMError:
    """The error of a ``/ldm/error`` or ``/ldm/job/fail`` message, as it was raised there."""
    first = 2 if message.address == JobFail.address else 0
    code, sentence = message.arguments[first : first + 2]
    return error_for(code, sentence)


def _is_error_about(message: OscMessage, address: str) -> bool:
    return message.address == ErrorReply.address and message.arguments[2] == address
