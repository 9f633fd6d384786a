"""Fuzzing of decoders, parsers and the HTTP interface with damaged input.

    python -m benchmarks.endurance.fuzz [TARGET ...] [--cases 100000] [--start 0] [--json FILE]

A target is ``api`` (schemathesis against a running server; needs the extra ``dev``) or one of
:mod:`benchmarks.endurance.fuzz_targets`; default: all. Every case must be taken or refused with an
error of :mod:`server.errors`, within 5 s of CPU time and 3 GiB, and touch nothing outside its
folder. A case is made from its number alone, so that ``--start N --cases 1`` shows it again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, MutableSequence
from pathlib import Path
from typing import Any, Final

from server.errors import AudioLDMError

__all__ = ["fuzz", "main"]

_CPU_S: Final = 5
_MEMORY: Final = 3 * 2**30
_MAX_FAULTS: Final = 20
_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_CHANGING: Final = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
_NEVER: Final = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")


def fuzz(name: str, cases: int, start: int = 0) -> dict[str, Any]:
    """Try cases ``start`` to ``start + cases`` of a target, in a process of their own.

    ``faults`` of the report list violations with the number of their case.
    """
    context = multiprocessing.get_context("spawn")
    counts = context.Array("q", [start, 0, 0], lock=False)
    faults: list[str] = []
    started_s, end = time.monotonic(), start + cases
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "faults"
        while counts[0] < end and len(faults) < _MAX_FAULTS:
            process = context.Process(target=_try_all, args=(name, counts, end, folder))
            process.start()
            process.join()
            faults += written.read_text("utf-8").splitlines() if written.exists() else []
            written.unlink(missing_ok=True)
            if process.exitcode:
                # SIGPROF is the limit on CPU time.
                faults.append(f"case {counts[0]}: its process ended with {process.exitcode}")
                counts[0] += 1
    _, taken, refused = counts
    seconds = round(time.monotonic() - started_s, 1)
    return {
        "target": name,
        "cases": taken + refused + len(faults),
        "taken": taken,
        "refused": refused,
        "seconds": seconds,
        "faults": faults,
    }


def _try_all(name: str, counts: MutableSequence[int], end: int, folder: str) -> None:
    """Run in the other process; ``counts`` are the case's number, accepted and refused cases."""
    from benchmarks.endurance.fuzz_targets import TARGETS

    # Decoders print warnings about damaged files.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    target, place = TARGETS[name], Path(folder) / name
    place.mkdir(exist_ok=True)
    corpus = target.corpus(place)
    _limit_memory()
    with (Path(folder) / "faults").open("a", encoding="utf-8") as faults:
        sys.addaudithook(_watch(folder))
        for number in range(counts[0], end):
            counts[0] = number
            _limit_time()
            try:
                taken = _taken(target.attempt, _case(name, number, corpus), place)
            except BaseException:
                print(f"case {number}: {traceback.format_exc()!r}", file=faults, flush=True)
            else:
                counts[1 if taken else 2] += 1
    counts[0] = end


def _taken(attempt: Callable[[bytes, Path], None], data: bytes, place: Path) -> bool:
    """True where the input was accepted; False where it was refused with an error of ours."""
    try:
        attempt(data, place)
    except AudioLDMError as error:
        if not str(error):
            raise RuntimeError("refused without a word") from error
        return False
    return True


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _limit_time() -> None:
    if sys.platform != "win32":
        import signal

        # Unhandled, so that it ends the process even where C code hangs.
        signal.setitimer(signal.ITIMER_PROF, _CPU_S)


def _watch(folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that forbids writes outside ``folder``, processes and connections."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            wrong = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not _inside(path, folder)
        else:
            changes = event in _CHANGING and not _inside(arguments[0], folder)
            wrong = changes or event in _NEVER
        if wrong:
            raise RuntimeError(f"{event} {arguments}")

    return hook


def _inside(path: object, folder: str) -> bool:
    return isinstance(path, int) or os.fsdecode(str(path)).startswith(folder)


def _case(name: str, number: int, corpus: list[bytes]) -> bytes:
    """Case ``number``: one of the good inputs, damaged; the first ones as they are."""
    if number < len(corpus):
        return corpus[number]
    choice = random.Random(f"{name} {number}")
    data = bytearray(choice.choice(corpus))
    for _ in range(choice.choice((1, 1, 2, 4, 8))):
        choice.choice(_DAMAGES)(choice, data, corpus)
    return bytes(data)


def _place(choice: random.Random, data: bytearray) -> int:
    """A random position, more often near the beginning, where headers are."""
    return int(len(data) * choice.random() ** choice.choice((1, 4)))


def _overwrite(choice: random.Random, data: bytearray, _: list[bytes]) -> None:
    at = _place(choice, data)
    data[at : at + 1] = choice.randbytes(1)


def _number(choice: random.Random, data: bytearray, _: list[bytes]) -> None:
    size, order = choice.choice((1, 2, 4)), choice.choice(("little", "big"))
    at, value = _place(choice, data), choice.choice(_NUMBERS) % 256**size
    data[at : at + size] = value.to_bytes(size, "little" if order == "little" else "big")


def _cut(choice: random.Random, data: bytearray, _: list[bytes]) -> None:
    at = _place(choice, data)
    del data[at : at + choice.choice((1, 4, 40, len(data)))]


def _repeat(choice: random.Random, data: bytearray, _: list[bytes]) -> None:
    at = _place(choice, data)
    piece = data[at : at + choice.choice((1, 4, 40))]
    data[at:at] = piece * choice.choice((1, 2, 100))


def _splice(choice: random.Random, data: bytearray, corpus: list[bytes]) -> None:
    other = choice.choice(corpus)
    at, there = _place(choice, data), choice.randrange(len(other) + 1)
    data[at : at + choice.choice((0, 40))] = other[there : there + choice.choice((4, 40, 4000))]


_DAMAGES: Final = (_overwrite, _number, _cut, _repeat, _splice)


def _api(cases: int, start: int) -> dict[str, Any]:
    from benchmarks.endurance.fuzz_api import fuzz_api

    with tempfile.TemporaryDirectory() as folder:
        return {
            "target": "api",
            "faults": [],
            **fuzz_api(Path("models/tiny"), Path(folder), cases, start),
        }


def main() -> int:
    """Entry point; 1 where there were faults."""
    from benchmarks.endurance.fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, "api"], default=[*TARGETS, "api"])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--json", type=Path, help="write the reports here too")
    options = parser.parse_args()
    reports = []
    for name in options.targets:
        run = _api if name == "api" else lambda cases, start, name=name: fuzz(name, cases, start)
        reports.append(run(options.cases, options.start))
        print(json.dumps(reports[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")
    return int(any(report["faults"] for report in reports))


if __name__ == "__main__":
    sys.exit(main())
