"""Writes a map as a data set in the layout `folder`, which training reads like any other."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from transposenet_core.formats.folder_writing import NANOSECONDS, FolderWriter
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import image_stem, image_suffix
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import LEFT_OUT, DepthCamera, PosedImage, Scene

RECORDED, ADJUSTED = "poses_recorded.csv", "poses_adjusted.csv"
POSE_COLUMNS = ["image", "x", "y", "z", "qw", "qx", "qy", "qz"]


@dataclass(frozen=True, eq=False)
class MappedPoses:
    """``T_map_camera`` of the training frames by name, as ``recorded`` (with the stated mount) and ``adjusted``;
    ``labels`` says which of them the data set has. ``T_pose_camera`` is the mount that its poses are written with."""

    recorded: Mapping[str, Pose]
    adjusted: Mapping[str, Pose]
    labels: str
    T_pose_camera: Pose | None

    @property
    def chosen(self) -> Mapping[str, Pose]:
        return self.adjusted if self.labels == "adjusted" else self.recorded


@dataclass(frozen=True, eq=False)
class MappedDepth:
    """Depth files of the training frames by name, all of one camera, and how sure they are where that is known."""

    camera: DepthCamera
    depth: Mapping[str, Path]
    confidence: Mapping[str, Path]


def write_mapped(
    writer: FolderWriter,
    scene: Scene,
    poses: MappedPoses,
    intrinsics: Intrinsics,
    depth: MappedDepth | None,
    progress: bool = True,
) -> Scene:
    """Copy the images of `scene`, split as it is, and write the map beside them; the scene of the colour camera that
    the folder holds, with files in it.

    Frames that do not train keep their recorded poses, which are of the body that `poses` are written for.
    """
    writer.name, writer.map_frame, writer.units = scene.name, scene.map_frame, scene.units
    writer.assumed_rate_hz, writer.intrinsics = scene.assumed_rate_hz, intrinsics
    writer.T_pose_camera = poses.T_pose_camera
    writer.depth_camera = depth.camera if depth else None
    chosen = poses.chosen
    for image in ProgressBar(scene.images, desc="writing", unit="img", leave=False, disable=not progress):
        if image.name in chosen:
            image = replace(image, pose=labelled(chosen[image.name], poses.T_pose_camera))
            if poses.labels == "adjusted":  # how sure the recording was says nothing about these
                image = replace(image, covariance_66=None)
        written = _add(writer, image)
        if depth and image.name in depth.depth:
            writer.add_depth(written.name, depth.depth[image.name].read_bytes())
        if depth and image.name in depth.confidence:
            stem = image_stem(written.path.name)
            written.path.with_name(f"{stem}.confidence.png").write_bytes(depth.confidence[image.name].read_bytes())
    images = [_split_as(new, old) for new, old in zip(writer.images, scene.images, strict=True)]
    writer.set_splits([image for image in images if image.split != LEFT_OUT])
    names = {old.name: new.name for new, old in zip(images, scene.images, strict=True)}
    for file, table in ((RECORDED, poses.recorded), (ADJUSTED, poses.adjusted)):
        write_poses(writer.folder / file, [names[name] for name in table], list(table.values()))
    copy = replace(scene, images=images, root=writer.folder, intrinsics=intrinsics, depth_camera=writer.depth_camera)
    return replace(copy, T_pose_camera=poses.T_pose_camera).of_the_camera()


def labelled(T_map_camera: Pose, T_pose_camera: Pose | None) -> Pose:
    """The pose of the body that carries the camera."""
    return T_map_camera if T_pose_camera is None else T_map_camera @ T_pose_camera.inverse()


def write_poses(path: Path, names: Sequence[str], poses: Sequence[Pose]) -> None:
    """A table of ``T_map_camera`` of the colour camera."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(POSE_COLUMNS)
        for name, pose in zip(names, poses, strict=True):
            numbers = np.concatenate([pose.position, pose.orientation])
            writer.writerow([name, *(repr(float(value)) for value in numbers)])


def read_poses(path: Path) -> dict[str, Pose]:
    """The inverse of `write_poses`."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {name: Pose(np.array(numbers[:3], float), np.array(numbers[3:], float)) for name, *numbers in rows}


def _add(writer: FolderWriter, image: PosedImage) -> PosedImage:
    name = f"{image_stem(image.name)}{image_suffix(image.path.name)}"
    stamp_ns = round(Fraction(image.stamp) * NANOSECONDS)
    return writer.add(name, image.path.read_bytes(), image.pose, stamp_ns, image.sequence, None, image.covariance_66)


def _split_as(new: PosedImage, old: PosedImage) -> PosedImage:
    return replace(new, split=old.split)
