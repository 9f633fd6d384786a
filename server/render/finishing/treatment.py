"""What makes a new sound ready to use: no rumble, no steps, a tight hit, a level like others'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from server.audio.peaks import CEILING_DBFS
from server.audio.waveform import Waveform
from server.render.finishing.levels import Levelled, at_loudness, matched_level
from server.render.finishing.one_shot import declicked, tightened, trimmed_tail
from server.render.finishing.rumble import without_rumble
from server.render.plan import Treatment
from server.requests.request import Delivery

__all__ = ["levelled", "shaped"]

_NOTHING: Final = Treatment()


@dataclass(frozen=True)
class _Shaped:
    sound: Waveform
    cut: int
    """Frames that were cut off the beginning."""


def shaped(sound: Waveform, treatment: Treatment | None, *, circular: bool) -> _Shaped:
    """``sound`` without rumble and without steps; a hit begins at its onset."""
    if treatment is None or not sound.peak:
        return _Shaped(sound, 0)
    sound, cut = without_rumble(sound, circular=circular), 0
    if circular:
        return _Shaped(sound, cut)
    if treatment.one_shot != "off":
        sound, cut = tightened(sound, keep_length=treatment.one_shot == "tight")
    if treatment.one_shot == "trim":
        sound = trimmed_tail(sound)
    return _Shaped(declicked(sound), cut)


def levelled(
    sound: Waveform, treatment: Treatment | None, delivery: Delivery, *, circular: bool
) -> Levelled | None:
    """``sound`` at the level that is asked for or usual; None where neither is."""
    ceiling = CEILING_DBFS if delivery.ceiling_dbfs is None else delivery.ceiling_dbfs
    if delivery.loudness_lufs is not None:
        return at_loudness(sound, delivery.loudness_lufs, ceiling, circular=circular)
    treatment = treatment or _NOTHING
    if not treatment.matched_level or delivery.level == "model":
        return None
    hit = treatment.one_shot != "off"
    return matched_level(sound, hit=hit, ceiling_dbfs=ceiling, circular=circular)
