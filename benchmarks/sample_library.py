"""The sample library: search among 100,000 sounds, indexing, and what words and sounds find.

    python -m benchmarks.sample_library [--sounds FOLDER] [--manifest FILE] [--json FILE]

Without a folder only the search is measured, among random embeddings. The manifest is JSON lines
with ``file``, ``captions`` and ``group``; it tells what should be found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from benchmarks.machine import describe_machine
from server.config import built_in_model
from server.sample_library.catalogue import Catalogue
from server.sample_library.library import SampleLibrary
from server.sample_library.query import SampleSearch
from server.sample_library.sample import Description, Sample
from server.worker.towers import ClapTowers

__all__ = ["main"]

_SOUNDS: Final = 100_000
_DIM: Final = 512
_SEARCHES: Final = 50
_BATCH: Final = 1000
_QUERIES: Final = 400
_AT: Final = 10


def search_among_many() -> dict[str, float]:
    """Milliseconds of a search, and bytes on disk and in memory, for 100,000 sounds."""
    chance = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder, chance)
        before = psutil.Process().memory_info().rss
        catalogue = Catalogue(folder, "random", _DIM)
        target = chance.standard_normal(_DIM).astype(np.float32)
        times_ms = [
            _timed_ms(catalogue, SampleSearch(limit=50, **conditions), target)
            for _ in range(_SEARCHES)
            for conditions in ({}, {"max_s": 2.0, "note": "A"}, {"diverse": 0.5})
        ]
        started_s = time.process_time()
        catalogue.layout()
        layout_s = time.process_time() - started_s
        resident = psutil.Process().memory_info().rss - before
        disk = sum(path.stat().st_size for path in folder.iterdir())
        catalogue.close()
    passed_ms, processor_ms = zip(*times_ms, strict=True)
    return {
        "search_ms": statistics.median(passed_ms),
        "search_worst_ms": max(passed_ms),
        "search_processor_ms": statistics.median(processor_ms),
        "map_processor_s": layout_s,
        "disk_mb": disk / 1e6,
        "resident_mb": resident / 1e6,
    }


def _fill(folder: Path, chance: np.random.Generator) -> None:
    catalogue = Catalogue(folder, "random", _DIM)
    inside = catalogue.add_folder(folder)
    for first in range(0, _SOUNDS, _BATCH):
        embeddings = chance.standard_normal((_BATCH, _DIM)).astype(np.float32)
        numbers = range(first, first + _BATCH)
        samples = [_random_sample(inside.id, folder, number, chance) for number in numbers]
        catalogue.put(zip(samples, embeddings, strict=True))
    catalogue.close()


def _random_sample(folder: int, inside: Path, number: int, chance: np.random.Generator) -> Sample:
    about = Description(
        digest=chance.bytes(16),
        seconds=float(chance.uniform(0.1, 10.0)),
        sample_rate=48000,
        channels=2,
        bpm=float(chance.uniform(60, 180)),
        note=float(chance.uniform(30, 90)),
        lufs=-20.0,
        peaks=chance.bytes(96),
    )
    path = inside / "Packs" / f"Some pack of sounds {number % 100}" / f"Sound {number:06}.wav"
    return Sample(row=-1, folder=folder, path=path, size=number, mtime_ns=number, about=about)


def _timed_ms(catalogue: Catalogue, search: SampleSearch, target: Any) -> tuple[float, float]:
    """Time that passed, and time of the processor, which other programs do not change."""
    started_s, processor_s = time.perf_counter(), time.process_time()
    catalogue.nearest(search, target)
    passed_s = time.perf_counter() - started_s
    return 1e3 * passed_s, 1e3 * (time.process_time() - processor_s)


async def index(sounds: Path, manifest: Path | None) -> dict[str, float]:
    """Files a second, and how often a caption finds its clip and a clip its group."""
    towers = ClapTowers(built_in_model())
    with tempfile.TemporaryDirectory() as name:
        library = SampleLibrary(Path(name), built_in_model(), towers)
        started_s, processor_s = time.perf_counter(), sum(os.times()[2:4])
        await library.add(sounds)
        while (state := await library.state()).folders[0].state != "indexed":
            await asyncio.sleep(0.2)
        elapsed_s = time.perf_counter() - started_s
        processor_s = sum(os.times()[2:4]) - processor_s
        seconds = [s.about.seconds for s, _ in await library.search(SampleSearch(limit=500))]
        found = {
            "sounds": float(state.sounds),
            "problems": float(state.folders[0].problems),
            "sounds_a_second": state.sounds / elapsed_s,
            "sounds_a_processor_second": state.sounds / processor_s,
            "median_seconds": statistics.median(seconds),
        }
        if manifest is not None:
            found |= await _recall(library, sounds, manifest)
        await library.close()
    towers.close()
    return found


async def _recall(library: SampleLibrary, sounds: Path, manifest: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    of_file = {Path(line["file"]).name: line for line in lines}
    chosen = np.random.default_rng(0).permutation(lines)[:_QUERIES]
    by_caption, by_group = list[float](), list[float]()
    for line in chosen:
        path = next(iter(sounds.rglob(Path(line["file"]).name)))
        first = await library.search(SampleSearch(query=line["captions"][0], limit=_AT))
        said = {caption for s, _ in first for caption in of_file[s.path.name]["captions"]}
        by_caption.append(line["captions"][0] in said)
        near = await library.search(SampleSearch(like=str(path), limit=_AT + 1))
        groups = [of_file[s.path.name]["group"] for s, _ in near if s.path.name != path.name]
        size = sum(other["group"] == line["group"] for other in lines) - 1
        if size:
            by_group.append(groups.count(line["group"]) / min(size, _AT))
    return {
        "caption_in_first_10": float(np.mean(by_caption)),
        "group_in_first_10": float(np.mean(by_group)) if by_group else float("nan"),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sounds", type=Path, help="folder to index")
    parser.add_argument("--manifest", type=Path, help="captions and groups, as JSON lines")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": describe_machine(), **search_among_many()}
    if options.sounds:
        results |= asyncio.run(index(options.sounds, options.manifest))
    for figure, value in results.items():
        print(f"{figure:>26}  {value:.3f}" if isinstance(value, float) else value)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
