"""Whether a prompt asks for one hit."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["asks_for_one_hit"]

_HIT: Final = re.compile(
    r"\b(808|bang|bass ?drum|bongo|bump|chime|clack|clang|clap|clave|click|clink|clunk|conga|"
    r"cowbell|crash|cymbal|ding|gong|gunshot|hat|hihat|hit|impact|kick|knock|one ?shot|pluck|pop|"
    r"punch|rim|rimshot|shot|single note|slam|slap|snap|snare|stab|stick|tap|thud|thump|tick|tom|"
    r"woodblock)\b"
)
_MORE: Final = re.compile(
    r"\b(ambience|arpeggio|atmosphere|background|beats?|bed|bpm|break|breakbeat|chords?|"
    r"continuous|crowd|drone|drums|ensemble|fill|groove|loop(s|ed)?|many|melody|music|pad|"
    r"pattern|people|phrase|rhythm|roll|sequence|several|solo|song|street|texture|track|"
    r"(hot|top|straw|cowboy) hat|tap (dance|water))\b"
)


def asks_for_one_hit(prompt: str) -> bool:
    """True for a drum, a stab or a knock; False for loops, beds and everything said in plural.

    >>> asks_for_one_hit("a tight snare drum"), asks_for_one_hit("snare drum loop at 120 bpm")
    (True, False)
    """
    text = prompt.lower().replace("-", " ")
    return bool(_HIT.search(text)) and not _MORE.search(text)
