"""Which runtime a model gets, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from server.config import load_config
from server.errors import InvalidRequest
from server.model import session
from server.model.manifest import Manifest
from server.model.memory import GIB
from server.model.runtimes import choice, cpu
from server.model.runtimes.cache import compiled_cache, used_now
from server.model.runtimes.choice import bf16_instructions, runtime_for


@dataclass
class Machine:
    """A machine as the choice sees it."""

    folder: Path
    patch: pytest.MonkeyPatch

    def set(self, flags: str = "", *, installed: bool = True, cuda: bool = False) -> None:
        (self.folder / "cpuinfo").write_text(f"processor: 0\nflags\t\t: fpu {flags} sse\n")
        self.patch.setattr(cpu, "_CPU_INFO", self.folder / "cpuinfo")
        self.patch.setattr(choice, "is_installed", lambda: installed)
        self.patch.setattr(session, "has_cuda_driver", lambda: cuda)
        built = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        self.patch.setattr(session, "available_providers", lambda: built)
        self.patch.setattr(session, "_load_cuda_libraries", lambda: None)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def small(tiny_folder: Path) -> Manifest:
    return Manifest.load(tiny_folder)


@pytest.fixture
def large(small: Manifest) -> Manifest:
    return msgspec.structs.replace(small, weights_bytes={"unet": 700_000_000}, vocoder_cells=0)


@pytest.mark.parametrize(
    ("flags", "settings", "chosen"),
    [
        ("avx512_bf16", {}, "OpenVINO CPU bf16, the CPU has AVX512-BF16"),
        ("amx_bf16 avx512_bf16", {}, "OpenVINO CPU bf16, the CPU has AMX, AVX512-BF16"),
        ("avx2", {}, "ONNX Runtime CPUExecutionProvider, the CPU has neither"),
        ("amx_bf16", {"installed": False}, "pip install -e '.[openvino]'"),
        ("amx_bf16", {"cuda": True}, "CPUExecutionProvider, there is an NVIDIA driver"),
    ],
)
def test_auto(
    machine: Machine, large: Manifest, flags: str, settings: dict[str, bool], chosen: str
) -> None:
    machine.set(flags, **settings)
    runtime = runtime_for("auto", large)
    assert chosen in f"{runtime.name}, {runtime.reason}"


def test_auto_leaves_small_models_and_reduced_weights_where_they_are(
    machine: Machine, small: Manifest, large: Manifest
) -> None:
    machine.set("amx_bf16")
    reduced = msgspec.structs.replace(large, precision="int8-weights")
    for manifest in (small, reduced):
        assert runtime_for("auto", manifest).openvino is None


def test_openvino_by_name(machine: Machine, large: Manifest, tmp_path: Path) -> None:
    machine.set("avx2")
    for device, name in (
        ("openvino", "OpenVINO CPU fp32"),
        ("openvino:gpu", "OpenVINO GPU fp16"),
        ("openvino:npu", "OpenVINO NPU fp16"),
    ):
        runtime = runtime_for(device, large, tmp_path)
        assert runtime.name == name
        assert runtime.on_cpu == (device == "openvino")
        assert runtime.openvino is not None
        assert runtime.openvino.cache == tmp_path / large.digest[:16]
    machine.set(installed=False)
    with pytest.raises(InvalidRequest, match=r"pip install -e '\.\[openvino\]'"):
        runtime_for("openvino", large)


def test_towers_and_vocoders_with_phases_stay_on_onnxruntime(
    machine: Machine, small: Manifest
) -> None:
    machine.set("amx_bf16")
    with_cells = msgspec.structs.replace(small, vocoder_cells=4)
    assert runtime_for("openvino", with_cells).openvino_graphs == ("unet", "vae_decoder")
    assert "text_encoder" not in runtime_for("openvino", small).openvino_graphs


def test_a_machine_that_says_nothing_of_its_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "_CPU_INFO", tmp_path / "none")
    assert bf16_instructions() == ""


@pytest.mark.parametrize("device", ["openvino", "openvino:gpu", "openvino:npu", "cuda:1", "auto"])
def test_devices_of_the_settings(device: str) -> None:
    assert load_config({"device": device}, {}).devices == (device,)
    with pytest.raises(InvalidRequest, match="openvino:npu"):
        load_config({"device": f"{device}:x"}, {})


def test_the_oldest_compiled_models_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.model.runtimes.cache.GIB", GIB / 2**30)
    for age, name in enumerate(("new", "middle", "old")):
        used_now(tmp_path / name)
        (tmp_path / name / "1.blob").write_bytes(b"x" * 10)
        used_s = 1_000_000 - age
        os.utime(tmp_path / name, (used_s, used_s))
    assert compiled_cache(tmp_path, 20) == tmp_path
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["middle", "new"]
    assert compiled_cache(tmp_path, 0) is None
    assert not list(tmp_path.iterdir())
    assert compiled_cache(tmp_path / "none", 8) == tmp_path / "none"
