"""The parts of a model's evaluation; each takes an `EvaluationSetup` and returns plain numbers.

All recognition is reported beside the same measure on real clips that the judge never learnt
from, because the judge errs too: what counts is the ratio.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.evaluation.judge import Verdict
from training.evaluation.setup import EvaluationSetup, JudgedTake, mean
from training.metrics import (
    clap_score,
    frechet_distance,
    inception_score,
    kl_softmax,
    mean_pairwise_distance,
    nearest_distances,
)

__all__ = [
    "NOISES",
    "few_steps",
    "judge_classes",
    "judge_copies",
    "judge_distributions",
    "judge_noises",
    "judge_pairs",
    "judge_variety",
]

RATES: Final = ("top1", "top3", "real_top1", "real_top3")
NOISES: Final = ("rain", "sea", "wind", "thunder", "fire", "applause")


def judge_classes(setup: EvaluationSetup, takes: Sequence[JudgedTake]) -> dict[str, Any]:
    """Top-1 and top-3 of each class, generated and real, and the ratio of their means."""
    rows: dict[str, dict[str, Any]] = {}
    for label in setup.labels:
        verdicts = [take.verdict for take in takes if take.label == label]
        if not verdicts:
            continue
        real = setup.real.verdicts("held_out", label)
        index = setup.judge.classes.index(label)
        classes = Counter(setup.judge.classes[verdict.top(1)[0]] for verdict in verdicts)
        rows[label] = {
            "takes": len(verdicts),
            "top1": _hits(verdicts, index, 1),
            "top3": _hits(verdicts, index, 3),
            "real_clips": len(real),
            "real_top1": _hits(real, index, 1),
            "real_top3": _hits(real, index, 3),
            "classified_as": dict(classes.most_common(3)),
        }
    means = {key: mean(row[key] for row in rows.values()) for key in RATES}
    relative = {
        "relative_top1": means["top1"] / means["real_top1"],
        "relative_top3": means["top3"] / means["real_top3"],
    }
    return {**means, **relative, "classes": rows}


def judge_noises(
    setup: EvaluationSetup, takes: Sequence[JudgedTake], names: Sequence[str] = NOISES
) -> dict[str, Any]:
    """Accuracy among ``names`` alone, by the probabilities of the judge for these classes."""
    generated = [(take.label, take.verdict) for take in takes if take.label in names]
    real = [(name, v) for name in names for v in setup.real.verdicts("held_out", name)]
    rates = {}
    for key, pairs in (("generated", generated), ("real", real)):
        confusion = _confusion(setup, names, pairs)
        counts = np.maximum(confusion.sum(axis=1), 1)
        rates[key] = {
            "rate": float(np.mean(np.diag(confusion) / counts)),
            "confusion": confusion.tolist(),
        }
    relative = rates["generated"]["rate"] / max(rates["real"]["rate"], 1e-9)
    return {"names": names, "relative": relative, **rates}


def judge_distributions(setup: EvaluationSetup, takes: Sequence[JudgedTake]) -> dict[str, Any]:
    """FD, IS (judge embedding and classes) and the model's own CLAP score.

    ``real_fd`` is the distance of as many real training clips, class by class, from the same
    held-out clips: what a perfect model of these clips would score at this number of takes.
    """
    counts = Counter(take.label for take in takes)
    held_out = [v for name in counts for v in setup.real.verdicts("held_out", name)]
    alike = [v for name, n in counts.items() for v in setup.real.verdicts("train", name, n)]
    generated = [take.verdict for take in takes]
    texts = np.stack([setup.pipeline.text(take.prompt) for take in takes])
    audio = np.stack([setup.clap_embedding(take.samples) for take in takes])
    return {
        "takes": len(takes),
        "real_clips": len(held_out),
        "fd": frechet_distance(_embeddings(generated), _embeddings(held_out)),
        "real_fd": frechet_distance(_embeddings(alike), _embeddings(held_out)),
        "is": inception_score(_logits(generated), splits=_splits(generated))[0],
        "real_is": inception_score(_logits(alike), splits=_splits(alike))[0],
        "own_clap_score": clap_score(audio, texts),
    }


def judge_pairs(setup: EvaluationSetup, clips_per_class: int) -> dict[str, Any]:
    """KL between takes of held-out clips' captions and those clips, by the judge's classes.

    ``real_kl`` puts another held-out clip of the class in the take's place.
    """
    generated, references, others = [], [], []
    for label in setup.labels:
        clips = setup.real.of("held_out", label)
        for number, clip in enumerate(clips[:clips_per_class]):
            generated.append(setup.take(label, clip.caption).verdict)
            references.append(setup.real.verdict(clip))
            others.append(setup.real.verdict(clips[number - 1]))
    reference = _logits(references)
    return {
        "pairs": len(references),
        "kl": kl_softmax(_logits(generated), reference),
        "real_kl": kl_softmax(_logits(others), reference),
    }


def judge_variety(
    setup: EvaluationSetup, prompts: dict[str, str], num_seeds: int = 8
) -> dict[str, Any]:
    """Mean pairwise embedding distance over takes of one prompt, against that of real clips.

    Both of takes whose seed is given, which are what that seed makes, and of takes without, which
    are chosen from several.
    """
    rows = {}
    for label, prompt in prompts.items():
        real = setup.real.verdicts("held_out", label) + setup.real.verdicts("train", label)
        among_real = mean_pairwise_distance(_embeddings(real))
        rows[label] = {"real": among_real}
        for kind, candidates in (("seeds", 1), ("chosen", None)):
            takes = [
                setup.take(label, prompt, seed=1000 + number, candidates=candidates).verdict
                for number in range(num_seeds)
            ]
            rows[label][kind] = mean_pairwise_distance(_embeddings(takes)) / among_real
    means = {kind: mean(row[kind] for row in rows.values()) for kind in ("seeds", "chosen")}
    return {**means, "prompts": rows}


def judge_copies(setup: EvaluationSetup, takes: Sequence[JudgedTake]) -> dict[str, Any]:
    """Distance of each take to the nearest training clip, against that of held-out clips."""
    clips = [clip for clip in setup.real.clips if clip.split == "train"]
    known = _embeddings([setup.real.verdict(clip) for clip in clips])
    distances = nearest_distances(_embeddings([take.verdict for take in takes]), known)
    labels = {take.label for take in takes}
    held_out = [v for label in sorted(labels) for v in setup.real.verdicts("held_out", label)]
    real = nearest_distances(_embeddings(held_out), known)
    return {
        "median": float(np.median(distances)),
        "minimum": float(distances.min()),
        "real_median": float(np.median(real)),
        "real_first_percentile": float(np.quantile(real, 0.01)),
        "nearest": [takes[index].prompt for index in np.argsort(distances)[:5]],
    }


def few_steps(
    setup: EvaluationSetup, prompts: dict[str, str], counts: Sequence[int]
) -> dict[str, Any]:
    """Top-1 of one prompt a class at different numbers of steps, same seeds."""
    rates = {}
    for steps in counts:
        takes = [
            setup.take(label, prompt, seed=1, steps=steps) for label, prompt in prompts.items()
        ]
        hits = [
            _hits([take.verdict], setup.judge.classes.index(take.label), count)
            for count in (1, 3)
            for take in takes
        ]
        rates[str(steps)] = {"top1": mean(hits[: len(takes)]), "top3": mean(hits[len(takes) :])}
    return {"prompts": len(prompts), "steps": rates}


def _confusion(
    setup: EvaluationSetup, names: Sequence[str], pairs: Iterable[tuple[str, Verdict]]
) -> npt.NDArray[np.int64]:
    columns = [setup.judge.classes.index(name) for name in names]
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    for label, verdict in pairs:
        confusion[names.index(label), int(np.argmax(verdict.probabilities[columns]))] += 1
    return confusion


def _splits(verdicts: Sequence[Verdict]) -> int:
    """Ten, as the paper has it, where each split keeps at least ten clips."""
    return 10 if len(verdicts) >= 100 else 1


def _hits(verdicts: Sequence[Verdict], index: int, count: int) -> float:
    return mean(index in verdict.top(count) for verdict in verdicts)


def _embeddings(verdicts: Sequence[Verdict]) -> npt.NDArray[np.float32]:
    return np.stack([verdict.embedding for verdict in verdicts])


def _logits(verdicts: Sequence[Verdict]) -> npt.NDArray[np.float32]:
    """Logs of probabilities are logits: the softmax gives the probabilities back."""
    return np.log(np.stack([verdict.probabilities for verdict in verdicts]) + 1e-12)
