"""Which of several renders become takes, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.plan import Plan
from server.playing import faults
from server.schedule import Latents
from server.take import Take

__all__ = ["Render", "ranked", "worth_finishing"]


@dataclass(frozen=True)
class Render:
    """A denoised latent [lanes, C, T, F], not yet a take."""

    seed: int
    latent: Latents
    fit: float | None
    """None where only the finished sound will tell."""


def worth_finishing(renders: list[Render], planned: Plan, wanted: int) -> list[Render]:
    """The ``wanted`` best of them; all where a note or tempo is still to be measured in takes."""
    fits = [render.fit for render in renders if render.fit is not None]
    if planned.notation or len(fits) < len(renders):
        return renders
    best = sorted(range(len(renders)), key=lambda k: -fits[k])[:wanted]
    return [renders[k] for k in sorted(best)]


def ranked(takes: list[Take], planned: Plan) -> list[Take]:
    """Those first that play the note and tempo that were named; then those nearest to the words."""
    wrong = [faults(take.measures, planned.notation) for take in takes]
    order = sorted(range(len(takes)), key=lambda k: (wrong[k], -takes[k].fit))
    return [
        replace(takes[k], measures={**takes[k].measures, "score": takes[k].fit, "rank": rank})
        for rank, k in enumerate(order, 1)
    ]
