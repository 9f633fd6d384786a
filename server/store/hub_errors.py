"""What huggingface_hub raises, as our errors, each with what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from server.errors import (
    AudioLDMError,
    EngineUnavailable,
    Forbidden,
    InvalidRequest,
    ModelError,
    NotFound,
    StorageFull,
)

__all__ = ["FULL", "explained"]

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that has no room; EFBIG: FAT32 holds no file of 4 GiB."""

_NETWORK = {"OfflineModeIsEnabled", "LocalEntryNotFoundError", "TransportError", "ConnectionError"}
_NO_ENTRY = {"RemoteEntryNotFoundError", "RevisionNotFoundError"}


@contextmanager
def explained(repository: str) -> Iterator[None]:
    """Raise what happens with ``repository`` in the block as an error of ours."""
    try:
        yield
    except AudioLDMError:
        raise
    except ModuleNotFoundError as error:
        raise InvalidRequest(
            f"models from the Hub need {error.name}; run: pip install huggingface_hub"
        ) from error
    except Exception as error:
        raise (_of_the_disk(error) or _of_the_hub(repository, error)) from error


def _of_the_disk(error: Exception) -> AudioLDMError | None:
    if isinstance(error, OSError) and error.errno in FULL:
        return StorageFull(
            f"the download could not be written: {os.strerror(error.errno)}. Make room, or name "
            "another --models-folder, and add the model again: it resumes"
        )
    return None


def _of_the_hub(repository: str, error: Exception) -> AudioLDMError:
    # By name, because the classes moved between versions of the library.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if "GatedRepoError" in kinds or status == 403:
        return Forbidden(
            f"{repository} is gated: accept its conditions at https://huggingface.co/{repository}, "
            "make a token at https://huggingface.co/settings/tokens and set HF_TOKEN"
        )
    if status == 401 or "RepositoryNotFoundError" in kinds:
        # The Hub answers alike where a repository is private and where there is none.
        return NotFound(
            f"the Hub has no repository {repository}, or it is private; check the name, or set "
            "HF_TOKEN to a token that may read it"
        )
    if kinds & _NO_ENTRY:
        return NotFound(f"{repository} has no such file or revision: {_first_line(error)}")
    if kinds & _NETWORK or status >= 500:
        return EngineUnavailable(
            f"offline; {repository} cannot be fetched ({_first_line(error)}). Try again, or put "
            "the files of its page into a folder and say: model add FOLDER"
        )
    return ModelError(f"{repository} cannot be fetched: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
