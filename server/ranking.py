"""Which of several renders become takes, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from server.plan import Plan
from server.playing import faults
from server.schedule import Latents
from server.take import Take

__all__ = ["Render", "ranked", "worth_finishing"]

SPARE_PLAYERS: Final = 3
"""Renders finished beside the best where only the sound tells which of them play what was named."""


@dataclass(frozen=True)
class Render:
    """A denoised latent [lanes, C, T, F], not yet a take."""

    seed: int
    latent: Latents
    fit: float | None
    """None where only the finished sound will tell."""


def worth_finishing(renders: list[Render], planned: Plan, wanted: int) -> list[Render]:
    """The ``wanted`` best of them; more where a note or tempo is still to be measured in takes."""
    fits = [render.fit for render in renders if render.fit is not None]
    if len(fits) < len(renders):
        return renders
    finished = wanted + SPARE_PLAYERS if planned.notation else wanted
    best = sorted(range(len(renders)), key=lambda k: -fits[k])[:finished]
    return [renders[k] for k in sorted(best)]


def ranked(takes: list[Take], planned: Plan) -> list[Take]:
    """Those first that play the note and tempo that were named; then those nearest to the words."""
    wrong = [faults(take.measures, planned.notation) for take in takes]
    order = sorted(range(len(takes)), key=lambda k: (wrong[k], -takes[k].fit))
    return [
        replace(takes[k], measures={**takes[k].measures, "score": takes[k].fit, "rank": rank})
        for rank, k in enumerate(order, 1)
    ]
