"""The motion test: which convention of the stored poses explains the motion in the images?

Wrong conventions look plausible in every plot of positions. The matches between frames with motion between them tell
them apart: each convention gets the share of matches that are where its relative pose predicts them (`agreement`).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.dataset_check.agreement import ray_distances, relative_motion
from transposenet_core.dataset_check.matching import Matches, match_neighbours
from transposenet_core.dataset_check.mounting import Mounting, Numbers, closed_form, refined
from transposenet_core.dataset_check.verdict import FEWEST_PAIRS, ConventionVerdict, Outcome, Score
from transposenet_core.formats.declared_convention import AXES, PoseConvention, all_conventions
from transposenet_core.geometry.pose import stack
from transposenet_core.scene import Scene

# Shares of the image's width (1 px and 6 px of 640): labels from depth or a hand-eye calibration are some pixels off.
TOLERANCES = (1.0 / 640, 6.0 / 640)
LEAST_SHARE = 0.4
LEAST_START = 0.1  # of a mounting in closed form: below it there is nothing to refine
LEAST_MOUNTING_MARGIN, LEAST_MOUNTING_DEG = 0.15, 5.0
FEWEST_MOUNTING_PAIRS = 15  # a dozen neighbouring frames let the six unknowns of a mounting fit the labels' noise


def test_conventions(
    scene: Scene, pairs: Matches | None = None, given: PoseConvention | None = None
) -> ConventionVerdict:
    """Which convention explains the images' motion. `given` is the convention that the scene's adapter used.

    `pairs` are the scene's matches where the caller already has them. Nothing is raised: images that cannot be
    matched leave the verdict undecided.
    """
    matches, given = pairs or match_neighbours(scene), given or PoseConvention()
    if len(matches.pairs) < FEWEST_PAIRS or matches.lens is None:
        return ConventionVerdict(
            "too few pairs", given, [], [], None, len(matches.pairs), matches.tried, matches.count, 0.0, "no camera"
        )
    numbers = _numbers(given, matches)
    conventions = all_conventions(given)
    distances = [_distances_px(convention, matches, numbers) for convention in conventions]
    low, high = np.multiply(TOLERANCES, matches.lens.intrinsics.width)
    best = max((_score(given, d, high) for d in distances), key=lambda score: score.share)
    # Nothing is left to explain where half of the matches are within a pixel.
    mounting = _best_mounting(given, matches, numbers, high) if best.median_px > low else None
    best = best if mounting is None or best.share >= mounting.share else mounting
    tolerance = float(np.clip(2 * best.median_px, low, high))
    scores = [_score(convention, d, tolerance) for convention, d in zip(conventions, distances, strict=True)]
    scores.sort(key=lambda score: -score.share)  # stable: the convention as given is first among equals
    contenders = [score for score in scores if score is scores[0] or not scores[0].beats(score)]
    if mounting is not None:
        mounting = _score(mounting.convention, _distances_px(mounting.convention, matches, numbers), tolerance)
    outcome = _outcome(given, scores[0], contenders, mounting)
    return ConventionVerdict(
        outcome, given, scores, contenders, mounting, len(matches.pairs), matches.tried, matches.count, tolerance,
        matches.lens.source,
    )  # fmt: skip


def _outcome(given: PoseConvention, best: Score, contenders: list[Score], mounting: Score | None) -> Outcome:
    better = mounting is not None and mounting.share >= LEAST_SHARE and mounting.beats(best, LEAST_MOUNTING_MARGIN)
    if mounting is not None and better and (best.share < LEAST_SHARE or _apart(mounting, best)):
        return "another body"
    if best.share < LEAST_SHARE:
        return "no convention fits"
    if len(contenders) > 1:
        return "undecided"
    return "as given" if best.convention == given else "another convention"


def _apart(mounted: Score, best: Score) -> bool:
    """Whether a mounting is another body though a convention explains the images: equal except for distant axes.

    A few degrees and centimetres are another sensor in the same housing. With another direction or order,
    two mistakes would cancel out: there the mounting has fitted the noise of little motion.
    """
    mounting, convention = mounted.convention, best.convention
    assert isinstance(mounting, Mounting) and isinstance(convention, PoseConvention)
    same = (mounting.convention.direction, mounting.convention.order) == (convention.direction, convention.order)
    rotation_33 = AXES[convention.axes].T @ mounting.R_body_camera_33
    return (
        same
        and len(mounted.shares_K) >= FEWEST_MOUNTING_PAIRS
        and bool(np.degrees(Rotation.from_matrix(rotation_33).magnitude()) > LEAST_MOUNTING_DEG)
    )


def _numbers(given: PoseConvention, matches: Matches) -> Numbers:
    """For each pair the numbers in the file: centres (2, 3) and quaternions (2, 4)."""
    pairs = []
    for pair in matches.pairs:
        p_23, q_24 = stack([pair.first.pose, pair.second.pose])
        pairs.append(given.numbers(p_23, Rotation.from_quat(q_24, scalar_first=True)))
    return pairs


def _distances_px(convention: PoseConvention | Mounting, matches: Matches, numbers: Numbers) -> list[np.ndarray]:
    """For each pair the distances (N,) of its matches from their half lines."""
    assert matches.lens is not None
    motions = [relative_motion(*convention.poses(p_23, q_24)) for p_23, q_24 in numbers]
    return [
        matches.lens.focal * ray_distances(pair, *motion) for pair, motion in zip(matches.pairs, motions, strict=True)
    ]


def _score(convention: PoseConvention | Mounting, distances: list[np.ndarray], tolerance_px: float) -> Score:
    shares_K = np.array([np.mean(pair_N < tolerance_px) for pair_N in distances])
    return Score(convention, shares_K, float(np.median(np.concatenate(distances))))


def _best_mounting(given: PoseConvention, matches: Matches, numbers: Numbers, tolerance_px: float) -> Score | None:
    """The rigidly mounted camera that explains most: all closed forms, then the best of them refined."""

    def score(body: Mounting) -> Score:
        return _score(body, _distances_px(body, matches, numbers), tolerance_px)

    conventions = {(convention.direction, convention.order): convention for convention in all_conventions(given)}
    bodies = [
        body for convention in conventions.values() if (body := closed_form(convention, matches, numbers)) is not None
    ]
    if not bodies:
        return None
    best = max((score(body) for body in bodies), key=lambda scored: scored.share)
    assert isinstance(best.convention, Mounting)
    if best.share < LEAST_START:
        return best
    return max(best, score(refined(best.convention, matches, numbers)), key=lambda scored: scored.share)
