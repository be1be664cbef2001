"""The part of the check that takes seconds: it runs before every training."""

from __future__ import annotations

import dataclasses
import sys

from transposenet_core.dataset_check.image_check import check_shapes, sizes_or_faults
from transposenet_core.dataset_check.leakage import check_leakage
from transposenet_core.dataset_check.pose_check import check_poses
from transposenet_core.dataset_check.tracks import Tracks
from transposenet_core.dataset_check.usability import still_camera
from transposenet_core.formats.faults import Faults
from transposenet_core.scene import Scene

FEW_TRAINING = 100


def quick_check(data: object, scene: Scene, skip_bad: bool = False) -> Scene:
    """The scene without false poses and without images that are empty, cut off or of another aspect ratio than most
    (fault matrix, T1, T2, T10).

    Images of the test split are not read. With `skip_bad` the others are decoded, so that training refuses none that is
    left; without it only their structure is read. Remarks go to stderr. UserError where the data are refused: at any
    fault, or with `skip_bad` where they are more than 5 % of the rows.
    """
    faults, tracks = Faults(), Tracks(scene)
    check_labels(tracks, faults)
    check_leakage(tracks, faults)
    if still := still_camera(scene):
        faults.remark("train split", f"nothing to learn: {still}")
    read = [image for image in scene.images if image.split != "test"]
    sizes = []
    for image, (size, fault) in zip(read, sizes_or_faults([i.path for i in read], decode=skip_bad), strict=True):
        if size is None:
            faults.refuse(image.path, fault)
        else:
            sizes.append((image, size))
    check_shapes(sizes, faults)
    good = without_refused(scene, faults)
    faults.raise_refused(data, len(good.images), skip_bad)
    for remark in faults.remarks:
        print(f"warning: {remark}", file=sys.stderr)
    return good


def without_refused(scene: Scene, faults: Faults) -> Scene:
    """The scene without the images that a refused fault names, by their name or their path."""
    refused = {fault.where for fault in faults.refused}
    images = [image for image in scene.images if image.name not in refused and str(image.path) not in refused]
    return dataclasses.replace(scene, images=images)


def check_labels(tracks: Tracks, faults: Faults) -> None:
    """Checks of poses, stamps and their number, without the images."""
    check_poses(tracks, faults)
    training = len(tracks.of("train"))
    if training < FEW_TRAINING:
        what = f"{training} images are few: a room needs several hundred, a street a thousand or more"
        faults.remark("train split", what if training else "no images: this split cannot be trained on")
