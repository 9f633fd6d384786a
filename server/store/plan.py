"""What adding a model would do, before the first byte: files, size, room, licence."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from server.checkpoints.diffusers_folder import WEIGHT_FILES
from server.checkpoints.manifest import AUDIOLDM_LICENCE
from server.checkpoints.tokenizer import TOKENIZER_FILES
from server.errors import InvalidRequest, NotFound
from server.store.catalogue import CATALOGUE, ROBERTA, Published
from server.store.hub import HubFile, Repository, fetched_bytes, look_up

__all__ = ["DOWNLOADS", "AddRequest", "Plan", "make_plan"]

DOWNLOADS: Final = ".downloads"
"""Folder in the folder of models for what is not complete yet."""
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
_NETWORKS: Final = ("unet", "vae", "vocoder", "text_encoder")
_SPARE_BYTES: Final = 64 * 2**20
"""What must stay free beside the download: graphs, and room for takes."""


class AddRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to add, and the facts that a checkpoint does not contain."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=1000,
            description="published name, id of a repository on the Hub, diffusers folder or .ckpt",
        ),
    ]
    name: Annotated[str, Meta(max_length=100, description="what jobs call it")] = ""
    accept_licence: Annotated[bool, Meta(description="the licence of the weights is accepted")] = (
        False
    )
    precision: Literal["fp32", "fp16", "fp16-weights", "int8-weights"] = "fp32"
    attention_heads: Literal["", "original", "diffusers"] = ""
    clap: Annotated[
        str, Meta(max_length=1000, description="CLAP with the audio tower: a file or a Hub id")
    ] = ""
    tokenizer: Annotated[
        str, Meta(max_length=1000, description="tokenizer for a .ckpt: a file or a folder")
    ] = ""
    revision: Annotated[str, Meta(max_length=200, description="branch or commit on the Hub")] = (
        "main"
    )

    @property
    def published(self) -> Published | None:
        """The entry of the catalogue that is meant."""
        return CATALOGUE.get(self.source)

    @property
    def folder_name(self) -> str:
        """The name of the model and of its folder."""
        plain = Path(self.source).stem if Path(self.source).is_file() else Path(self.source).name
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name or plain).strip("-.")
        if not name:
            raise InvalidRequest(f"{self.source!r} gives no name for a model; add one with --name")
        return name


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be done."""

    request: AddRequest
    name: str
    licence: str
    path: str = ""
    """A local source; empty for a download."""
    files: tuple[HubFile, ...] = ()
    clap: str = ""
    """The local file or the name of the file among ``files`` that has the audio tower."""
    download_bytes: int = 0
    free_bytes: int = 0

    @property
    def fits(self) -> bool:
        """Whether the disk has room."""
        return self.download_bytes + _SPARE_BYTES <= self.free_bytes


def make_plan(request: AddRequest, models_folder: Path) -> Plan:
    """Ask the disk and the Hub what ``request`` needs; nothing is downloaded.

    Raises:
        NotFound, Forbidden, EngineUnavailable, InvalidRequest: it cannot be had, and why.
    """
    published = request.published
    if published is not None and not published.repository:
        raise NotFound(
            f"{published.name} is published as a file only: download it from {published.page}, "
            "then: model add FILE"
        )
    path = Path(request.source).expanduser()
    local = published is None and path.exists()
    if not local and published is None and not _HUB_ID.fullmatch(request.source):
        raise NotFound(
            f"no model {request.source!r}; name one of {', '.join(CATALOGUE)}, a repository of "
            "the Hub (OWNER/NAME), a diffusers folder or a .ckpt"
        )
    plan = _local(request, path) if local else _from_hub(request, published)
    downloads = models_folder / DOWNLOADS / plan.name
    have = sum(fetched_bytes(file, downloads / file.repository) for file in plan.files)
    total = sum(file.size for file in plan.files)
    return msgspec.structs.replace(
        plan, download_bytes=total - have, free_bytes=_free(models_folder)
    )


def _local(request: AddRequest, path: Path) -> Plan:
    files: tuple[HubFile, ...] = ()
    if path.is_file() and not request.tokenizer:
        files = _chosen(look_up(ROBERTA), "", ("tokenizer.json",))
    return Plan(
        request=request,
        name=request.folder_name,
        licence=AUDIOLDM_LICENCE,
        path=str(path.absolute()),
        files=files,
        clap=request.clap,
    )


def _from_hub(request: AddRequest, published: Published | None) -> Plan:
    repository = look_up(published.repository if published else request.source, request.revision)
    files = _pipeline_files(repository)
    clap = request.clap or (published.clap if published else CATALOGUE["audioldm-s-full-v2"].clap)
    if any(file.name.startswith("audio_encoder/") for file in repository.files):
        files += _chosen(repository, "audio_encoder/", WEIGHT_FILES)
        clap = request.clap
    elif not Path(clap).expanduser().exists():
        tower = _chosen(look_up(clap), "", WEIGHT_FILES)
        files += tower
        clap = tower[0].name
    return Plan(
        request=request,
        name=request.folder_name,
        licence=published.licence if published else repository.licence or AUDIOLDM_LICENCE,
        files=files,
        clap=clap,
    )


def _pipeline_files(repository: Repository) -> tuple[HubFile, ...]:
    names = {file.name for file in repository.files}
    if "model_index.json" not in names:
        raise NotFound(f"{repository.id} is no diffusers repository: it has no model_index.json")
    wanted = {"model_index.json", *(f"{network}/config.json" for network in _NETWORKS)}
    wanted |= {f"tokenizer/{name}" for name in TOKENIZER_FILES} & names
    plain = tuple(file for file in repository.files if file.name in wanted)
    weights = [_chosen(repository, f"{network}/", WEIGHT_FILES)[0] for network in _NETWORKS]
    return (*plain, *weights)


def _chosen(repository: Repository, prefix: str, names: tuple[str, ...]) -> tuple[HubFile, ...]:
    """The first of ``names`` that the repository has."""
    files = {file.name: file for file in repository.files}
    for name in names:
        if f"{prefix}{name}" in files:
            return (files[f"{prefix}{name}"],)
    raise NotFound(f"{repository.id} has no {prefix}{' or '.join(names)}")


def _free(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free
