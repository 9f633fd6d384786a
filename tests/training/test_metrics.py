"""The paper's measures against closed forms and hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import InvalidRequest
from training.metrics import (
    clap_score,
    frechet_distance,
    frechet_distance_of_gaussians,
    inception_score,
    kl_sigmoid,
    kl_softmax,
    mean_pairwise_distance,
    nearest_distances,
)

pytestmark = pytest.mark.integration

CERTAIN = 1000.0
"""A logit that leaves the other classes exactly nothing."""


def test_frechet_distance_in_one_dimension() -> None:
    # (m_a - m_b)^2 + (s_a - s_b)^2 with means 1 and 4, deviations 2 and 5
    distance = frechet_distance_of_gaussians(
        np.array([1.0]), np.array([[4.0]]), np.array([4.0]), np.array([[25.0]])
    )
    assert distance == pytest.approx(9.0 + 9.0)


def test_frechet_distance_of_turned_gaussians() -> None:
    # C_a = diag(1, 9) and the same turned by 90 degrees commute: sum (s_i - t_i)^2 = 4 + 4
    zero = np.zeros(2)
    distance = frechet_distance_of_gaussians(zero, np.diag([1.0, 9.0]), zero, np.diag([9.0, 1.0]))
    assert distance == pytest.approx(8.0)


def test_frechet_distance_where_covariances_do_not_commute() -> None:
    # tr sqrt(AB) = sqrt(tr AB + 2 sqrt(det AB)) for 2 x 2
    a, b = np.array([[2.0, 1.0], [1.0, 2.0]]), np.diag([1.0, 4.0])
    root = math.sqrt(np.trace(a @ b) + 2.0 * math.sqrt(np.linalg.det(a @ b)))
    distance = frechet_distance_of_gaussians(np.zeros(2), a, np.zeros(2), b)
    assert distance == pytest.approx(np.trace(a) + np.trace(b) - 2.0 * root)


def test_frechet_distance_of_fewer_clips_than_dimensions_is_finite() -> None:
    embeddings = np.random.default_rng(0).normal(size=(5, 40))
    moved = embeddings + 0.5  # a shift of 0.5 in each of 40 dimensions
    assert frechet_distance(embeddings, moved) == pytest.approx(40 * 0.25, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_frechet_distance_is_symmetric_and_zero_for_the_same_set(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(20, 6)), random.normal(1.0, 2.0, size=(30, 6))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(a, b) > 0


@pytest.mark.parametrize("shape", [(1, 4), (3, 5)])
def test_frechet_distance_refuses_what_it_cannot_compare(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidRequest):
        frechet_distance(np.ones(shape), np.ones((3, 4)))


def test_inception_score_of_clips_all_alike_is_one() -> None:
    logits = np.tile(np.random.default_rng(1).normal(size=7), (50, 1))
    assert inception_score(logits) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))


def test_inception_score_of_certain_and_evenly_spread_classes_is_their_number() -> None:
    logits = np.tile(CERTAIN * np.eye(5), (4, 1))
    assert inception_score(logits, splits=1)[0] == pytest.approx(5.0)


def test_inception_score_shuffles_before_it_splits() -> None:
    # Sorted by class, each of ten splits would hold one class and score 1.
    logits = np.repeat(CERTAIN * np.eye(10), 30, axis=0)
    assert inception_score(logits, shuffle=False)[0] == pytest.approx(1.0)
    assert inception_score(logits)[0] > 7.0


def test_inception_score_wants_a_clip_a_split() -> None:
    with pytest.raises(InvalidRequest, match="4 clips"):
        inception_score(np.zeros((4, 3)), splits=10)


def test_kl_of_known_distributions() -> None:
    q, p = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    expected = 0.5 * math.log(0.5 / 0.250001) + 0.25 * math.log(0.25 / 0.500001)
    expected += 0.25 * math.log(0.25 / 0.250001)
    assert kl_softmax(np.log(p)[None], np.log(q)[None]) == pytest.approx(expected, abs=1e-12)


def test_kl_is_of_the_reference_from_the_generated() -> None:
    certain, unsure = np.array([[CERTAIN, 0.0]]), np.array([[0.0, 0.0]])
    assert kl_softmax(unsure, certain) == pytest.approx(math.log(2.0), abs=1e-5)
    # A class that the reference half expects and the generated one rules out costs log(0.5 / 1e-6).
    assert kl_softmax(certain, unsure) == pytest.approx(
        0.5 * math.log(0.5) + 0.5 * math.log(0.5e6), abs=1e-5
    )


def test_kl_sigmoid_by_hand() -> None:
    # sigmoid(0) = 1/2, sigmoid(log 3) = 3/4; two classes, one pair
    generated, reference = np.array([[0.0, math.log(3.0)]]), np.array([[math.log(3.0), 0.0]])
    expected = 0.75 * math.log(0.75 / 0.500001) + 0.5 * math.log(0.5 / 0.750001)
    assert kl_sigmoid(generated, reference) == pytest.approx(expected, abs=1e-12)


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(InvalidRequest, match="not paired"):
        kl_softmax(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(InvalidRequest, match="not paired"):
        clap_score(np.zeros((0, 3)), np.zeros((0, 3)))


def test_clap_score_is_the_mean_cosine() -> None:
    audio = np.array([[2.0, 0.0], [0.0, 1.0]])
    text = np.array([[5.0, 0.0], [1.0, 1.0]])
    assert clap_score(audio, text) == pytest.approx((1.0 + math.sqrt(0.5)) / 2)


def test_distances_between_embeddings() -> None:
    corners = np.array([[1.0, 0.0], [0.0, 3.0], [-2.0, 0.0]])
    # pairs: orthogonal 1, opposite 2, orthogonal 1
    assert mean_pairwise_distance(corners) == pytest.approx(4.0 / 3.0)
    assert math.isnan(mean_pairwise_distance(corners[:1]))
    nearest = nearest_distances(np.array([[0.0, -1.0], [4.0, 0.0]]), corners)
    assert nearest == pytest.approx([1.0, 0.0])
