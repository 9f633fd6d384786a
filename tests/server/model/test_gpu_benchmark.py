"""The GPU benchmark where there is no GPU: its questions on the CPU, its limits, its summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import command, questions
from benchmarks.gpu.graphs import VARIANTS, relative_error
from benchmarks.gpu.products import empty_run_ms, product_tflops
from benchmarks.gpu.questions import Asked
from benchmarks.gpu.summary import summary


def test_it_says_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "has_cuda_driver", lambda: False)
    assert command.main([]) == 0
    assert capsys.readouterr().out == "no GPU: there is no NVIDIA driver here\n"


def test_a_question_that_breaks_leaves_what_it_knew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def ask(name: str, device: str, most_s: float) -> dict[str, str]:
        asked.append(name)
        assert most_s <= command.MOST_S
        known = json.loads(report.read_text(encoding="utf-8")) if asked[1:] else {}
        assert list(known) == asked[:-1]
        return {"failed": "exit status 1"} if name == "floors" else {"known": name}

    report = tmp_path / "gpu.json"
    monkeypatch.setattr(command, "ask", ask)
    assert command.main(["--device", "cpu", "--json", str(report)]) == 0
    assert asked == list(questions.QUESTIONS)
    assert json.loads(report.read_text(encoding="utf-8"))["floors"] == {"failed": "exit status 1"}


def test_a_process_answers_and_a_limit_ends_it() -> None:
    answers = command.ask("machine", "cpu", 60.0)
    assert answers["machine"]["cores"]
    assert "failed" not in answers
    assert command.ask("machine", "cpu", 0.5) == {"failed": "the time was over before"}


def test_parity_of_the_cpu_with_itself(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(questions, "BUILT_IN", tiny_folder)
    asked = Asked(tmp_path / "answers.json", "cpu")
    questions.parity_of_the_built_in(asked)
    assert asked.answers
    assert all(a == {"relative error": 0.0, "finite": True} for a in asked.answers.values())
    assert json.loads((tmp_path / "answers.json").read_text(encoding="utf-8")) == asked.answers


def test_variants_are_timed_and_failures_told(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(questions, "milliseconds", lambda run, most_s: {"median": len(run())})
    asked = Asked(tmp_path / "answers.json", "cpu", sizes={"small": (2, 8)})
    asked.variants = {kind: VARIANTS[kind] for kind in ("as the product", "copied")}
    questions._variants(asked, tiny_folder)
    assert asked.answers["unet, small, copied, ms"]["median"] == 1
    asked.tried("broken", lambda: 1 / 0)
    assert asked.answers["broken"] == {"failed": "division by zero"}


def test_what_a_device_does_at_most() -> None:
    assert product_tflops("cpu", "float32") > 0
    assert empty_run_ms("cpu")["least"] >= 0
    assert relative_error(np.full(4, 1.1), np.ones(4)) == pytest.approx(0.1)


def test_the_summary() -> None:
    report: dict[str, dict[str, Any]] = {
        "floors": {"product in float16, TFLOP/s": 100.0},
        "variants_in_float16": {
            "GFLOP of a clip of 10.24 s, 20 steps": {
                "unet": 4000,
                "vae_decoder": 50,
                "vocoder": 90,
            },
            "unet, one take, as the product, ms": {"median": 6.0},
            "unet, one take, copied, ms": {"median": 5.0},
            "unet, one take, fused bias, ms": {"failed": "unknown option"},
        },
        "against_diffusers": {"1 takes": {"ratio": {"total": 0.5}}, "16 takes": {"failed": "x"}},
    }
    assert summary(report) == [
        "floor of unet, one take: 2.00 ms",
        "floor of vae_decoder, one take: 0.50 ms",
        "floor of vocoder, one take: 0.90 ms",
        "variants_in_float16, unet, one take: copied, 5.00 ms; as the product 1.20 of that",
        "1 takes: 0.50 of diffusers' time in float16",
    ]
    assert summary({"machine": {"failed": "exit status 1"}}) == []
