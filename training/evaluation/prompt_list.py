"""The prompts of the evaluation, from ``prompts.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import yaml

from server.errors import InvalidRequest
from server.note_names import nearest_note

__all__ = ["DEVELOPMENT", "HELD_BACK", "LoopPrompt", "NotePrompt", "PromptList"]

DEVELOPMENT: Final = "prompts.yaml"
HELD_BACK: Final = "prompts_held_back.yaml"


@dataclass(frozen=True)
class NotePrompt:
    """A prompt that names a note, and its MIDI number."""

    prompt: str
    midi: int


@dataclass(frozen=True)
class LoopPrompt:
    """A prompt that names a tempo."""

    prompt: str
    bpm: float


@dataclass(frozen=True)
class PromptList:
    """Prompts for each class, prompts with notes, prompts with tempi."""

    classes: dict[str, tuple[str, ...]]
    notes: tuple[NotePrompt, ...]
    loops: tuple[LoopPrompt, ...]

    @classmethod
    def load(cls, path: Path | None = None, name: str = DEVELOPMENT) -> PromptList:
        """Read ``path``, or a list that ships with the package.

        Raises:
            InvalidRequest: the file lacks a part.
        """
        source = path or files("training.evaluation") / "data" / name
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
        try:
            classes = {
                str(label): tuple(map(str, texts)) for label, texts in content["classes"].items()
            }
            return cls(classes, _notes(content["notes"]), _loops(content["loops"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRequest(
                f"{source} needs `classes`, `notes` and `loops`: {error}"
            ) from error


def _notes(content: dict[str, Any]) -> tuple[NotePrompt, ...]:
    pairs = [(name, midi) for name, notes in content["instruments"].items() for midi in notes]
    return tuple(
        NotePrompt(template.format(instrument=name, note=nearest_note(midi)[0]), midi)
        for (name, midi), template in zip(pairs, cycle(content["templates"]), strict=False)
    )


def _loops(content: dict[str, Any]) -> tuple[LoopPrompt, ...]:
    pairs = [(style, bpm) for style, tempi in content["styles"].items() for bpm in tempi]
    return tuple(
        LoopPrompt(template.format(style=style, bpm=bpm), float(bpm))
        for (style, bpm), template in zip(pairs, cycle(content["templates"]), strict=False)
    )
