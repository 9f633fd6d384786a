"""The quality ladder: fewer denoising steps when rendering does not keep up with playback."""

from __future__ import annotations

from typing import Final

import msgspec

from osc_bridge.stage.renders import Renders

__all__ = ["Rung", "StepLadder", "ladder"]

_BUDGET: Final = 0.9
"""Share of its own playing time that a chunk may take to render."""
_SMOOTHING: Final = 0.3
_MAX_SLOWDOWN: Final = 10.0


class Rung(msgspec.Struct, frozen=True):
    """A rung of the ladder: how the stream is kept going."""

    name: str
    num_inference_steps: int


def ladder(steps: int, fewest: int = 2) -> tuple[Rung, ...]:
    """The rungs from full quality down to replaying earlier chunks.

    >>> [(rung.name, rung.num_inference_steps) for rung in ladder(20)]
    [('full', 20), ('half', 10), ('quarter', 5), ('fewest', 2), ('recombine', 0)]
    """
    names = (("full", 1), ("half", 2), ("quarter", 4))
    rungs = [Rung(name, steps // part) for name, part in names if steps // part > fewest]
    return (*rungs, Rung("fewest", min(steps, fewest)), Rung("recombine", 0))


class StepLadder:
    """Chooses the number of steps of the next chunk from how fast the last ones were rendered.

    Args:
        renders: knows the speed of this machine.
        num_inference_steps: full quality; the model's default where None.
    """

    def __init__(self, renders: Renders, num_inference_steps: int | None) -> None:
        self._renders = renders
        self._full = num_inference_steps
        self._slowdown = 1.0
        """Measured time / expected time: other load on the machine, and time in the queue."""

    def steps(self, chunk_s: float, lasts_s: float) -> int:
        """Steps for a chunk of ``chunk_s`` that plays for ``lasts_s`` before the next one."""
        rungs, speed = self._rungs(), self._renders.speed
        if not speed.measured:
            return rungs[len(rungs) // 2].num_inference_steps
        for rung in rungs:
            steps = rung.num_inference_steps
            if speed.expected_s(steps, 1, chunk_s) * self._slowdown <= _BUDGET * lasts_s:
                return steps
        return rungs[-1].num_inference_steps

    def measure(self, steps: int, chunk_s: float, wall_s: float) -> None:
        """Note that a chunk took ``wall_s`` from request to sound."""
        expected_s = self._renders.speed.expected_s(steps, 1, chunk_s)
        if expected_s > 0.0:
            ratio = min(_MAX_SLOWDOWN, wall_s / expected_s)
            self._slowdown += _SMOOTHING * (ratio - self._slowdown)

    def name(self, steps: int) -> str:
        """The name of the rung for a number of steps."""
        names = [rung.name for rung in self._rungs() if rung.num_inference_steps <= steps]
        return names[0] if names else "fewest"

    def _rungs(self) -> tuple[Rung, ...]:
        """The rungs on which something is rendered."""
        full = self._full or self._renders.engine.manifest.defaults.num_inference_steps
        return ladder(full)[:-1]
