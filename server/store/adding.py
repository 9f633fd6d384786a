"""A plan carried out: download, compare the checksums, convert; the folder appears at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from server.checkpoints.checkpoint import Checkpoint
from server.checkpoints.diffusers_folder import DiffusersWeights
from server.checkpoints.folder import convert
from server.checkpoints.original import OriginalFile
from server.checkpoints.templates import Templates, built_in_templates
from server.errors import Conflict, Forbidden, ModelError, StorageFull
from server.locks import try_lock
from server.model.folder import remove_staging
from server.model.manifest import StoredFile, describe_file
from server.model.memory import shown
from server.store.hub import HubFile, fetch, matches
from server.store.hub_errors import FULL
from server.store.plan import DOWNLOADS, Plan
from server.store.progress import Meter

__all__ = ["add_model", "check_plan"]


def add_model(
    plan: Plan, models_folder: Path, meter: Meter, templates: Templates | None = None
) -> Path:
    """Add a model; returns its folder.

    Args:
        plan: of :func:`server.store.plan.make_plan`.
        models_folder: where models are.
        meter: is told how far it is.
        templates: graphs for its sizes (default: those that ship with the package).

    Raises:
        Forbidden: the licence was not accepted.
        Conflict: it is there, or another process adds it.
        StorageFull: there is no room for it.
        NotFound, EngineUnavailable, ModelError: it cannot be fetched or converted.
        Cancelled: through the meter.
    """
    check_plan(plan, models_folder)
    downloads = models_folder / DOWNLOADS / plan.name
    with _alone(models_folder, plan.name), _disk_trouble():
        remove_staging(models_folder / plan.name)
        paths = _download(plan, downloads, meter)
        sums = _verify(paths, meter)
        meter.begin("converting", 0)
        convert(
            models_folder / plan.name,
            _checkpoint(plan, paths),
            templates or built_in_templates(),
            precision=plan.request.precision,
            sums=lambda path: sums.get(path) or describe_file(path),
        )
        shutil.rmtree(downloads, ignore_errors=True)
    return models_folder / plan.name


def check_plan(plan: Plan, models_folder: Path) -> None:
    """Refuse what cannot be carried out.

    Raises:
        Forbidden, Conflict, StorageFull: see :func:`add_model`.
    """
    if plan.files and not plan.request.accept_licence:
        raise Forbidden(
            f"the weights of {plan.name} are under {plan.licence}; accept it with --accept-licence "
            "(accept_licence over HTTP and OSC)"
        )
    if (models_folder / plan.name).exists():
        raise Conflict(
            f"there is a model {plan.name} already; take another name with --name, or: "
            f"model remove {plan.name}"
        )
    if not plan.fits:
        raise StorageFull(
            f"{plan.name} takes {shown(plan.download_bytes)} in {models_folder}, and "
            f"{shown(plan.free_bytes)} are free; make room, or name another --models-folder"
        )


def _download(plan: Plan, downloads: Path, meter: Meter) -> dict[HubFile, Path]:
    meter.begin("downloading", sum(file.size for file in plan.files))
    return {file: fetch(file, downloads / file.repository, meter.add) for file in plan.files}


def _verify(paths: Mapping[HubFile, Path], meter: Meter) -> dict[Path, StoredFile]:
    """Compare all files with the Hub's checksums; wrong ones are deleted, to be fetched again."""
    meter.begin("checking", sum(file.size for file in paths))
    wrong = {file: path for file, path in paths.items() if not matches(file, path, meter.add)}
    for path in wrong.values():
        path.unlink()
    if wrong:
        names = ", ".join(f"{file.name} of {file.repository}" for file in wrong)
        raise ModelError(
            f"{names} arrived damaged: the checksum is not the Hub's. Add the model again: what is "
            "damaged is fetched anew"
        )
    return {
        path: StoredFile(bytes=file.size, sha256=file.sha256)
        for file, path in paths.items()
        if file.sha256
    }


def _checkpoint(plan: Plan, paths: Mapping[HubFile, Path]) -> Checkpoint:
    request = plan.request
    heads = request.attention_heads or None
    local = Path(plan.path)
    if plan.path and local.is_file():
        tokenizer = Path(request.tokenizer).expanduser()
        if not request.tokenizer:
            tokenizer = next(iter(paths.values()))
        return OriginalFile(local, tokenizer, plan.licence, plan.name, heads)
    found = [path for file, path in paths.items() if file.name == plan.clap]
    clap = Path(plan.clap).expanduser() if plan.clap else None
    folder = local
    if not plan.path:
        index = next(file for file in paths if file.name == "model_index.json")
        folder = _together(paths, index.repository)
        clap = found[-1] if found else clap
    return DiffusersWeights(folder, clap, plan.name, plan.licence, heads)


def _together(paths: Mapping[HubFile, Path], repository: str) -> Path:
    """The folder of a repository's files, also where some came from the cache and some not."""
    own = {file: path for file, path in paths.items() if file.repository == repository}
    roots = {path.parents[file.name.count("/")] for file, path in own.items()}
    if len(roots) == 1:
        return roots.pop()
    raise ModelError(
        f"{repository} is partly in the Hub's cache; complete it with: hf download {repository}"
    )


@contextlib.contextmanager
def _alone(models_folder: Path, name: str) -> Iterator[None]:
    """No other process adds a model of this name meanwhile; the lock ends with the process.

    Raises:
        Conflict: one does.
    """
    path = models_folder / DOWNLOADS / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        if not try_lock(lock):
            raise Conflict(
                f"{name} is being added by another process; wait for it, or end that one"
            )
        yield


@contextlib.contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        kind = StorageFull if error.errno in FULL else ModelError
        raise kind(
            f"the model could not be written: {os.strerror(error.errno)}; solve that and add it "
            "again: the download resumes"
        ) from error
