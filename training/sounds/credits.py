"""Credits of the training sounds, which are distributed with the weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

__all__ = ["credits_text"]

WITHOUT_CONDITIONS = frozenset({"CC0-1.0"})


def credits_text(entries: Sequence[dict[str, Any]]) -> str:
    """A Markdown list of licences, sources and authors of the sounds in ``entries``.

    Sounds under CC0 ask for no credit; they are credited by source, in one line.
    """
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    counts: dict[str, int] = defaultdict(int)
    for entry in entries:
        licence = str(entry.get("licence", "unknown licence"))
        counts[licence] += 1
        author = str(entry.get("attribution", "")).strip()
        found[licence][str(entry.get("source", "unknown source"))].add(author)
    lines = [
        "# Credits",
        "",
        "The weights in this folder were trained on the sounds listed here.",
        "Keep this file with them.",
    ]
    for licence in sorted(found):
        lines += ["", f"## {licence} ({counts[licence]} clips)", ""]
        for source, authors in sorted(found[licence].items()):
            named = sorted(author for author in authors if author)
            if licence in WITHOUT_CONDITIONS:
                named = []
            lines.append(f"- {source}" + (f": {'; '.join(named)}" if named else ""))
    return "\n".join(lines) + "\n"
