"""What a user installs: the right packages, the built-in model, and commands that start light."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"models", "onnx_export", "osc_bridge", "presets", "server", "training"}
HEAVY = {"diffusers", "matplotlib", "numpy", "onnx", "onnxruntime", "torch", "transformers"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.mark.integration
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_ships_a_model_and_stays_small(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"models/tiny/manifest.json", "models/tiny/unet.onnx"} <= names
    air = ("manifest.json", "upper_band.onnx", "MODEL_CARD.md", "CREDITS.md", "NOTICES.txt")
    assert {f"models/air/{name}" for name in air} <= names
    assert wheel.stat().st_size <= 60e6


@pytest.mark.parametrize(
    "module", ["osc_bridge.cli", "server.cli", "onnx_export.cli", "training.cli"]
)
def test_help_imports_nothing_heavy(module: str) -> None:
    program = (
        f"import sys, {module} as cli\n"
        "try:\n    cli.main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert done.stdout.rstrip().endswith("HEAVY []")


def test_the_engine_runs_without_torch() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'diffusers', 'transformers', 'onnx'): sys.modules[name] = None\n"
        "import server.worker.main, server.engine.local, server.render.pipeline, osc_bridge.cli"
    )
    subprocess.run((sys.executable, "-c", program), check=True)


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        ("training.cli vae --sounds .", "torch", "train"),
        ("training.cli evaluate tiny", "torch", "train"),
        ("training.cli finetune tiny --sounds . -o x", "torch", "train"),
        ("training.cli export --sounds . -o x", "torch", "train"),
        ("onnx_export.cli x -o y", "torch", "export"),
        ("onnx_export.cli verify x --against y", "torch", "export"),
        ("server.harp.cli", "gradio", "harp"),
        ("server.cli --cluster", "ray", "cluster"),
    ],
)
def test_a_command_without_its_extra_names_it(
    tmp_path: Path, command: str, missing: str, extra: str
) -> None:
    module, *words = command.split()
    program = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = {words!r}\n"
        f"from {module} import main; sys.exit(main())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        (sys.executable, "-c", program),
        check=False, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert f"pip install -e '.[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    if command.startswith("training.cli vae"):
        assert "loading PyTorch" in done.stderr
