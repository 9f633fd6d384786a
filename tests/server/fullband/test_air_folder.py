"""The model folder that ships: small, credited, and what its manifest says."""

from __future__ import annotations

import hashlib
import json

from server.fullband.analysis import NUM_BANDS, NUM_FEATURES
from server.fullband.upper_band import built_in_upper_band


def test_the_folder_is_small_and_complete() -> None:
    folder = built_in_upper_band()
    names = {path.name for path in folder.iterdir()}
    assert {"MODEL_CARD.md", "CREDITS.md", "NOTICES.txt", "manifest.json"} <= names
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6e6
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert "Apache-2.0" in card
    assert "CC-BY" in (folder / "CREDITS.md").read_text("utf-8")


def test_its_checksums_hold() -> None:
    folder = built_in_upper_band()
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["name"], manifest["features"], manifest["bands"]) == (
        "air", NUM_FEATURES, NUM_BANDS,
    )  # fmt: skip
    for name, facts in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (facts["size"], facts["sha256"])
