"""Classes of the clips in a captioned folder, and their split into training and held-out sets.

The rules are data (``judge_classes.yaml``); this module applies them to ``manifest.jsonl``
and splits the clips by ``group``, so that two cuts of one recording never stand on both
sides.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from server.errors import InvalidRequest
from training.sounds.folder import held_out, read_manifest

__all__ = ["SPLITS", "LabelledClip", "Rule", "Split", "label_clips", "load_rules"]

Split = Literal["train", "validation", "held_out"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "held_out")
HELD_OUT_SHARE: Final = 0.2
VALIDATION_SHARE: Final = 0.1
MIN_GROUPS: Final = 3
"""Fewer recordings than this cannot fill the three splits."""


@dataclass(frozen=True)
class Rule:
    """A clip fits when its category is listed and its first caption matches."""

    name: str
    categories: frozenset[str]
    pattern: re.Pattern[str]
    excluded: re.Pattern[str] | None

    def fits(self, entry: Mapping[str, Any]) -> bool:
        """Whether one manifest entry is this class."""
        if entry.get("category") not in self.categories or not entry.get("captions"):
            return False
        caption = str(entry["captions"][0])
        if self.excluded is not None and self.excluded.search(caption):
            return False
        return self.pattern.search(caption) is not None


@dataclass(frozen=True)
class LabelledClip:
    """A sound file with its class and its place in the split."""

    path: Path
    label: str
    group: str
    split: Split
    caption: str


def load_rules(path: Path | None = None) -> tuple[Rule, ...]:
    """The rules of ``path``, or the built-in ones.

    Raises:
        InvalidRequest: a rule without ``in`` or ``is``, or with a pattern that does not parse.
    """
    source = path or files("training.evaluation") / "data" / "judge_classes.yaml"
    rules = []
    for name, fields in yaml.safe_load(source.read_text(encoding="utf-8")).items():
        try:
            excluded = re.compile(fields["not"], re.IGNORECASE) if "not" in fields else None
            pattern = re.compile(fields["is"], re.IGNORECASE)
            rules.append(Rule(str(name), frozenset(fields["in"]), pattern, excluded))
        except (KeyError, TypeError, re.error) as error:
            raise InvalidRequest(
                f"{source}: class {name!r} needs `in` and `is`: {error}"
            ) from error
    return tuple(rules)


def label_clips(folder: Path, rules: Iterable[Rule] | None = None) -> list[LabelledClip]:
    """Every clip of ``folder`` that fits exactly one rule and whose class has enough recordings.

    Of the groups of a class one in five is held out and one in ten kept for validation. The
    groups that the generator's training holds out come first, the rest in the order of their
    hash, so that what nobody has learnt from is among what the judge is tried on.
    """
    chosen = tuple(load_rules() if rules is None else rules)
    labels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in read_manifest(folder):
        fitting = [rule.name for rule in chosen if rule.fits(entry)]
        if len(fitting) == 1:
            labels[fitting[0]].append(entry)
    clips = []
    for label, entries in labels.items():
        splits = _split_groups({_group(entry) for entry in entries})
        clips += [_clip(folder, label, entry, splits) for entry in entries if splits]
    return clips


def _group(entry: Mapping[str, Any]) -> str:
    return str(entry.get("group") or entry["file"])


def _split_groups(groups: set[str]) -> dict[str, Split]:
    if len(groups) < MIN_GROUPS:
        return {}
    ordered = sorted(groups, key=_split_order)
    num_held_out = max(1, round(HELD_OUT_SHARE * len(ordered)))
    num_validation = max(1, round(VALIDATION_SHARE * len(ordered)))
    splits: dict[str, Split] = dict.fromkeys(ordered, "train")
    splits |= dict.fromkeys(ordered[:num_held_out], "held_out")
    splits |= dict.fromkeys(ordered[num_held_out : num_held_out + num_validation], "validation")
    return splits


def _split_order(group: str) -> tuple[bool, bytes]:
    return not held_out(group), hashlib.sha256(group.encode()).digest()


def _clip(
    folder: Path, label: str, entry: Mapping[str, Any], splits: Mapping[str, Split]
) -> LabelledClip:
    group = _group(entry)
    caption = str(entry["captions"][0])
    return LabelledClip(folder / entry["file"], label, group, splits[group], caption)
