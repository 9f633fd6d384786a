"""Things that people call by name: presets, live sets, pads.

Case, hyphens and the Unicode form of letters do not matter:

>>> matching("First_Steps", ["first-steps", "weather-station"], "live set")
'first-steps'
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from server.errors import NotFound

__all__ = ["matching"]

_SEPARATORS: Final = re.compile(r"[\s_-]+")
_ENDINGS: Final = (".yaml", ".yml")
_MAX_SHOWN: Final = 100


def matching(name: str, names: Iterable[str], what: str) -> str:
    """The one of ``names`` that ``name`` means.

    Args:
        name: what was asked for.
        names: what there is.
        what: what such a thing is called.

    Raises:
        NotFound: none has that name; the message says which are near, or all.
    """
    known = list(names)
    if name in known:
        return name
    folded = dict[str, str]()
    for each in known:
        folded.setdefault(_folded(each), each)
    if _folded(name) in folded:
        return folded[_folded(name)]
    wanted = _folded(name)
    near = difflib.get_close_matches(wanted, folded, n=3)
    near = near or [each for each in folded if wanted and wanted in each][:3]
    if near:
        hint = f"; did you mean {' or '.join(repr(folded[each]) for each in near)}?"
    else:
        hint = (
            f"; there are {', '.join(map(repr, folded.values()))}" if known else "; there is none"
        )
    raise NotFound(f"no {what} {name[:_MAX_SHOWN]!r}{hint}")


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold().strip()
    for ending in _ENDINGS:
        text = text.removesuffix(ending)
    return _SEPARATORS.sub(" ", text).strip()
