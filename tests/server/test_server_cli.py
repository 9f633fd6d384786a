"""The command audioldm-server: starts light, refuses what is unsafe, stops in good order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.server_process import ServerProcess
from server.cli import main

pytestmark = pytest.mark.integration


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from server.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'onnxruntime', 'starlette', 'uvicorn', 'httpx', 'soundfile'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    assert "--http-port" in out.stdout


def test_tokens_are_given_listed_and_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state-folder", str(tmp_path)]
    assert main([*state, "token", "add", "laptop"]) == 0
    token = capsys.readouterr().out.strip()
    assert len(token) > 40
    assert token not in (tmp_path / "tokens.json").read_text()
    assert main([*state, "token", "add", "laptop"]) == 1
    assert "has a token" in capsys.readouterr().err
    assert main([*state, "token", "add", "../x"]) == 1
    main([*state, "token", "list"])
    assert capsys.readouterr().out.strip() == "laptop"
    assert main([*state, "token", "remove", "laptop"]) == 0
    assert main([*state, "token", "remove", "laptop"]) == 1


def test_the_network_needs_a_token(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--state-folder", str(tmp_path), "--takes-folder", str(tmp_path / "takes")]
    flags = ["--model", str(tiny_folder), "--host", "0.0.0.0", "--http-port", "0"]
    assert main([*folders, *flags]) == 1
    assert "audioldm-server token add" in capsys.readouterr().err


def test_it_starts_logs_json_and_stops(tiny_folder: Path, tmp_path: Path) -> None:
    server = ServerProcess(tiny_folder, tmp_path, "--json-logs")
    server.start()
    request = {"kind": "text", "prompt": "low", "num_inference_steps": 1}
    job = httpx.post(f"{server.url}/v1/jobs", json=request, trust_env=False).json()
    with httpx.stream("GET", f"{server.url}/v1/jobs/{job['id']}/events", trust_env=False) as events:
        events.read()
    second = ServerProcess(tiny_folder, tmp_path)
    second.start(wait=False)
    assert second.wait() == 1
    assert "in use by another audioldm process" in second.log()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    assert [line["job_id"] for line in lines if "job_id" in line][:1] == [job["id"]]
    assert any("stopping" in line["message"] for line in lines)
