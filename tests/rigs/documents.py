"""The documents that people read, taken apart: prose, code blocks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DOCUMENTS", "ROOT", "anchors", "code_lines", "links", "sentences"]

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "clients/**/*.md", "deploy/**/*.md", "models/*/*CARD.md")
    for path in ROOT.glob(pattern)
)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]+`")
_ITEM = re.compile(r"^\s*([-*]|\d+\.)\s+")
_SENTENCE_END = re.compile(r"[.!?][\"')*]*(?:\s+|$)")


def code_lines(text: str) -> Iterator[str]:
    """Lines of fenced and of indented code blocks."""
    yield from (line.strip() for line, is_code in _lines(text) if is_code)


def sentences(text: str) -> Iterator[str]:
    """Sentences of the prose: no code, no tables, no headings; a link counts as its words."""
    for paragraph in _paragraphs(text):
        plain = _LINK.sub(r"\1", _CODE.sub("code", paragraph))
        yield from (part.strip() for part in _SENTENCE_END.split(plain) if part.strip())


def links(text: str) -> Iterator[str]:
    """Where the links and the pictures of ``text`` lead to."""
    prose = "\n".join(line for line, is_code in _lines(text) if not is_code)
    yield from (target for _, target in _LINK.findall(prose))


def anchors(text: str) -> set[str]:
    """Names of the headings, as GitHub makes them."""
    headings = [
        line.lstrip("#").strip()
        for line, is_code in _lines(text)
        if line[:1] == "#" and not is_code
    ]
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs and list items, each on one line."""
    lines = list[str]()
    for line, is_code in [*_lines(text), ("", False)]:
        is_prose = not is_code and line.strip() and not line.lstrip().startswith(("|", "#", "<"))
        if lines and (not is_prose or _ITEM.match(line)):
            yield " ".join(lines)
            lines = []
        if is_prose:
            lines.append(_ITEM.sub("", line, count=1).strip())


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a code block; fences are left out."""
    fenced, indented, blank_before = False, False, True
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        blank = not line.strip()
        if not blank:
            indented = line.startswith("    ") and (indented or blank_before)
        yield line, fenced or (indented and not blank)
        blank_before = blank
