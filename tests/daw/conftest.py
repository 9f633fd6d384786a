"""Fixtures of the tests that drive real programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_programs import Instrument, running_instrument


@pytest.fixture(scope="session")
def instrument(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instrument]:
    """``audioldm-daw`` with the tests' own model, for all tests of this folder."""
    with running_instrument(tiny_folder, tmp_path_factory.mktemp("instrument")) as running:
        yield running
