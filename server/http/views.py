"""Jobs, takes and events as HTTP clients see them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from server.engine.engine import Engine, ModelInfo
from server.errors import Forbidden, NotFound
from server.http.access import Caller
from server.http.own_clips import with_checked_recipe
from server.jobs.job import Job, TakeInfo
from server.jobs.library import StoredTake
from server.jobs.uploads import Uploads
from server.requests.fields import file_fields
from server.requests.request import AnyRequest, Vary

__all__ = [
    "ErrorBody",
    "ErrorView",
    "JobEvent",
    "JobSearch",
    "JobView",
    "LibraryTake",
    "ModelEvent",
    "PreviewView",
    "TakeView",
    "Views",
]


class ErrorView(msgspec.Struct, frozen=True):
    """An error: a code for programs, a sentence for people."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer with an error."""

    error: ErrorView


class TakeView(msgspec.Struct, frozen=True, kw_only=True):
    """A finished take; its sound is at ``url``."""

    number: int
    url: str
    seed: int
    sample_rate: int
    channels: int
    frames: int
    seconds: float
    score: float | None = None
    measures: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    """What is wrong with it or was done to it, in sentences."""
    path: str = ""
    """Path of the file on the server's machine; only clients that see everything receive it."""


class PreviewView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest preview of a running job; its sound is at ``url``."""

    step: int
    """Denoising steps done."""
    url: str
    path: str = ""
    """Path of the file on the server's machine; only clients that see everything receive it."""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is now."""

    id: str
    state: str
    """queued, running, done, failed or cancelled."""
    owner: str
    request_id: str
    request: dict[str, Any]
    position: int
    step: int
    num_steps: int
    estimate_s: float | None
    """Seconds until it is done; None where there is no estimate."""
    attempts: int
    live: bool = False
    """It goes before bulk jobs."""
    price_s: float = 0.0
    """Rendering time as estimated when it was accepted; 0: not known."""
    notice: str = ""
    """Why it became a bulk job although its request is live."""
    preview: PreviewView | None = None
    """The newest preview, while a job with previews runs."""
    takes: tuple[TakeView, ...]
    error: ErrorView | None
    created_s: float
    started_s: float
    finished_s: float


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a job. Snapshots are cumulative, so that a client may miss some."""

    event: str
    """queued, running, progress, preview, done, failed or cancelled."""
    job: JobView


class ModelEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a model."""

    model: ModelInfo
    event: str = "model"


class JobSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on jobs; newest first."""

    state: Annotated[
        str, Meta(pattern="^(queued|running|done|failed|cancelled)?$", description="only these")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0


class LibraryTake(msgspec.Struct, frozen=True, kw_only=True):
    """A take in the library."""

    job_id: str
    owner: str
    kind: str
    prompt: str
    created_s: float
    bytes: int
    tags: tuple[str, ...]
    kept: bool
    """A favourite: never deleted to make room."""
    name: str
    """Its own; empty: none."""
    folder: str
    take: TakeView
    similarity: float | None = None
    """CLAP similarity with the words that were searched for, from -1 to 1."""


class Views:
    """Converts jobs and takes to what a client may see, and a client's clip names to files."""

    def __init__(self, engine: Engine, uploads: Uploads) -> None:
        self._engine = engine
        self._uploads = uploads

    def job(self, job: Job, client: Caller) -> JobView:
        """``job`` for ``client``."""
        failed = bool(job.error_code)
        return JobView(
            id=job.id,
            state=job.state.value,
            owner=job.owner,
            request_id=job.request_id,
            request=self._request(job.request),
            position=job.position,
            step=job.step,
            num_steps=job.num_steps,
            estimate_s=self._engine.cost.seconds_until_done(job),
            attempts=job.attempts,
            live=job.live,
            price_s=round(job.price_s, 2),
            notice=job.bulk_because,
            preview=self.preview(job, client),
            takes=tuple(
                self.take(job.id, number, take, client)
                for number, take in enumerate(job.takes if not job.temporary else (), start=1)
            ),
            error=ErrorView(job.error_code, job.error) if failed else None,
            created_s=job.created_s,
            started_s=job.started_s,
            finished_s=job.finished_s,
        )

    def preview(self, job: Job, client: Caller) -> PreviewView | None:
        """The newest preview of a job for ``client``."""
        if job.preview is None:
            return None
        return PreviewView(
            step=job.preview.step,
            url=f"/v1/jobs/{job.id}/preview",
            path=str(job.preview.path) if client.sees_all else "",
        )

    def take(self, job_id: str, number: int, take: TakeInfo, client: Caller) -> TakeView:
        """A take for ``client``."""
        return TakeView(
            number=number,
            url=f"/v1/jobs/{job_id}/takes/{number}",
            seed=take.seed,
            sample_rate=take.sample_rate,
            channels=take.channels,
            frames=take.frames,
            seconds=take.seconds,
            score=take.score,
            measures=take.measures,
            warnings=take.warnings,
            path=str(take.path) if client.sees_all else "",
        )

    def stored(self, stored: StoredTake, client: Caller) -> LibraryTake:
        """A take of the library for ``client``."""
        return LibraryTake(
            job_id=stored.job_id,
            owner=stored.owner,
            kind=stored.kind,
            prompt=stored.prompt,
            created_s=stored.created_s,
            bytes=stored.bytes,
            tags=stored.tags,
            kept=stored.kept,
            name=stored.name,
            folder=stored.folder,
            take=self.take(stored.job_id, stored.number, stored.take, client),
            similarity=stored.similarity,
        )

    def visible(self, job_id: str, client: Caller) -> Job:
        """A job that ``client`` may see.

        Raises:
            NotFound: no such job, or another client's.
        """
        job = self._engine.job(job_id)
        if not client.sees_all and job.owner != client.name:
            raise NotFound(f"no job {job_id!r}")
        return job

    async def with_files(self, request: AnyRequest, client: Caller) -> AnyRequest:
        """The request with ``upload:ID`` and ``take:JOB/NUMBER`` replaced by the files.

        Raises:
            NotFound: no such upload or take.
            Forbidden: any other name; HTTP clients may not name files of this machine.
        """
        request = self._with_paths(request, client)
        if isinstance(request, Vary) and not client.sees_all:
            return await with_checked_recipe(request, client, self._uploads, self._engine)
        return request

    def _with_paths(self, request: AnyRequest, client: Caller) -> AnyRequest:
        files: dict[str, Any] = {}
        for name in file_fields(type(request)):
            if value := getattr(request, name):
                files[name] = str(self._file(value, client))
        return msgspec.structs.replace(request, **files)

    def _file(self, name: str, client: Caller) -> Path:
        scheme, _, rest = name.partition(":")
        if scheme == "upload":
            return self._uploads.path(rest, client.sees_as)
        job_id, _, number = rest.partition("/")
        if scheme != "take" or not number.isascii() or not number.isdigit():
            raise Forbidden(
                f"{name[:100]!r}: name a clip as upload:ID (see /v1/uploads) or take:JOB/NUMBER"
            )
        takes = self.visible(job_id, client).takes
        if not 1 <= int(number) <= len(takes):
            raise NotFound(f"job {job_id} has no take {number}")
        return takes[int(number) - 1].path

    def _request(self, request: AnyRequest) -> dict[str, Any]:
        """The request without paths of this machine."""
        values: dict[str, Any] = msgspec.to_builtins(request)
        for name in file_fields(type(request)):
            if values[name]:
                path = Path(values[name])
                uploaded = path.parent == self._uploads.folder
                values[name] = f"upload:{path.stem}" if uploaded else path.name
        return values
