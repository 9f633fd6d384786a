"""End to end on a narrow AudioLDM: quick, and every layer of the real one is in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from against_diffusers import EndToEnd, relative_error
from narrow_model import NARROW

from onnx_export.export import export_source
from onnx_export.sources.random_source import RandomSource, diffusers_pipeline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.mark.parametrize("heads", ["original", "diffusers"])
def test_same_latents_give_the_same_sound(heads: str, tmp_path: Path) -> None:
    source = replace(RandomSource(NARROW, "narrow"), heads=heads)  # type: ignore[arg-type]
    export_source(tmp_path / "folder", source)
    job = EndToEnd(negative_prompt="hiss", audio_length_in_s=1.28, num_inference_steps=4)
    theirs = job.theirs(diffusers_pipeline(source), tmp_path / "folder")
    assert relative_error(job.ours(tmp_path / "folder"), theirs) <= 1e-3
