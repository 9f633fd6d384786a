"""Takes whose new part is silent are drawn again, with other seeds.

Many sounds begin and end within a second. In the middle of a clip, a model that learned them from
their beginning may render what follows them: silence. So the part is also rendered alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from server.model.noise import other_seeds
from server.render.denoise import Work
from server.render.plan import Finished, Plan
from server.render.take import Take

__all__ = ["MAX_DRAWS", "heard"]

MAX_DRAWS: Final = 3
"""Renders of one take after a silent one, at most."""

Draw = Callable[[Plan, int], Work[tuple[Take, Finished]]]
"""Renders one take of a plan with a seed."""


def heard(take: Take, decoded: Finished, planned: Plan, draw: Draw) -> Work[Take]:
    """Draw a silent ``take`` again until it sounds; it is returned itself if none does.

    Each seed is tried in its surroundings first, then alone. So the recipe of the result, which
    names the seed that made it, renders it again.

    Args:
        take: the silent take.
        decoded: what it was delivered from.
        planned: its plan.
        draw: renders a take.
    """
    seeds = other_seeds(take.seed, MAX_DRAWS)
    seed, draws = take.seed, 0
    while draws < MAX_DRAWS:
        if decoded.alone is not None:
            drawn, decoded = yield from draw(decoded.alone(), seed)
        else:
            seed = seeds.pop(0)
            drawn, decoded = yield from draw(planned, seed)
        draws += 1
        if not drawn.silent:
            return _as_drawn(drawn, take)
    return take


def _as_drawn(drawn: Take, take: Take) -> Take:
    """``drawn`` with the rank of the silent ``take``, and with a word about its seed."""
    measures = {**take.measures, **drawn.measures}
    if "rank" in measures:
        measures["score"] = drawn.score
    said = (f"seed {take.seed} gave silence; this take was drawn with seed {drawn.seed}",)
    warnings = (*drawn.warnings, *(said if drawn.seed != take.seed else ()))
    return replace(drawn, measures=measures, warnings=warnings)
