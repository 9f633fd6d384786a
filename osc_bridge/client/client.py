"""A client in Python: send, ask, render and wait.

>>> with Client() as ldm:                                                    # doctest: +SKIP
...     ldm.query("/ldm/ping", 7)
...     takes = ldm.render("rain on a tin roof", seed=3, audio_length_in_s=2.0)
...     takes[0].path
(7,)
PosixPath('/home/you/AudioLDM/takes/rain-on-a-tin-roof_3_1f09c2d3aa-1.wav')
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

import msgspec

from osc_bridge.client.client_transport import TcpWire, UdpWire, Wire
from osc_bridge.messages.files import (
    CHUNK_BYTES,
    DownloadChunk,
    DownloadGet,
    DownloadReady,
    DownloadStart,
    UploadChunk,
    UploadDone,
    UploadGot,
    UploadReady,
    UploadStart,
)
from osc_bridge.messages.jobs import (
    JobAccepted,
    JobDone,
    JobFail,
    JobProgress,
    JobReceived,
    TakeReply,
)
from osc_bridge.messages.message import Message, Reply
from osc_bridge.messages.server import ErrorReply
from osc_bridge.wire.codec import MAX_DATAGRAM, Argument, OscMessage, decode, encode, encode_bundle
from osc_bridge.wire.framing import MAX_FRAME
from server.errors import AudioLDMError, EngineUnavailable, UnreadableAudio, error_for

__all__ = ["DEFAULT_PORT", "Client", "FinishedTake"]

DEFAULT_PORT: Final = 9536
_RESEND_S: Final = 0.5
"""How long an unanswered message waits before it is sent again; ids make that harmless."""
_REPEAT_S: Final = 2.0
"""The same, for a job that was heard of before."""
_MAX_PENDING: Final = 10_000
"""Messages kept for later; beyond that the oldest are dropped."""

M = TypeVar("M", bound=Reply)


class FinishedTake(msgspec.Struct, frozen=True):
    """A take as a client sees it."""

    path: Path
    seconds: float
    sample_rate: int
    channels: int
    seed: int
    score: float | None
    silent: bool


class Client:
    """Talks to a running ``audioldm-daw``; not for use from several threads at once.

    Args:
        transport: ``udp``, or ``tcp`` where nothing may be lost.
        timeout_s: how long an answer may take (a render has a time of its own).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        transport: Literal["udp", "tcp"] = "udp",
        timeout_s: float = 5.0,
    ) -> None:
        self._wire: Wire = (UdpWire if transport == "udp" else TcpWire)(host, port)
        self._where = f"{transport} {host}:{port}"
        self._timeout_s = timeout_s
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
        """Hang up."""
        self._wire.close()

    def send(self, address: str | Message, *arguments: Argument) -> None:
        """Send one message, given as address and arguments or as a typed message."""
        if isinstance(address, Message):
            self._wire.send(encode(address.to_osc()))
        else:
            self._wire.send(encode(OscMessage(address, arguments)))

    def send_bundle(self, messages: Sequence[OscMessage], when_s: float | None = None) -> None:
        """Send messages to be executed together at a Unix time (None: at once)."""
        self._wire.send(encode_bundle(messages, when_s))

    def receive(self, timeout_s: float | None = None) -> OscMessage | None:
        """The next message from the server; None where none comes in time."""
        if self._pending:
            return self._pending.popleft()
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while not self._pending:
            packet = self._wire.receive(deadline)
            if packet is None:
                return None
            self._pending.extend(p.message for p in decode(packet, MAX_FRAME))
        return self._pending.popleft()

    def messages(self, timeout_s: float | None = None) -> Iterator[OscMessage]:
        """Messages from the server until none comes for ``timeout_s``."""
        while (message := self.receive(timeout_s)) is not None:
            yield message

    def query(
        self, address: str, *arguments: Argument, timeout_s: float | None = None
    ) -> tuple[Argument, ...]:
        """Ask, and wait for the answer's arguments; other messages are kept for later.

        Raises:
            AudioLDMError: the one that the server answers with.
            EngineUnavailable: no answer in time.
        """
        from osc_bridge.messages.addresses import TABLE

        self._forget_errors_about(address)
        self.send(address, *arguments)
        expected = {reply.address for reply in TABLE.command(address).replies}

        def answers(message: OscMessage) -> bool:
            return message.address in expected or _is_error_about(message, address)

        message = self._wait(answers, timeout_s, f"no answer to {address}")
        if message.address in (ErrorReply.address, JobFail.address):
            raise _raised(message)
        return message.arguments

    def render(
        self,
        prompt: str,
        *,
        kind: str = "text",
        request_id: str = "",
        timeout_s: float = 600.0,
        on_progress: Callable[[int, int], None] | None = None,
        **fields: Argument,
    ) -> list[FinishedTake]:
        """Submit a request and wait for its takes. ``fields`` are the request's own, by name.

        Raises:
            AudioLDMError: why the job failed.
            EngineUnavailable: no acceptance, or nothing is heard of the job in time.
        """
        request_id = request_id or secrets.token_hex(8)
        pairs = [part for name, value in fields.items() for part in (name, value)]
        message = OscMessage(f"/ldm/{kind}", (request_id, prompt, *pairs))
        takes: list[FinishedTake] = []
        for about in self.follow(message, timeout_s=timeout_s):
            if about.address == JobProgress.address and on_progress is not None:
                on_progress(about.arguments[2], about.arguments[3])
            elif about.address == TakeReply.address:
                takes.append(_finished(TakeReply.from_osc(about.arguments)))
            elif about.address == JobFail.address:
                raise _raised(about)
        return takes

    def follow(self, message: OscMessage, *, timeout_s: float = 600.0) -> Iterator[OscMessage]:
        """Send a message that starts a job; yields its answers, each once, to done or fail.

        While nothing is heard the message is sent again: datagrams may be lost, a server may be
        restarted, and the request id (the first argument) makes repeats harmless.

        Raises:
            EngineUnavailable: nobody answers, or the job makes no progress for ``timeout_s``.
        """
        request_id, told = message.arguments[0], set()
        answered_s = progressed_s = time.monotonic()
        patience_s = _RESEND_S
        self._wire.send(encode(message))
        while True:
            answer = self._next_matching(
                lambda m: _is_about(m, request_id), time.monotonic() + patience_s
            )
            now = time.monotonic()
            if answer is None:
                if now - answered_s > self._timeout_s:
                    raise self._silence(f"job {request_id} is not heard of")
                if now - progressed_s > timeout_s:
                    raise EngineUnavailable(f"job {request_id}: no progress for {timeout_s:g} s")
                self._wire.send(encode(message))
                continue
            answered_s, patience_s = now, _REPEAT_S
            if answer.address == JobReceived.address:
                continue  # no promise yet
            # A repeat is told everything again, so what tells one answer from another counts.
            key = (answer.address, answer.arguments[2] if len(answer.arguments) > 2 else None)
            if answer.address == JobAccepted.address:
                key = (answer.address, None)
            if key not in told:
                told.add(key)
                progressed_s = now
                yield answer
            if answer.address in (JobDone.address, JobFail.address):
                return

    def upload(self, path: Path) -> Path:
        """Send a sound file to the server; the result can be named in requests.

        Raises:
            UnreadableAudio: the file cannot be read here.
            AudioLDMError: what the server answers.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableAudio(f"{path} cannot be read: {error.strerror}") from error
        upload_id, digest = secrets.token_hex(8), hashlib.sha256(data).hexdigest()
        start = UploadStart(upload_id, path.name, len(data), digest)
        ready = self._exchange(start, UploadReady)
        for index in range(ready.num_chunks):
            piece = data[index * ready.chunk_bytes : (index + 1) * ready.chunk_bytes]
            last = index == ready.num_chunks - 1
            answer = self._exchange(
                UploadChunk(upload_id, index, piece), UploadDone if last else UploadGot
            )
        assert isinstance(answer, UploadDone)
        return Path(answer.path)

    def download(self, path: str | Path) -> bytes:
        """The bytes of a take that lies on the server's disk.

        Raises:
            AudioLDMError: what the server answers, or a checksum that is wrong.
        """
        download_id = secrets.token_hex(8)
        ready = self._exchange(DownloadStart(download_id, str(path)), DownloadReady)
        data = b"".join(
            self._exchange(DownloadGet(download_id, index), DownloadChunk).data
            for index in range(ready.num_chunks)
        )
        if hashlib.sha256(data).hexdigest() != ready.sha256:
            raise UnreadableAudio(f"{path} changed while it was fetched; try again")
        return data

    def _exchange(self, message: Message, expected: type[M]) -> M:
        """Ask, repeat if lost, and read the typed answer."""
        self._forget_errors_about(message.address)
        deadline = time.monotonic() + self._timeout_s
        key = message.to_osc().arguments[0]

        def answers(reply: OscMessage) -> bool:
            mine = reply.address == expected.address and reply.arguments[0] == key
            return mine or _is_error_about(reply, message.address)

        while time.monotonic() < deadline:
            self.send(message)
            reply = self._next_matching(answers, min(time.monotonic() + _RESEND_S, deadline))
            if reply is not None and reply.address == ErrorReply.address:
                raise _raised(reply)
            if reply is not None:
                return expected.from_osc(reply.arguments)
        raise self._silence(f"no answer to {message.address}")

    def _wait(
        self, wanted: Callable[[OscMessage], bool], timeout_s: float | None, complaint: str
    ) -> OscMessage:
        limit = self._timeout_s if timeout_s is None else timeout_s
        message = self._next_matching(wanted, time.monotonic() + limit)
        if message is None:
            raise self._silence(complaint)
        return message

    def _next_matching(
        self, wanted: Callable[[OscMessage], bool], deadline: float
    ) -> OscMessage | None:
        """The next wanted message; the others stay, in order."""
        for message in self._pending:
            if wanted(message):
                self._pending.remove(message)
                return message
        while (packet := self._wire.receive(deadline)) is not None:
            arrived = [p.message for p in decode(packet, MAX_FRAME)]
            for index, message in enumerate(arrived):
                if wanted(message):
                    self._pending.extend(arrived[:index] + arrived[index + 1 :])
                    return message
            self._pending.extend(arrived)
        return None

    def _forget_errors_about(self, address: str) -> None:
        """An old complaint must not be taken for the answer to a new question."""
        for message in [m for m in self._pending if _is_error_about(m, address)]:
            self._pending.remove(message)

    def _silence(self, what: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"{what}: nobody answers at {self._where}; start audioldm-daw, or name its port"
        )


_JOB_REPLIES: Final = frozenset(
    cls.address for cls in (JobReceived, JobAccepted, JobProgress, TakeReply, JobDone, JobFail)
)


def _is_about(message: OscMessage, request_id: Argument) -> bool:
    return message.address in _JOB_REPLIES and message.arguments[0] == request_id


def _is_error_about(message: OscMessage, address: str) -> bool:
    return message.address == ErrorReply.address and message.arguments[2] == address


def _raised(message: OscMessage) -> AudioLDMError:
    """The error that the server tells of, as it was raised there."""
    if message.address == JobFail.address:
        code, sentence = message.arguments[2:4]
    else:
        code, sentence = message.arguments[:2]
    return error_for(code, sentence)


def _finished(take: TakeReply) -> FinishedTake:
    return FinishedTake(
        Path(take.path),
        take.seconds,
        take.sample_rate,
        take.channels,
        take.seed,
        take.score if take.score >= -1 else None,
        take.silent,
    )


assert CHUNK_BYTES < MAX_DATAGRAM
