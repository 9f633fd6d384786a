"""What the parity tests share."""

from __future__ import annotations

import diffusers
import pytest
import transformers


@pytest.fixture(scope="session", autouse=True)
def _no_progress_bars() -> None:
    """Their monitor threads would outlive the tests."""
    for logging in (diffusers.logging, transformers.logging):
        logging.disable_progress_bar()
