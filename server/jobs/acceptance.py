"""What a job must be to be accepted: affordable for its owner, with room for its takes.

Its price is its estimated rendering time (:mod:`server.jobs.cost`). A job may cost so much, and an
owner's unfinished jobs together so much. A job that costs more than a live job may is served among
the bulk jobs, and its owner is told.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from server.config import Config
from server.errors import QueueFull, TooLarge
from server.jobs.cost import CostModel
from server.jobs.job import Effort, Job
from server.jobs.storage import PROMISED, check_room

__all__ = ["NO_LIMITS", "Acceptance", "Limits", "Measure", "unknown_effort"]

_USUAL: Final = 1.5
"""A live job may always cost this many takes with the model's default settings."""

Measure = Callable[[Job], Awaitable[Effort]]
"""Finds out what a job takes, without its price."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on the estimated rendering time, in seconds; 0: none."""

    max_job_s: float = 0.0
    """Of one job."""
    max_owner_s: float = 0.0
    """Of all unfinished jobs of one client."""
    max_live_s: float = 0.0
    """Of a live job, or one and a half takes with the model's default settings if that is more."""

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Those in the settings."""
        return cls(**{name: getattr(config, name) for name in cls.__struct_fields__})


NO_LIMITS: Final = Limits()


async def unknown_effort(_: Job) -> Effort:
    """Nothing is known of it."""
    return Effort()


class Acceptance:
    """Prices jobs and keeps account of what owners owe and of the disk's room.

    Args:
        limits: what a job and an owner may cost.
        cost: estimates the rendering time.
        measure: finds out what a job takes.
    """

    def __init__(self, limits: Limits, cost: CostModel, measure: Measure) -> None:
        self.limits = limits
        self._cost = cost
        self._measure = measure
        self._owed: dict[str, dict[str, float]] = {}

    async def accepted(self, job: Job) -> Job:
        """``job`` with its effort; it counts until :meth:`ended`.

        Raises:
            TooLarge: it costs more than one job may.
            QueueFull: its owner's jobs would cost more than they may.
            StorageFull: there is no room for its takes.
        """
        effort = self._priced(job, await self._measure(job))
        # Nothing is waited for between the checks and the entries.
        self._check_price(job, effort.price_s)
        check_room(job.folder, effort.take_bytes)
        return self._entered(job, effort)

    async def taken_up(self, job: Job) -> Job:
        """A job of the last run with its effort, whatever it costs by now."""
        return self._entered(job, self._priced(job, await self._measure(job)))

    def ended(self, job: Job) -> None:
        """The job owes nothing and writes nothing any more."""
        PROMISED.keep(job.id)
        owed = self._owed.get(job.owner, {})
        owed.pop(job.id, None)
        if not owed:
            self._owed.pop(job.owner, None)

    def owed_s(self, owner: str) -> float:
        """The price of an owner's unfinished jobs."""
        return sum(self._owed.get(owner, {}).values())

    def _entered(self, job: Job, effort: Effort) -> Job:
        self._owed.setdefault(job.owner, {})[job.id] = effort.price_s
        if effort.take_bytes:
            PROMISED.make(job.id, job.folder, effort.take_bytes)
        return msgspec.structs.replace(job, effort=effort)

    def _priced(self, job: Job, effort: Effort) -> Effort:
        if effort.work is None:
            return effort
        kind = str(job.request.__struct_config__.tag)
        price_s = self._cost.price_s(effort.work, effort.read_s, kind)
        because = ""
        if job.request.live and price_s > (allowed_s := self._live_s(effort)):
            because = (
                f"rendering is estimated at {_shown(price_s)}, and a live job may take "
                f"{_shown(allowed_s)}: it waits among the bulk jobs"
            )
        return msgspec.structs.replace(effort, price_s=price_s, bulk_because=because)

    def _live_s(self, effort: Effort) -> float:
        if not self.limits.max_live_s:
            return math.inf
        usual_s = self._cost.price_s(effort.usual) if effort.usual else 0.0
        return max(self.limits.max_live_s, _USUAL * usual_s)

    def _check_price(self, job: Job, price_s: float) -> None:
        limits, owed_s = self.limits, self.owed_s(job.owner)
        if limits.max_job_s and price_s > limits.max_job_s:
            raise TooLarge(
                f"rendering is estimated at {_shown(price_s)}, and a job may take "
                f"{_shown(limits.max_job_s)}: ask for fewer steps, fewer takes or less sound, or "
                "allow more with --max-job-s"
            )
        if limits.max_owner_s and owed_s and owed_s + price_s > limits.max_owner_s:
            raise QueueFull(
                f"your unfinished jobs are estimated at {_shown(owed_s)} and this one at "
                f"{_shown(price_s)}, and a client's may take {_shown(limits.max_owner_s)} "
                "together: wait, cancel some, or allow more with --max-owner-s"
            )


def _shown(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
