"""What watches process() sees each call that it is to see."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from plugin_build import HOST_SOURCES, OUT, build_rt_check, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="preloads a library")


def test_every_call_that_may_wait_is_seen(plugin: None) -> None:
    source = HOST_SOURCES / "forbidden_calls.c"
    called = set(re.findall(r"WATCHED\(\(?(?:memory = )?(\w+)\(", source.read_text()))
    program = OUT / "forbidden_calls"
    run("gcc", "-O0", "-o", str(program), str(source), "-pthread")
    done = subprocess.run(
        (str(program),), env={**os.environ, "LD_PRELOAD": str(build_rt_check())},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "done\n"
    seen = re.findall(r"^(\w+) in process\(\):", done.stderr, re.MULTILINE)
    assert sorted(seen) == sorted(called)
    assert len(called) == 19
