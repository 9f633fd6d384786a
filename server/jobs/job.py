"""A job: one request on its way to takes, as a snapshot."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from server.file_names import words_of
from server.messages import decoder
from server.requests.request import Request
from server.requests.resolved import AnyResolved

__all__ = [
    "Effort",
    "Job",
    "JobState",
    "Preview",
    "TakeInfo",
    "Work",
    "decode_job",
    "decode_take",
    "take_name",
    "take_words",
    "tempo_in_name",
]


class JobState(enum.Enum):
    """Where a job stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True where nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class TakeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A finished render on disk."""

    path: Path
    seed: int
    sample_rate: int
    channels: int
    frames: int
    score: float | None = None
    """CLAP cosine similarity of the rendered audio with the prompt, where it was measured."""
    measures: dict[str, Any] = {}
    """What else was measured: peak_dbfs, rms_db, silent, seam_db, ..."""
    warnings: tuple[str, ...] = ()
    """What is wrong with it or was done to it, in sentences."""
    embedding: bytes = b""
    """CLAP embedding as little-endian float16; empty where there is none."""
    audio_tower: str = ""
    """Identity of the tower that made it (:attr:`server.model.manifest.Manifest.audio_tower`)."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


class Preview(msgspec.Struct, frozen=True):
    """What a job sounds like before it is finished; the next one takes its place."""

    step: int
    """Denoising steps that the sound has had."""
    path: Path


class Work(msgspec.Struct, frozen=True):
    """An amount of rendering, as the cost model prices it."""

    steps: int
    renders: int
    seconds: float
    """Sound of one render, over all channels."""


class Effort(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a job takes, as far as that is known when it is accepted.

    Snapshots of a job are compared without it, for a restart estimates anew.
    """

    work: Work | None = None
    usual: Work | None = None
    """One take with the model's default settings, for comparison."""
    read_s: float = 0.0
    """Length of the clips that are read, over all channels."""
    take_bytes: int = 0
    """What its takes need on the disk, at most."""
    price_s: float = 0.0
    """How long it is estimated to render; 0: not known."""
    bulk_because: str = ""
    """Why it does not go before bulk jobs, although it is live by its request."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Effort | UnsetType)

    def __hash__(self) -> int:
        return hash(UNSET)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of one job; every change makes a new one."""

    id: str
    request: AnyResolved
    owner: str = ""
    """Who asked (an OSC client, an HTTP token); request ids are unique within an owner."""
    request_id: str = ""
    folder: Path = Path()
    """Where the takes will appear."""
    temporary: bool = False
    """Who asked for it deletes its files: it is not written down, and has no takes to show."""
    attempts: int = 0
    """How often a worker has started on it."""
    state: JobState = JobState.QUEUED
    position: int = 0
    """Jobs ahead of it in the queue."""
    step: int = 0
    num_steps: int = 0
    preview: Preview | None = None
    """None before the first, and again when the job is final; never written down."""
    takes: tuple[TakeInfo, ...] = ()
    error_code: str = ""
    error: str = ""
    created_s: float = 0.0
    started_s: float = 0.0
    finished_s: float = 0.0
    effort: Effort | UnsetType = UNSET
    """Estimated anew at each start; never written down."""

    @property
    def live(self) -> bool:
        """Whether it goes before bulk jobs."""
        return self.request.live and not self.bulk_because

    @property
    def bulk_because(self) -> str:
        """Why it became a bulk job; empty where it did not."""
        return "" if self.effort is UNSET else self.effort.bulk_because

    @property
    def price_s(self) -> float:
        """How long it was estimated to render when it was accepted; 0: not known."""
        return 0.0 if self.effort is UNSET else self.effort.price_s

    @property
    def work(self) -> Work | None:
        """What is to be rendered; None: not known."""
        return None if self.effort is UNSET else self.effort.work


decode_job: Final = decoder(Job).decode
"""A job out of the journal."""
decode_take: Final = decoder(TakeInfo).decode
"""A take out of the journal."""


def take_words(job: Job) -> str:
    """The beginning of the names of a job's takes: its prompt or kind, and its tempo if asked."""
    words = words_of(job.request.prompt) or str(job.request.__struct_config__.tag)
    return f"{words}{tempo_in_name(job.request)}"


def tempo_in_name(request: Request) -> str:
    """The tempo as the end of a file's name, where the request asks for it and has one."""
    bpm = getattr(request, "bpm", None)
    return f"_{bpm:g}bpm" if request.delivery.bpm_in_name and bpm else ""


def take_name(words: str, seed: int, job_id: str, number: int) -> str:
    """A file name that says what is in it, without its ending.

    Args:
        words: from :func:`take_words`.
        seed: the one that renders this take again.
        job_id: of its job.
        number: of the take in its job, from 1.
    """
    return f"{words}_{seed}_{job_id}-{number}"
