"""AudioLDM-S, full size and random weights, from a stand-in of the Hub to a take, without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from against_diffusers import EndToEnd, relative_error
from hub_stand_in import hub_stand_in

from onnx_export.export import export_source
from onnx_export.graphs.files import load_graph
from onnx_export.sources.random_source import (
    RandomSource,
    diffusers_pipeline,
    write_diffusers_folder,
)
from server.checkpoints.architecture import VARIANTS
from server.checkpoints.graph import IDENTITY_KEY
from server.model.manifest import COMPONENTS, Manifest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600)]
SNR_DB = 60.0
WITHOUT_TORCH = (
    "import sys\n"
    "sys.modules.update(dict.fromkeys(('torch', 'onnx', 'transformers', 'diffusers')))\n"
    "from server.cli import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
"""``audioldm-server`` where importing any of them fails."""


@pytest.fixture(scope="module")
def source() -> RandomSource:
    return RandomSource(VARIANTS["s"], "audioldm-s-random")


@pytest.fixture(scope="module")
def added(source: RandomSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder that ``model add`` makes."""
    folder = tmp_path_factory.mktemp("added")
    write_diffusers_folder(source, folder / "hub")
    with hub_stand_in({"somebody/audioldm-s": folder / "hub"}) as hub:
        environment = {
            **os.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "AUDIOLDM_MODELS_FOLDER": str(folder / "models"),
        }
        command = ["model", "add", "somebody/audioldm-s", "--accept-licence"]
        subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *command],
            env=environment,
            check=True,
            timeout=1800,
        )
    return folder / "models" / "audioldm-s"


def test_the_take_is_that_of_the_torch_pipeline(source: RandomSource, added: Path) -> None:
    job = EndToEnd(audio_length_in_s=5.12, num_inference_steps=4)
    theirs = job.theirs(diffusers_pipeline(source), added)
    snr_db = -20 * np.log10(relative_error(job.ours(added), theirs))
    assert snr_db > SNR_DB


def test_little_is_on_the_disk_beside_the_weights(added: Path) -> None:
    graphs = [path for path in added.iterdir() if path.suffix != ".safetensors"]
    assert sum(path.stat().st_size for path in graphs) < 5e6
    manifest = Manifest.load(added)
    assert sum(manifest.weights_bytes.values()) > 1.7e9


def test_it_is_the_fresh_export_bit_for_bit(
    source: RandomSource, added: Path, tmp_path: Path
) -> None:
    export_source(tmp_path / "exported", source)
    for name in COMPONENTS:
        made, exported = (
            load_graph(folder / f"{name}.onnx") for folder in (added, tmp_path / "exported")
        )
        kept = [entry for entry in made.metadata_props if entry.key != IDENTITY_KEY]
        del made.metadata_props[:]
        made.metadata_props.extend(kept)
        assert made == exported, name


def test_loaded_it_takes_little_more_than_its_weights(added: Path) -> None:
    """All graphs in one process, as in a worker."""
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from server.model.manifest import COMPONENTS\n"
        "from server.model.session import Graph, providers_for\n"
        "graphs = [Graph(Path(sys.argv[1]) / f'{name}.onnx', providers_for('cpu'), 1)"
        " for name in COMPONENTS]\n"
        "_ = [graph.load() for graph in graphs]\n"
        "lines = Path('/proc/self/smaps_rollup').read_text().splitlines()\n"
        "print(json.dumps({line.split()[0]: int(line.split()[1]) for line in lines[1:]}))\n"
    )
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("no /proc/self/smaps_rollup: resident memory is not told here")
    out = subprocess.run(
        [sys.executable, "-c", code, str(added)], capture_output=True, check=True, timeout=1800
    )
    resident = json.loads(out.stdout)["Rss:"] * 1024
    assert resident <= 1.3 * sum(Manifest.load(added).weights_bytes.values())
