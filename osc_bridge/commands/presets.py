"""``audioldm-daw presets``: the presets and the live sets, and how to use one."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from osc_bridge.stage.liveset import list_sets, load_set
from server.config import Config
from server.requests.presets import list_presets

__all__ = ["print_presets"]


def print_presets(config: Config, *, as_json: bool) -> int:
    """Print all presets and live sets by name; returns 0."""
    presets = list_presets(config.state / "presets")
    sets = [(name, load_set(name)) for name in list_sets()]
    if as_json:
        listed = {
            "presets": presets,
            "live_sets": [
                {"name": name, "title": found.name, "description": found.description}
                for name, found in sets
            ],
        }
        print(msgspec.json.encode(listed).decode())
        return 0
    print("Presets, for --preset NAME:")
    _print_rows((p.name, p.kind, p.description) for p in presets)
    print("Live sets, for --live-set NAME:")
    _print_rows((name, found.name, found.description) for name, found in sets)
    return 0


def _print_rows(rows: Iterable[tuple[str, str, str]]) -> None:
    listed = list(rows)
    widths = [max((len(row[k]) for row in listed), default=0) for k in (0, 1)]
    for name, kind, description in listed:
        print(f"  {name:{widths[0]}}  {kind:{widths[1]}}  {description}".rstrip())
