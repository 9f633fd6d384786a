"""The bank of known sounds that grounded takes start from (retrieval, as in arXiv:2309.08051).

``grounding.npz`` in a model folder holds VAE latents of training sounds that ask for no credit.
They are credited all the same: each take names its sound, in its recipe.

=========  ====================================================================
array      meaning
=========  ====================================================================
latents    int8 [sum of frames, C, F]: the latents one after the other
scales     float16 [N, C]: what one unit of a channel stands for
frames     int32 [N]: length of each latent
looping    bool [N]: a texture, which is repeated where a take is longer
rows       int32 [N]: its caption's place in ``known_sounds.npz``
credits    text [N]: name, source and author
=========  ====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from server.errors import ModelError
from server.model.manifest import GROUNDING_FILE
from server.model.schedule import Latents

__all__ = ["GroundSound", "GroundingBank", "Rows"]

Rows = npt.NDArray[np.int64]

_ARRAYS = ("latents", "scales", "frames", "looping", "rows", "credits")


@dataclass(frozen=True)
class GroundSound:
    """One sound of the bank."""

    latent: Latents
    """[C, T, F], scaled as the unet takes it."""
    looping: bool
    credit: str


class GroundingBank:
    """The bank of a model folder; its file is read at the first grounded take."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, folder: Path) -> GroundingBank | None:
        """The bank in a model folder; None where it has none."""
        path = folder / GROUNDING_FILE
        return cls(path) if path.is_file() else None

    @property
    def rows(self) -> Rows:
        """Places of its sounds among the known sounds, [N].

        Raises:
            ModelError: the bank cannot be read.
        """
        return self._stored["rows"].astype(np.int64)

    def sound(self, place: int) -> GroundSound:
        """One of its sounds."""
        stored = self._stored
        end = int(stored["frames"][: place + 1].sum())
        codes = stored["latents"][end - int(stored["frames"][place]) : end]
        scales = stored["scales"][place].astype(np.float32)[:, None, None]
        return GroundSound(
            codes.transpose(1, 0, 2).astype(np.float32) * scales,
            bool(stored["looping"][place]),
            str(stored["credits"][place]),
        )

    @cached_property
    def _stored(self) -> Mapping[str, npt.NDArray[Any]]:
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                return {name: stored[name] for name in _ARRAYS}
        except (OSError, KeyError, ValueError) as error:
            raise ModelError(f"{self._path} cannot be read: {error}") from error
