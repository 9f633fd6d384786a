"""A client in Python: send, query, render, and move sound files.

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from osc_bridge.client.connection import DEFAULT_PORT, RESEND_S, Connection, error_in
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
from osc_bridge.wire.codec import MAX_DATAGRAM, Argument, OscMessage
from server.errors import EngineUnavailable, UnreadableAudio

__all__ = ["DEFAULT_PORT", "Client", "FinishedTake"]

_REPEAT_S: Final = 2.0
"""A message whose job has been received is sent again after this time without an answer."""


class FinishedTake(msgspec.Struct, frozen=True, kw_only=True):
    """A finished take, as a client sees it."""

    path: Path
    seconds: float
    sample_rate: int
    channels: int
    seed: int
    score: float | None
    silent: bool
    frames: int
    warnings: str
    """What is wrong with it; empty where nothing is."""


class Client(Connection):
    """A connection with the calls that take several messages: jobs and files."""

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
        """Submit a request and wait for its takes.

        Args:
            prompt: what it should sound like.
            kind: the kind of request: text, transfer, ...
            request_id: makes repeats of the request harmless; a random one where empty.
            timeout_s: longest time without progress.
            on_progress: called with the step and the number of steps.
            fields: the fields of the request, by name.

        Raises:
            AudioLDMError: why the job failed.
            EngineUnavailable: no answer, or no progress in time.
        """
        request_id = request_id or secrets.token_hex(8)
        pairs = [part for name, value in fields.items() for part in (name, value)]
        message = OscMessage(f"/ldm/{kind}", (request_id, prompt, *pairs))
        takes: list[FinishedTake] = []
        for answer in self.follow(message, timeout_s=timeout_s):
            if answer.address == JobProgress.address and on_progress is not None:
                on_progress(answer.arguments[2], answer.arguments[3])
            elif answer.address == TakeReply.address:
                takes.append(_finished(TakeReply.from_osc(answer.arguments)))
            elif answer.address == JobFail.address:
                raise error_in(answer)
        return takes

    def follow(self, message: OscMessage, *, timeout_s: float = 600.0) -> Iterator[OscMessage]:
        """Send a message that starts a job; yields its answers, each once, to done or fail.

        While no answer comes the message is sent again: datagrams may be lost, a server may be
        restarted. The request id (the first argument) makes repeats harmless.

        Raises:
            EngineUnavailable: no answer, or no progress for ``timeout_s``.
        """
        request_id, seen = message.arguments[0], set()
        answered_s = progressed_s = time.monotonic()
        patience_s = RESEND_S
        self.send(message.address, *message.arguments)
        while True:
            answer = self._next(lambda m: _is_about(m, request_id), time.monotonic() + patience_s)
            now = time.monotonic()
            if answer is None:
                if now - answered_s > self._timeout_s:
                    raise self._unanswered(f"no answer about job {request_id}")
                if now - progressed_s > timeout_s:
                    raise EngineUnavailable(f"job {request_id}: no progress for {timeout_s:g} s")
                self.send(message.address, *message.arguments)
                continue
            answered_s, patience_s = now, _REPEAT_S
            # A repeated message gets all answers again.
            if answer.address != JobReceived.address and _key(answer) not in seen:
                seen.add(_key(answer))
                progressed_s = now
                yield answer
            if answer.address in (JobDone.address, JobFail.address):
                return

    def upload(self, path: Path) -> Path:
        """Send a sound file to the server; returns its path there, for use in requests.

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
        ready = self.exchange(start, UploadReady)
        for index in range(ready.num_chunks):
            piece = data[index * ready.chunk_bytes : (index + 1) * ready.chunk_bytes]
            last = index == ready.num_chunks - 1
            chunk = UploadChunk(upload_id, index, piece)
            answer = self.exchange(chunk, UploadDone if last else UploadGot)
        assert isinstance(answer, UploadDone)
        return Path(answer.path)

    def download(self, path: str | Path) -> bytes:
        """The bytes of a file on the server, such as a take.

        Raises:
            AudioLDMError: what the server answers.
            UnreadableAudio: the checksum is wrong.
        """
        download_id = secrets.token_hex(8)
        ready = self.exchange(DownloadStart(download_id, str(path)), DownloadReady)
        data = b"".join(
            self.exchange(DownloadGet(download_id, index), DownloadChunk).data
            for index in range(ready.num_chunks)
        )
        if hashlib.sha256(data).hexdigest() != ready.sha256:
            raise UnreadableAudio(f"{path} changed while it was fetched; try again")
        return data


_JOB_REPLIES: Final = frozenset(
    cls.address for cls in (JobReceived, JobAccepted, JobProgress, TakeReply, JobDone, JobFail)
)


def _is_about(message: OscMessage, request_id: Argument) -> bool:
    return message.address in _JOB_REPLIES and message.arguments[0] == request_id


def _key(answer: OscMessage) -> tuple[str, Argument]:
    """The identity of an answer about a job: its address, and the step or take."""
    if answer.address == JobAccepted.address or len(answer.arguments) < 3:
        return answer.address, None
    return answer.address, answer.arguments[2]


def _finished(take: TakeReply) -> FinishedTake:
    return FinishedTake(
        path=Path(take.path),
        seconds=take.seconds,
        sample_rate=take.sample_rate,
        channels=take.channels,
        seed=take.seed,
        score=take.score if take.score >= -1 else None,
        silent=take.silent,
        frames=take.frames,
        warnings=take.warnings,
    )


assert CHUNK_BYTES < MAX_DATAGRAM
