"""The published AudioLDM checkpoints, by the names that ``model add`` takes."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

import msgspec

from server.checkpoints.manifest import AUDIOLDM_LICENCE
from server.model.memory import memory_in_place

__all__ = ["CATALOGUE", "ROBERTA", "Offer", "Published", "offers"]

ROBERTA: Final = "FacebookAI/roberta-base"
"""The Hub repository whose tokenizer every AudioLDM uses."""
_TINY: Final = "laion/clap-htsat-unfused"
_BASE: Final = "laion/larger_clap_general"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint of AudioLDM's authors."""

    name: str
    about: str
    repository: str = ""
    """On the Hub; empty where it is published as a file only."""
    clap: str = ""
    """Repository of a CLAP with an audio tower of the same size, which the former lacks."""
    page: str = ""
    """Where the file is."""
    licence: str = AUDIOLDM_LICENCE
    weights_mib: int = 0
    """Of the graphs, in fp32."""
    download_mib: int = 0
    """With the CLAP, whose text half is not used; about."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A published checkpoint that is not here, and what it would need."""

    name: str
    about: str
    licence: str
    download_bytes: int
    memory_bytes: int


CATALOGUE: Final = {
    entry.name: entry
    for entry in (
        Published(
            name="audioldm-s-full",
            about="the first one, 421 million parameters",
            repository="cvssp/audioldm",
            clap=_TINY,
            weights_mib=1726,
            download_mib=2192,
        ),
        Published(
            name="audioldm-s-full-v2",
            about="the same, trained longer",
            repository="cvssp/audioldm-s-full-v2",
            clap=_TINY,
            weights_mib=1726,
            download_mib=2192,
        ),
        Published(
            name="audioldm-m-full",
            about="652 million parameters, rated best by its authors",
            repository="cvssp/audioldm-m-full",
            clap=_BASE,
            weights_mib=2763,
            download_mib=3227,
        ),
        Published(
            name="audioldm-l-full",
            about="975 million parameters",
            repository="cvssp/audioldm-l-full",
            clap=_TINY,
            weights_mib=3840,
            download_mib=4306,
        ),
        Published(
            name="audioldm-s-text-ft",
            about="fine-tuned with captions, a file of 421 million parameters",
            page="https://zenodo.org/records/7813012",
        ),
        Published(
            name="audioldm-m-text-ft",
            about="fine-tuned with captions, a file of 652 million parameters",
            page="https://zenodo.org/records/7813012",
        ),
    )
}


def offers(here: Container[str]) -> tuple[Offer, ...]:
    """What can be downloaded and is not among the models ``here``."""
    return tuple(
        Offer(
            name=entry.name,
            about=entry.about,
            licence=entry.licence,
            download_bytes=entry.download_mib * 2**20,
            memory_bytes=memory_in_place(entry.weights_mib * 2**20),
        )
        for entry in CATALOGUE.values()
        if entry.repository and entry.name not in here
    )
