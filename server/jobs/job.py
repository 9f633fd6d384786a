"""A job: one request on its way to takes, as a snapshot."""

from __future__ import annotations

import enum
import re
from pathlib import Path
from typing import Any

import msgspec

from server.requests.resolved import AnyResolved

__all__ = [
    "Job",
    "JobState",
    "Preview",
    "TakeInfo",
    "take_stem",
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


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of one job; every change makes a new one."""

    id: str
    request: AnyResolved
    owner: str = ""
    """Who asked (an OSC client, an HTTP token); request ids are unique within an owner."""
    request_id: str = ""
    folder: Path = Path()
    """Where the takes will appear."""
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


def take_stem(job: Job) -> str:
    """A file name that says what is in it: the prompt, the seed and the job."""
    words = re.sub(r"[^a-z0-9]+", "-", job.request.prompt.lower()).strip("-")[:40].strip("-")
    return f"{words or job.request.__struct_config__.tag}_{job.request.seed}_{job.id}"
