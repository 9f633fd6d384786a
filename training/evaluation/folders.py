"""Comparison of two folders of sound files by the measures of the AudioLDM paper.

Files are taken as audioldm_eval takes them: the first channel, its mean removed, resampled to
16 kHz. FD and FAD compare the sets; KL pairs files of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.audio.waveform import Waveform
from server.errors import InvalidRequest, NotFound
from training.evaluation.judge import Judge
from training.evaluation.panns import SAMPLE_RATE, load_cnn14
from training.evaluation.vggish import load_vggish
from training.metrics import frechet_distance, inception_score, kl_sigmoid, kl_softmax

__all__ = ["compare_folders", "sound_files"]

Samples = npt.NDArray[np.float32]
Classify = Callable[[Samples], tuple[npt.NDArray[Any], npt.NDArray[Any]]]

SUFFIXES: Final = frozenset({".wav", ".flac", ".ogg", ".mp3"})
PAIRED_SHARE: Final = 0.99


def compare_folders(
    generated: Path,
    references: Path,
    *,
    cnn14: Path | None = None,
    vggish: Path | None = None,
    judge: Judge | None = None,
) -> dict[str, Any]:
    """FD, IS and KL by Cnn14 and by the judge, FAD by VGGish: whichever are given.

    Raises:
        NotFound: a folder without sound files.
        InvalidRequest: neither cnn14, vggish nor judge is given.
        ModelError: a file does not hold the expected weights.
    """
    if cnn14 is None and vggish is None and judge is None:
        raise InvalidRequest("give --cnn14, --vggish or --judge")
    mine, theirs = sound_files(generated), sound_files(references)
    report: dict[str, Any] = {"generated": len(mine), "references": len(theirs)}
    if cnn14 is not None:
        report["cnn14"] = _classified(load_cnn14(cnn14).classify, mine, theirs)
    if judge is not None:
        report["judge"] = _classified(_classify_with(judge), mine, theirs)
    if vggish is not None:
        model = load_vggish(vggish)
        frames = [
            np.concatenate([model.embed(samples) for samples in _read(files)])
            for files in (mine, theirs)
        ]
        report["vggish"] = {"fad": frechet_distance(*frames)}
    return report


def sound_files(folder: Path) -> list[Path]:
    """Sound files in ``folder``, by name.

    Raises:
        NotFound: none there.
    """
    files = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES]
    if not files:
        raise NotFound(f"{folder} has no sound files ({', '.join(sorted(SUFFIXES))})")
    return files


def _classified(classify: Classify, mine: Sequence[Path], theirs: Sequence[Path]) -> dict[str, Any]:
    results = [[classify(samples) for samples in _read(files)] for files in (mine, theirs)]
    embeddings = [np.stack([embedding for embedding, _ in side]) for side in results]
    logits = [np.stack([logits for _, logits in side]) for side in results]
    splits = min(10, len(mine))
    score, deviation = inception_score(logits[0], splits=splits)
    rows = {path.stem: row for row, path in enumerate(theirs)}
    pairs = [(row, rows[path.stem]) for row, path in enumerate(mine) if path.stem in rows]
    paired = len(pairs) >= PAIRED_SHARE * max(len(mine), len(theirs))
    ours, others = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return {
        "fd": frechet_distance(*embeddings),
        "is": score,
        "is_std": deviation,
        "kl_softmax": kl_softmax(logits[0][ours], logits[1][others]) if paired else None,
        "kl_sigmoid": kl_sigmoid(logits[0][ours], logits[1][others]) if paired else None,
        "pairs": len(pairs),
    }


def _classify_with(judge: Judge) -> Classify:
    def classify(samples: Samples) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        verdict = judge.classify(samples)
        return verdict.embedding, np.log(verdict.probabilities + 1e-12)

    return classify


def _read(files: Iterable[Path]) -> Iterable[Samples]:
    for path in files:
        waveform = Waveform.read(path)
        first = Waveform.mono(waveform.samples[:, 0], waveform.sample_rate)
        samples = first.resample(SAMPLE_RATE).downmix()
        yield (samples - samples.mean()).astype(np.float32)
