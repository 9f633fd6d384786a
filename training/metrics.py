"""The measures of the AudioLDM paper, as audioldm_eval 0.0.3 defines them, in numpy.

FD and FAD are the Fréchet distance between Gaussians fitted to embeddings (PANNs Cnn14-16k
for FD, VGGish for FAD); IS and KL read class logits (PANNs' 527 AudioSet classes). The
embeddings come from :mod:`training.evaluation.panns`, :mod:`training.evaluation.vggish` or
:mod:`training.evaluation.judge`; numbers made with different embeddings must not be compared.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.special

from server.errors import InvalidRequest

__all__ = [
    "clap_score",
    "frechet_distance",
    "frechet_distance_of_gaussians",
    "inception_score",
    "kl_sigmoid",
    "kl_softmax",
    "mean_pairwise_distance",
    "nearest_distances",
]

Array = npt.NDArray[np.floating]

KL_EPSILON: Final = 1e-6
SHUFFLE_SEED: Final = 2020


def frechet_distance_of_gaussians(
    mean_a: Array, covariance_a: Array, mean_b: Array, covariance_b: Array
) -> float:
    """``|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`` for means [D], covariances [D, D].

    The trace of the root is taken from the eigenvalues of ``C_a^(1/2) C_b C_a^(1/2)``, which
    are those of ``C_a C_b`` but stay real and positive where a covariance is singular.
    """
    mean_a, mean_b = np.asarray(mean_a, np.float64), np.asarray(mean_b, np.float64)
    root_a = _symmetric_root(np.atleast_2d(np.asarray(covariance_a, np.float64)))
    covariance_b = np.atleast_2d(np.asarray(covariance_b, np.float64))
    product = root_a @ covariance_b @ root_a
    eigenvalues = scipy.linalg.eigvalsh((product + product.T) / 2)
    root_trace = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    spread = np.trace(root_a @ root_a) + np.trace(covariance_b) - 2.0 * root_trace
    return float(np.square(mean_a - mean_b).sum() + spread)


def frechet_distance(embeddings_a: Array, embeddings_b: Array) -> float:
    """Fréchet distance between sets of embeddings [N, D] and [M, D].

    Raises:
        InvalidRequest: fewer than two embeddings, or another width.
    """
    for embeddings in (embeddings_a, embeddings_b):
        if embeddings.ndim != 2 or len(embeddings) < 2:
            raise InvalidRequest(f"embeddings {embeddings.shape}: at least 2 rows are needed")
    if embeddings_a.shape[1] != embeddings_b.shape[1]:
        raise InvalidRequest(
            f"embeddings are {embeddings_a.shape[1]} and {embeddings_b.shape[1]} wide: "
            "take both from one classifier"
        )
    a, b = embeddings_a.astype(np.float64), embeddings_b.astype(np.float64)
    return frechet_distance_of_gaussians(
        a.mean(axis=0), np.cov(a, rowvar=False), b.mean(axis=0), np.cov(b, rowvar=False)
    )


def inception_score(
    logits: Array, *, splits: int = 10, shuffle: bool = True
) -> tuple[float, float]:
    """Mean and standard deviation over ``splits`` of ``exp(E KL(p || E p))``, logits [N, C].

    Raises:
        InvalidRequest: fewer clips than splits.
    """
    if len(logits) < splits:
        raise InvalidRequest(f"{len(logits)} clips cannot be cut into {splits} splits")
    if shuffle:
        # The published definition's own generator: another would give other numbers.
        order = np.random.RandomState(SHUFFLE_SEED).permutation(len(logits))
        logits = logits[order]
    log_p = scipy.special.log_softmax(logits.astype(np.float64), axis=1)
    scores = []
    for index in range(splits):
        part = log_p[index * len(log_p) // splits : (index + 1) * len(log_p) // splits]
        p = np.exp(part)
        divergence = _relative_entropy(p, part, p.mean(axis=0, keepdims=True))
        scores.append(np.exp(divergence.mean()))
    return float(np.mean(scores)), float(np.std(scores))


def kl_softmax(generated_logits: Array, reference_logits: Array) -> float:
    """The paper's KL: mean over pairs of ``sum q (log q - log(p + 1e-6))``.

    ``p`` is the softmax of the generated clip's logits, ``q`` of its reference's; both [N, C],
    row by row the same prompt.

    Raises:
        InvalidRequest: the sets are not paired.
    """
    _check_pairs(generated_logits, reference_logits)
    p = scipy.special.softmax(generated_logits.astype(np.float64), axis=1)
    log_q = scipy.special.log_softmax(reference_logits.astype(np.float64), axis=1)
    return float(_relative_entropy(np.exp(log_q), log_q, p + KL_EPSILON).mean())


def kl_sigmoid(generated_logits: Array, reference_logits: Array) -> float:
    """As :func:`kl_softmax` with the sigmoid of each logit in place of the softmax.

    Raises:
        InvalidRequest: the sets are not paired.
    """
    _check_pairs(generated_logits, reference_logits)
    p = scipy.special.expit(generated_logits.astype(np.float64))
    q = scipy.special.expit(reference_logits.astype(np.float64))
    log_q = scipy.special.log_expit(reference_logits.astype(np.float64))
    return float(_relative_entropy(q, log_q, p + KL_EPSILON).mean())


def clap_score(audio_embeddings: Array, text_embeddings: Array) -> float:
    """Mean cosine between each clip's and its prompt's embedding, both [N, D].

    Raises:
        InvalidRequest: the sets are not paired.
    """
    _check_pairs(audio_embeddings, text_embeddings)
    return float((_unit(audio_embeddings) * _unit(text_embeddings)).sum(axis=1).mean())


def mean_pairwise_distance(embeddings: Array) -> float:
    """Mean cosine distance over all pairs of ``embeddings`` [N, D]; NaN for a single one."""
    if len(embeddings) < 2:
        return float("nan")
    similarities = _unit(embeddings) @ _unit(embeddings).T
    above = np.triu_indices(len(embeddings), k=1)
    return float(1.0 - similarities[above].mean())


def nearest_distances(embeddings: Array, known: Array) -> npt.NDArray[np.float64]:
    """Cosine distance [N] of each of ``embeddings`` [N, D] to the nearest of ``known`` [M, D]."""
    return np.asarray(1.0 - (_unit(embeddings) @ _unit(known).T).max(axis=1), dtype=np.float64)


def _unit(embeddings: Array) -> npt.NDArray[np.float64]:
    rows = embeddings.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12))


def _symmetric_root(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values, vectors = scipy.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _relative_entropy(
    q: npt.NDArray[np.float64], log_q: npt.NDArray[np.float64], p: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """``sum_c q (log q - log p)`` of each row; classes with q = 0 count nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(q > 0, q * (log_q - np.log(p)), 0.0)
    return np.asarray(terms.sum(axis=1))


def _check_pairs(first: Array, second: Array) -> None:
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise InvalidRequest(
            f"{first.shape} and {second.shape} are not paired: one row for the same prompt each"
        )
