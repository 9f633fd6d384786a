"""The tree of errors.

    AudioLDMError
     |- InvalidRequest      a value is out of range or contradicts another   400  bad_request
     |- Unauthorized        no token, or one that is not known              401  unauthorized
     |- Forbidden           a path or action outside what was allowed        403  forbidden
     |- NotFound            no such job, preset, model, file                 404  not_found
     |- Conflict            an id was used again for something else          409  conflict
     |- TooLarge            an upload or a job larger than what is accepted  413  too_large
     |- UnreadableAudio     a file is not audio, or broken                   415  unreadable_audio
     |- QueueFull           no room for another job now                      429  queue_full
     |- RateLimited         more requests a minute than a client may send    429  rate_limited
     |- Cancelled           the job was cancelled by its owner               499  cancelled
     |- ModelError          a model folder is missing, damaged or foreign    500  model_error
     |- RenderError         the engine failed while rendering                500  render_error
     |- EngineUnavailable   the engine is down, restarting or unreachable    503  unavailable
     |- DeviceError         the sound card is missing or refused settings  503  device_error
     |- StorageDamaged      the journal is damaged; nothing new is promised  507  storage_damaged
     `- StorageFull         the disk has no room for the result              507  storage_full

Every leaf maps to one HTTP status and one code; OSC fail messages and the HTTP
error body carry the same code and the same sentence.
"""

from __future__ import annotations

from typing import ClassVar, Final

__all__ = [
    "AudioLDMError",
    "Cancelled",
    "Conflict",
    "DeviceError",
    "EngineUnavailable",
    "Forbidden",
    "InvalidRequest",
    "ModelError",
    "NotFound",
    "QueueFull",
    "RateLimited",
    "RenderError",
    "StorageDamaged",
    "StorageFull",
    "TooLarge",
    "Unauthorized",
    "UnreadableAudio",
    "error_for",
]


class AudioLDMError(Exception):
    """Root of all errors raised on purpose; ``str()`` is a sentence for people."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"


class InvalidRequest(AudioLDMError, ValueError):
    """A value is out of range or contradicts another one."""

    status = 400
    code = "bad_request"


class Unauthorized(AudioLDMError):
    """No token was sent, or one that is not known."""

    status = 401
    code = "unauthorized"


class Forbidden(AudioLDMError):
    """A path or an action outside what was allowed."""

    status = 403
    code = "forbidden"


class NotFound(AudioLDMError, LookupError):
    """No such job, preset, model or file."""

    status = 404
    code = "not_found"


class Conflict(AudioLDMError):
    """An id was used again for something else."""

    status = 409
    code = "conflict"


class TooLarge(AudioLDMError):
    """An upload or a job is larger than what is accepted."""

    status = 413
    code = "too_large"


class UnreadableAudio(AudioLDMError):
    """A file is not audio, or it is damaged."""

    status = 415
    code = "unreadable_audio"


class QueueFull(AudioLDMError):
    """No room for another job now; try again later."""

    status = 429
    code = "queue_full"


class RateLimited(AudioLDMError):
    """More requests a minute than a client may send."""

    status = 429
    code = "rate_limited"


class Cancelled(AudioLDMError):
    """The job was cancelled by its owner."""

    status = 499
    code = "cancelled"


class ModelError(AudioLDMError):
    """A model folder is missing, damaged or foreign."""

    status = 500
    code = "model_error"


class RenderError(AudioLDMError):
    """The engine failed while rendering."""

    status = 500
    code = "render_error"


class EngineUnavailable(AudioLDMError):
    """The engine is down, restarting or unreachable."""

    status = 503
    code = "unavailable"


class DeviceError(AudioLDMError):
    """The sound card is missing or refused the settings."""

    status = 503
    code = "device_error"


class StorageDamaged(AudioLDMError):
    """The journal was found damaged."""

    status = 507
    code = "storage_damaged"


class StorageFull(AudioLDMError):
    """The disk has no room for the result."""

    status = 507
    code = "storage_full"


def error_for(code: str, message: str) -> AudioLDMError:
    """The error that another process reported by its code; the root's class for an unknown code.

    >>> error_for("queue_full", "256 jobs are waiting")
    QueueFull('256 jobs are waiting')
    """
    return _BY_CODE.get(code, AudioLDMError)(message)


_BY_CODE: Final = {kind.code: kind for kind in AudioLDMError.__subclasses__()}
