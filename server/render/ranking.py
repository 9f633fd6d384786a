"""Ranking: which candidates become takes, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.model.schedule import Latents
from server.render.finishing.note_tempo_check import mismatch
from server.render.plan import Plan
from server.render.take import Take

__all__ = ["Candidate", "best_first", "enough", "ranked"]


@dataclass(frozen=True)
class Candidate:
    """A denoised latent [channels, C, T, F] that is not decoded yet."""

    seed: int
    latent: Latents
    score: float | None
    """Score by the model's listener; None where only the finished sound can be scored."""


def best_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The order in which to decode candidates: by score, or as they are without scores."""
    if not _all_scored(candidates):
        return list(candidates)
    return sorted(candidates, key=lambda candidate: -(candidate.score or 0.0))


def enough(
    takes: Sequence[Take], candidates: Sequence[Candidate], planned: Plan, wanted: int
) -> bool:
    """Whether decoding can stop: ``wanted`` takes sound, and match the note and tempo named.

    Takes are decoded best first, so that the remaining candidates have lower scores.
    """
    matching = sum(
        not take.silent and mismatch(take.measures, planned.notation) == 0.0 for take in takes
    )
    return matching >= wanted and _all_scored(candidates)


def ranked(takes: Sequence[Take], planned: Plan) -> list[Take]:
    """Takes that sound first, then by the match with the note and tempo named, then by score."""
    deviations = [mismatch(take.measures, planned.notation) for take in takes]
    order = sorted(
        range(len(takes)), key=lambda k: (takes[k].silent, deviations[k], -takes[k].score)
    )
    return [
        replace(takes[k], measures={**takes[k].measures, "score": takes[k].score, "rank": rank})
        for rank, k in enumerate(order, 1)
    ]


def _all_scored(candidates: Sequence[Candidate]) -> bool:
    return all(candidate.score is not None for candidate in candidates)
