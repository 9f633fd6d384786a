"""The prompt of a stream over time: one prompt, a morph between two, or a mix of up to four.

>>> path = PromptPath("rain")
>>> path.go("wind", now_s=10.0, over_s=4.0)
>>> path.at(11.0), path.at(14.0)
('rain:0.75 + wind:0.25', 'wind')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from server.errors import InvalidRequest
from server.requests.prompt import Part, parse_blend

__all__ = ["PromptPath", "corner_weights", "distance"]

_FAINT: Final = 0.03
"""Parts with less weight are left out: they are inaudible but cost a text encoding."""


class PromptPath:
    """Weights of prompts that move linearly from one mixture to another."""

    def __init__(self, prompt: str) -> None:
        self._from = self._to = _weights(prompt)
        self._begun_s = self._over_s = 0.0

    def go(self, prompt: str, now_s: float, over_s: float) -> None:
        """Move to ``prompt`` (words or a blend) over ``over_s``."""
        self.mix(_weights(prompt), now_s, over_s)

    def mix(self, weights: dict[str, float], now_s: float, over_s: float) -> None:
        """Move to a mixture over ``over_s``."""
        self._from, self._to = self.mixture(now_s), weights
        self._begun_s, self._over_s = now_s, over_s

    def at(self, now_s: float) -> str:
        """The prompt at a time: plain words, or a blend."""
        weights = {text: w for text, w in self.mixture(now_s).items() if abs(w) >= _FAINT}
        if len(weights) == 1:
            return next(iter(weights))
        return " + ".join(f"{text}:{weight:.2f}" for text, weight in weights.items())

    def mixture(self, now_s: float) -> dict[str, float]:
        """The weights at a time."""
        share = 1.0
        if self._over_s > 0.0:
            share = min(1.0, max(0.0, (now_s - self._begun_s) / self._over_s))
        texts = dict.fromkeys((*self._from, *self._to))
        return {
            text: (1.0 - share) * self._from.get(text, 0.0) + share * self._to.get(text, 0.0)
            for text in texts
        }


def distance(one: dict[str, float], other: dict[str, float]) -> float:
    """How different two mixtures are, from 0 (the same) to 1 (nothing in common).

    >>> distance({"rain": 1.0}, {"rain": 0.75, "wind": 0.25})
    0.25
    """
    return sum(abs(one.get(t, 0.0) - other.get(t, 0.0)) for t in {*one, *other}) / 2


def corner_weights(corners: Sequence[str], x: float, y: float) -> dict[str, float]:
    """The mixture at (``x``, ``y``) in 0..1: corners are (0,0), (1,0), (0,1), (1,1).

    Two corners are a line along x, three a triangle without the last corner.

    Raises:
        InvalidRequest: there are no corners, or the position is outside.

    >>> corner_weights(["rain", "wind"], 0.25, 0.9)
    {'rain': 0.75, 'wind': 0.25}
    """
    if not 2 <= len(corners) <= 4:
        raise InvalidRequest(f"{len(corners)} corners: an XY pad has 2 to 4 prompts")
    if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
        raise InvalidRequest(f"position ({x:g}, {y:g}): x and y go from 0 to 1")
    if len(corners) == 2:
        y = 0.0
    shares = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y][: len(corners)]
    total = sum(shares) or 1.0
    weights: dict[str, float] = {}
    for text, share in zip(corners, shares, strict=True):
        weights[text] = weights.get(text, 0.0) + share / total
    return weights


def _weights(prompt: str) -> dict[str, float]:
    parts: tuple[Part, ...] = parse_blend(prompt)
    total = sum(abs(part.weight) for part in parts)
    return {part.text.strip(): part.weight / total for part in parts}
