"""The short form of ``python -m benchmarks.endurance.fuzz api``."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.endurance.fuzz_api import fuzz_api

pytestmark = pytest.mark.integration


def test_answers_are_what_the_openapi_document_says(tiny_folder: Path, tmp_path: Path) -> None:
    report = fuzz_api(tiny_folder, tmp_path, 250)
    assert report["cases"] >= 250
    assert report["operations"] >= 20
    assert "GET 200" in report["statuses"]
