"""Held-out frames if the data set has none: blocks of the track with left-out frames, since neighbours leak.

A block is measured by how much the view changes, not in frames: 25 frames of a slow camera are 25 times the same
view, and errors on them make checkpoint and covariance look too good (measured on RedKitchen: 0.067 m on blocks of this
kind, 0.207 m on the test blocks). If the camera moves far from frame to frame, there are fewer, longer blocks, so that
left-out frames never cost more than KEPT allows (fault matrix, T13).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from transposenet_core.geometry.pose import rotation_angle_deg, stack
from transposenet_core.scene import LEFT_OUT, PosedImage, Scene

# A change of view of 1: as far as the test frames of RedKitchen's folds are from their nearest training frame (median
# 0.14 m / 9 degrees).
VIEW_M, VIEW_DEG = 0.15, 8.0
VIEW_OF_EXTENT = 0.04  # the same in arbitrary units: of the longest side of the training track, 3.6 m in RedKitchen
SHARE, BLOCK_VIEWS, GUARD_VIEWS = 0.1, 3.0, 1.0
GUARD = 5  # frames: at least this many left out on either side, however the view changes
MINIMUM_TRAINING_FRAMES = 150
KEPT, HELD = 0.7, SHARE / 2  # of the training frames: at least so many still train, at least so many validate


def hold_out_validation(scene: Scene) -> Scene:
    """The scene with a tenth of its training track as `val` and a change of view of 1 on either side `left_out`.

    At least KEPT of the training frames stay and some validate, however far apart the frames are and whatever their
    units. A scene that has `val` frames, or too few training frames to hold any out, is returned unchanged.
    """
    training = [image for image in scene.images if image.split == "train"]
    if any(image.split == "val" for image in scene.images) or len(training) < MINIMUM_TRAINING_FRAMES:
        return scene
    chosen = next(
        (held_N, near_N)
        for held_N, near_N in _candidates(view_changes(training, scene.units))
        if near_N.mean() <= 1 - KEPT and held_N.mean() >= HELD
    )
    split = {
        id(image): "val" if held else LEFT_OUT for image, held, near in zip(training, *chosen, strict=True) if near
    }
    images = [dataclasses.replace(image, split=split.get(id(image), image.split)) for image in scene.images]
    return dataclasses.replace(scene, images=images)


def holdout_sentence(scene: Scene, before: Scene) -> str:
    """How many of the training frames of `before` train in `scene`, validate, or are left out, and why."""
    counts = Counter(image.split for image in scene.images)
    if any(image.split == "val" for image in before.images):
        return f"{counts['train']} frames train, {counts['val']} validate, as in the split of the data"
    if not counts["val"]:
        return (
            f"{counts['train']} frames train, none validates: below {MINIMUM_TRAINING_FRAMES} training frames none are "
            "held out, so there is no validation error and no covariance"
        )
    return (
        f"{counts['train']} frames train, {counts['val']} are held out for validation, {counts[LEFT_OUT]} between "
        "them are left out, as they show nearly the same (hold_out=false: all train)"
    )


def view_changes(images: list[PosedImage], units: str = "metres") -> np.ndarray:
    """How much the view has changed up to each frame (N,): steps of VIEW_M metres or VIEW_DEG degrees add up.

    In arbitrary units VIEW_OF_EXTENT takes the place of VIEW_M. Between two sequences nothing is counted.
    """
    positions_N3, orientations_N4 = stack([image.pose for image in images])
    view = VIEW_M if units == "metres" else VIEW_OF_EXTENT * float(np.ptp(positions_N3, axis=0).max()) or 1.0
    metres = np.linalg.norm(np.diff(positions_N3, axis=0), axis=1)
    degrees = rotation_angle_deg(orientations_N4[1:], orientations_N4[:-1])
    steps = np.maximum(metres / view, degrees / VIEW_DEG)
    steps[[a.sequence != b.sequence for a, b in itertools.pairwise(images)]] = 0
    return np.concatenate([[0.0], np.cumsum(steps)])


def _candidates(changes_N: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Held frames and held or left-out ones (N,) bool, best first: many blocks by views, fewer, at last by frames.

    The last one of all, a block of a tenth of the frames, keeps 0.7 of MINIMUM_TRAINING_FRAMES and more.
    """
    total, frames = float(changes_N[-1]), len(changes_N)
    most = max(1, round(frames * (1 - KEPT) / (2 * GUARD + 1)))  # each block costs its guards
    if total >= 1:  # else a camera that stands: frames are all there is to count
        for blocks in _fewer(min(max(1, round(total * SHARE / BLOCK_VIEWS)), most)):
            yield _blocks(changes_N, total, blocks)
    for blocks in _fewer(most):
        yield _blocks(np.arange(frames) / frames * BLOCK_VIEWS * blocks / SHARE, BLOCK_VIEWS * blocks / SHARE, blocks)


def _fewer(most: int) -> Iterator[int]:
    """From `most` down to 1, a tenth fewer each time: as many as there are frames would take hours to try."""
    while most >= 1:
        yield most
        most = most * 9 // 10


def _blocks(changes_N: np.ndarray, total: float, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    period = total / blocks
    length = SHARE * period
    guard = min(GUARD_VIEWS, length / 3)
    # Distance of each frame from the middle of its period, where the block is.
    distance_N = np.abs(np.mod(changes_N, period) - period / 2)
    held_N = distance_N <= length / 2
    near_N = distance_N <= length / 2 + guard
    for step in range(1, GUARD + 1):
        near_N[step:] |= held_N[:-step]
        near_N[:-step] |= held_N[step:]
    return held_N, near_N
