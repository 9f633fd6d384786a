"""The Hugging Face Hub: what a repository holds, and its files on this disk.

huggingface_hub does the work, with its own settings: ``HF_TOKEN``, ``HF_ENDPOINT`` (a mirror),
``HF_HUB_OFFLINE``, ``HF_HOME`` (the cache, which is read) and the proxy variables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from server.store.hub_errors import explained
from server.store.progress import Count

__all__ = ["HubFile", "Repository", "fetch", "fetched_bytes", "look_up", "matches"]

_HASH_BLOCK: Final = 1 << 22


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a repository."""

    repository: str
    revision: str
    """The commit."""
    name: str
    size: int
    sha256: str = ""
    """Of a large file."""
    git_sha1: str = ""
    """Of a small one, as git counts it."""


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository at one commit."""

    id: str
    revision: str
    licence: str
    files: tuple[HubFile, ...]


def look_up(repository: str, revision: str = "main") -> Repository:
    """What ``repository`` holds.

    Raises:
        NotFound, Forbidden, EngineUnavailable, InvalidRequest: with what to do about it.
    """
    with explained(repository):
        from huggingface_hub import HfApi

        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    commit = str(info.sha or revision)
    return Repository(
        id=repository,
        revision=commit,
        licence=str(getattr(info.card_data, "license", None) or ""),
        files=tuple(_file(repository, commit, entry) for entry in info.siblings or ()),
    )


def fetch(file: HubFile, folder: Path, count: Count) -> Path:
    """``file`` on this disk: out of the Hub's cache, or downloaded into ``folder``.

    A download that was cut off goes on where it ended.

    Args:
        file: which one.
        folder: where downloads go, by their names in the repository.
        count: is called with the number of bytes that have arrived, now or in an earlier try.

    Raises:
        NotFound, Forbidden, EngineUnavailable, StorageFull: with what to do about it.
    """
    with explained(file.repository):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(file.repository, file.name, revision=file.revision)
        if isinstance(cached, str) and Path(cached).stat().st_size == file.size:
            count(file.size, arrived=False)
            return Path(cached)
        path = folder / file.name
        if fetched_bytes(file, folder) < file.size or not path.exists():
            _download(file, path, count)
        else:
            count(file.size, arrived=False)
        return path


def fetched_bytes(file: HubFile, folder: Path) -> int:
    """How much of ``file`` an earlier try has left in ``folder``."""
    path = folder / file.name
    left = path if path.exists() else _part(path)
    size = left.stat().st_size if left.exists() else 0
    return size if size <= file.size else 0


def _download(file: HubFile, path: Path, count: Count) -> None:
    """Bring ``path`` here; the library's own download begins anew after the process has ended."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    have = fetched_bytes(file, path.parents[file.name.count("/")])
    with _part(path).open("ab" if have else "wb") as stream:
        http_get(
            hf_hub_url(file.repository, file.name, revision=file.revision),
            stream,
            resume_size=have,
            headers=build_hf_headers(),
            expected_size=file.size,
            tqdm_class=_bar(count),
        )
    _part(path).replace(path)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def matches(file: HubFile, path: Path, count: Count) -> bool:
    """Whether ``path`` is what the Hub says ``file`` is; ``count`` gets the bytes read."""
    if path.stat().st_size != file.size:
        return False
    digest = hashlib.sha256()
    if not file.sha256:
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
            count(len(block))
    expected = file.sha256 or file.git_sha1
    return not expected or digest.hexdigest() == expected


def _file(repository: str, commit: str, entry: Any) -> HubFile:
    return HubFile(
        repository=repository,
        revision=commit,
        name=entry.rfilename,
        size=entry.size or 0,
        sha256=entry.lfs.sha256 if entry.lfs else "",
        git_sha1="" if entry.lfs else entry.blob_id or "",
    )


def _bar(count: Count) -> type:
    """What huggingface_hub takes for a progress bar: each update is counted."""

    class Bar:
        def __init__(self, *_: Any, initial: int = 0, total: int = 0, **__: Any) -> None:
            self.n, self.total = initial, total
            count(initial, arrived=False)

        def update(self, number: float | None = 1) -> None:
            self.n += int(number or 0)
            count(int(number or 0))

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

        def __getattr__(self, _: str) -> Callable[..., None]:
            return lambda *_, **__: None

    return Bar
