"""Held-out frames if the data set has none: stretches of the track with left-out frames, since neighbours leak.

A stretch is measured by how much the view changes, not in frames: 25 frames of a slow camera are 25 times the same
view, and errors on them make checkpoint and covariance look too good (measured on RedKitchen: 0.067 m on blocks of this
kind, 0.207 m on the test blocks).
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from transposenet_core.geometry.pose import rotation_angle_deg, stack
from transposenet_core.scene import LEFT_OUT, PosedImage, Scene

# A change of view of 1: as far as the test frames of RedKitchen's folds are from their nearest training frame (median
# 0.14 m / 9 degrees).
VIEW_M, VIEW_DEG = 0.15, 8.0
SHARE, BLOCK_VIEWS, GUARD_VIEWS = 0.1, 3.0, 1.0
GUARD = 5  # frames: at least this many left out on either side, however the view changes
MINIMUM_TRAINING_FRAMES = 150


def hold_out_validation(scene: Scene) -> Scene:
    """The scene with a tenth of its training track as `val` and a change of view of 1 on either side `left_out`.

    A scene that has `val` frames, or too few training frames to hold any out, is returned unchanged.
    """
    training = [image for image in scene.images if image.split == "train"]
    if any(image.split == "val" for image in scene.images) or len(training) < MINIMUM_TRAINING_FRAMES:
        return scene
    changes_N = view_changes(training)
    total = float(changes_N[-1])
    if total < 1:  # a camera that does not move: count frames
        changes_N = np.arange(len(training)) / len(training) * BLOCK_VIEWS / SHARE
        total = BLOCK_VIEWS / SHARE
    blocks = max(1, round(total * SHARE / BLOCK_VIEWS))
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
    split = {
        id(image): "val" if held else LEFT_OUT
        for image, held, near in zip(training, held_N, near_N, strict=True)
        if near
    }
    images = [dataclasses.replace(image, split=split.get(id(image), image.split)) for image in scene.images]
    return dataclasses.replace(scene, images=images)


def view_changes(images: list[PosedImage]) -> np.ndarray:
    """How much the view has changed up to each frame (N,): steps of VIEW_M metres or VIEW_DEG degrees add up.

    The step between two sequences does not count.
    """
    positions_N3, orientations_N4 = stack([image.pose for image in images])
    metres = np.linalg.norm(np.diff(positions_N3, axis=0), axis=1)
    degrees = rotation_angle_deg(orientations_N4[1:], orientations_N4[:-1])
    steps = np.maximum(metres / VIEW_M, degrees / VIEW_DEG)
    steps[[a.sequence != b.sequence for a, b in itertools.pairwise(images)]] = 0
    return np.concatenate([[0.0], np.cumsum(steps)])
