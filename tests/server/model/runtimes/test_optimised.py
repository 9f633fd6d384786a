"""Optimised graphs on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from product_graph import product_graph

from server.errors import ModelError
from server.model.runtimes import optimised
from server.model.runtimes.openvino import OpenVino, OpenVinoSession
from server.model.session import Graph

X = np.arange(8, dtype=np.float32).reshape(2, 4)


def run(path: Path, cache: Path | None, threads: int = 1) -> Graph:
    graph = Graph(path, ["CPUExecutionProvider"], threads, cache=cache)
    np.testing.assert_array_equal(graph(x=X)[0], X @ np.ones((4, 4), np.float32))
    return graph


def test_a_graph_is_optimised_once(tmp_path: Path) -> None:
    path, cache = product_graph(tmp_path / "p.onnx"), tmp_path / "compiled" / "model"
    run(path, cache)
    (kept,) = cache.iterdir()
    written = kept.stat().st_mtime_ns
    path.write_bytes(b"no graph")  # it is not read again
    run(path, cache)
    assert list(cache.iterdir()) == [kept]
    assert kept.stat().st_mtime_ns == written


def test_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    path, cache = product_graph(tmp_path / "p.onnx"), tmp_path / "model"
    run(path, cache)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    run(path, cache)
    assert kept.read_bytes() == whole


def test_nothing_is_left_of_a_graph_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "p.onnx").write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"p\.onnx cannot be loaded"):
        Graph(tmp_path / "p.onnx", ["CPUExecutionProvider"], 1, cache=tmp_path / "model").load()
    assert not list((tmp_path / "model").iterdir())


@pytest.mark.parametrize("openvino", [None, OpenVino(), OpenVino(precision="bf16")])
def test_a_folder_that_cannot_be_written_costs_time_only(
    tmp_path: Path, openvino: OpenVino | None
) -> None:
    path, cache = product_graph(tmp_path / "unet.onnx"), tmp_path / "file" / "model"
    (tmp_path / "file").write_bytes(b"")
    if openvino is None:
        run(path, cache)
        return
    pytest.importorskip("openvino")
    session = OpenVinoSession(path, replace(openvino, cache=cache), 1)
    assert session.run(None, {"x": X})[0].shape == (2, 4)


def test_another_version_or_cpu_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = product_graph(tmp_path / "p.onnx")
    names = {optimised.kept_graph(path, tmp_path, version) for version in ("1.30", "1.31")}
    monkeypatch.setattr(optimised, "_instructions", lambda: "flags: fpu")
    names.add(optimised.kept_graph(path, tmp_path, "1.31"))
    assert len(names) == 3


def test_large_graphs_and_other_devices_keep_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cache = product_graph(tmp_path / "p.onnx"), tmp_path / "model"
    assert optimised.kept_graph(path, None, "1.31") is None
    monkeypatch.setattr(optimised, "_LARGEST_BYTES", 10)
    run(path, cache)
    assert not cache.exists()
