"""Names of devices become ONNX Runtime's providers."""

from __future__ import annotations

import pytest

from server.errors import InvalidRequest
from server.model import session
from server.model.runtimes.provider_options import OPTIONS


def test_a_card_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    built = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(session, "available_providers", lambda: built)
    monkeypatch.setattr(session, "_load_cuda_libraries", lambda: None)
    second = ("CUDAExecutionProvider", {**OPTIONS["cuda"], "device_id": "1"})
    assert session.providers_for("cuda:1") == [second, "CPUExecutionProvider"]
    first = ("CUDAExecutionProvider", dict(OPTIONS["cuda"]))
    assert session.providers_for("cuda") == [first, "CPUExecutionProvider"]
    assert session.providers_for("cpu") == ["CPUExecutionProvider"]
    with pytest.raises(InvalidRequest, match="coreml"):
        session.providers_for("coreml")
    with pytest.raises(InvalidRequest, match="abacus"):
        session.providers_for("abacus")
