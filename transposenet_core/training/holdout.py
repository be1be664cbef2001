"""Frames held back from training where the data set names none: guarded blocks in time, because neighbours leak."""

from __future__ import annotations

import dataclasses

from transposenet_core.scene import PosedImage, Scene

SHARE, BLOCK, GUARD = 0.1, 25, 5  # of a sequence's frames; at 30 Hz a block is just under a second
MINIMUM_TRAINING_FRAMES = 150


def hold_out_validation(scene: Scene) -> Scene:
    """The scene with every tenth of its training time as `val` and `GUARD` frames on either side of it left out.

    A scene that has `val` frames, or too few training frames to give any away, is returned as it is.
    """
    training = [image for image in scene.images if image.split == "train"]
    if any(image.split == "val" for image in scene.images) or len(training) < MINIMUM_TRAINING_FRAMES:
        return scene
    period = round(BLOCK / SHARE)
    images: list[PosedImage] = []
    index = -1  # over all sequences: many short ones give as much as one long one
    for image in scene.images:
        if image.split != "train":
            images.append(image)
            continue
        index += 1
        offset = (index + period // 2) % period  # the first block lies in the middle of the first period
        if offset < BLOCK:
            images.append(dataclasses.replace(image, split="val"))
        elif GUARD + BLOCK <= offset < period - GUARD:
            images.append(image)
    return dataclasses.replace(scene, images=images)
