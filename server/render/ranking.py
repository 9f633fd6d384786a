"""Which of several renders become takes, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.model.schedule import Latents
from server.render.note_tempo_check import faults
from server.render.plan import Plan
from server.render.take import Take

__all__ = ["Candidate", "best_first", "enough", "ranked"]


@dataclass(frozen=True)
class Candidate:
    """A denoised latent [lanes, C, T, F], not yet a take."""

    seed: int
    latent: Latents
    fit: float | None
    """None where only the finished sound will tell."""


def best_first(renders: Sequence[Candidate]) -> list[Candidate]:
    """In which order to finish ``renders``: as they come where one of them is yet to be heard."""
    if not _heard(renders):
        return list(renders)
    return sorted(renders, key=lambda render: -(render.fit or 0.0))


def enough(takes: Sequence[Take], renders: Sequence[Candidate], planned: Plan, wanted: int) -> bool:
    """Whether ``takes``, finished best first, have the ``wanted`` first of all ``renders``.

    They have once so many play the note and tempo that were named: what is left fits less.
    """
    played = sum(faults(take.measures, planned.notation) == 0.0 for take in takes)
    return played >= wanted and _heard(renders)


def ranked(takes: Sequence[Take], planned: Plan) -> list[Take]:
    """Those first that play the note and tempo that were named; then those nearest to the words."""
    wrong = [faults(take.measures, planned.notation) for take in takes]
    order = sorted(range(len(takes)), key=lambda k: (wrong[k], -takes[k].fit))
    return [
        replace(takes[k], measures={**takes[k].measures, "score": takes[k].fit, "rank": rank})
        for rank, k in enumerate(order, 1)
    ]


def _heard(renders: Sequence[Candidate]) -> bool:
    return all(render.fit is not None for render in renders)
