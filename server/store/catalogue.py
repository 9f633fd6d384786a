"""The published AudioLDM checkpoints, by the names that ``model add`` takes."""

from __future__ import annotations

from typing import Final

import msgspec

from server.checkpoints.manifest import AUDIOLDM_LICENCE

__all__ = ["CATALOGUE", "ROBERTA", "Published"]

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


CATALOGUE: Final = {
    entry.name: entry
    for entry in (
        Published(
            name="audioldm-s-full",
            about="the first one, 421 million parameters",
            repository="cvssp/audioldm",
            clap=_TINY,
        ),
        Published(
            name="audioldm-s-full-v2",
            about="the same, trained longer",
            repository="cvssp/audioldm-s-full-v2",
            clap=_TINY,
        ),
        Published(
            name="audioldm-m-full",
            about="652 million parameters, rated best by its authors",
            repository="cvssp/audioldm-m-full",
            clap=_BASE,
        ),
        Published(
            name="audioldm-l-full",
            about="975 million parameters",
            repository="cvssp/audioldm-l-full",
            clap=_TINY,
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
