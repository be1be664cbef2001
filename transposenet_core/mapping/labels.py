"""Which poses a network should learn: the adjusted ones or the recorded ones. The frames held out decide.

An adjustment removes the noise of a recording, and it can bend its map. Both maps are asked for the poses of validation
frames, which took part in neither: matches with training images, points, perspective-n-point. The map whose poses are
nearer to their recorded poses gives the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.mapping.adjust import recorded, structure
from transposenet_core.mapping.adjust.adjustment import Adjustment, Offset
from transposenet_core.mapping.adjust.bundle import Cameras, Observations
from transposenet_core.mapping.adjust.features import Features, features_of
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.matching import mutual_matches
from transposenet_core.mapping.adjust.recorded import Recording
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage

ASKED, NEIGHBOURS = 60, 8  # validation frames; training images that each is matched with
FEWEST_PLACED, FEWEST_INLIERS = 10, 12
NEAR_DEG = 20.0  # a rotation that counts as much as a step of the usual depth
LIMIT_PX = 6.0  # at 640 pixels of width
SAME_PIXEL = 0.01


@dataclass(frozen=True)
class LabelChoice:
    """``labels`` are "adjusted" or "recorded", ``reason`` is why in one sentence. The medians are of the ``placed``
    validation frames that both maps could place; NaN where there were too few."""

    labels: str
    reason: str
    placed: int = 0
    adjusted_m: float = float("nan")
    adjusted_deg: float = float("nan")
    recorded_m: float = float("nan")
    recorded_deg: float = float("nan")


def choose_labels(
    adjustment: Adjustment, validation: Sequence[PosedImage], unit: str, cache: Path | None, progress: bool
) -> LabelChoice:
    """Of an adjustment that stands; `validation` are frames of the colour camera with poses as recorded."""
    step = max(1, -(-len(validation) // ASKED))
    errors = _Asked(adjustment, validation, cache).errors(range(0, len(validation), step), progress)
    if len(errors) < FEWEST_PLACED:
        fell = f"the reprojection error fell from {adjustment.before_px:.2f} to {adjustment.after_px:.2f} px"
        few = f"{len(errors)} validation frames can be compared, {FEWEST_PLACED} are needed"
        return LabelChoice("adjusted", f"{fell}; {few}", len(errors))
    medians = [float(value) for value in np.median(np.array(errors), axis=0)]
    adjusted_m, adjusted_deg, recorded_m, recorded_deg = medians
    better = adjusted_m * adjusted_deg < recorded_m * recorded_deg
    reason = (
        f"{len(errors)} validation frames are placed {adjusted_m:.3g} {unit} / {adjusted_deg:.2f} deg from their "
        f"recorded poses by the adjusted map, {recorded_m:.3g} {unit} / {recorded_deg:.2f} deg by the recorded one"
    )
    return LabelChoice("adjusted" if better else "recorded", reason, len(errors), *medians)


class _Asked:
    """Both maps, asked for validation frames."""

    def __init__(self, adjustment: Adjustment, validation: Sequence[PosedImage], cache: Path | None) -> None:
        self._folder = None if cache is None else cache / "features"
        self._frames, self._validation = adjustment.sparse.frames, validation
        self._lens = Lens.of(adjustment.lens_after)  # that of the data set, whichever labels it gets
        self._points = [adjustment.sparse.point_P3, _recorded_points(adjustment)]
        self._expected = [corrected(validation, adjustment.offset), [image.pose for image in validation]]
        depths = [adjustment.sparse.depths(frame) for frame in self._frames]
        self._depth = float(np.median(np.concatenate(depths)))
        self._position_N3 = np.array([frame.image.pose.position for frame in self._frames])
        self._orientation_N4 = np.array([frame.image.pose.orientation for frame in self._frames])

    def errors(self, chosen: Sequence[int], progress: bool) -> list[list[float]]:
        """Distance and degrees by the adjusted map, then by the recorded one, of frames that both place."""
        found = []
        for number in ProgressBar(chosen, desc="labels", unit="image", disable=not progress):
            features = features_of(self._validation[number].path, self._folder)
            pixel_K2, point_K = self._matches(number, features)
            both = []
            for point_P3, expected in zip(self._points, self._expected, strict=True):
                pose = placed(pixel_K2, point_P3[point_K], self._lens)
                if pose is not None:
                    apart = float(np.linalg.norm(pose.position - expected[number].position))
                    both += [apart, float(rotation_angle_deg(pose.orientation, expected[number].orientation))]
            if len(both) == 4:
                found.append(both)
        return found

    def _matches(self, number: int, features: Features) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (K, 2) of a validation frame and the map points (K,) that they show, by its neighbours; none of an
        image of another size than the map's."""
        size = self._lens.stated.width, self._lens.stated.height
        if (features.width, features.height) != size:
            return np.zeros((0, 2)), np.zeros(0, int)
        pose = self._validation[number].pose
        steps_N = np.linalg.norm(self._position_N3 - pose.position, axis=1) / self._depth
        rotations_N = rotation_angle_deg(self._orientation_N4, pose.orientation) / NEAR_DEG
        pixels, points = [np.zeros((0, 2))], [np.zeros(0, int)]
        for near in np.argsort(steps_N + rotations_N, kind="stable")[:NEIGHBOURS]:
            frame = self._frames[near]
            theirs = features_of(frame.image.path, self._folder)
            if not len(frame.point_K) or not len(theirs.pixel_K2):
                continue
            index_M2 = mutual_matches(features, theirs)
            away_M, place_M = cKDTree(frame.pixel_K2).query(theirs.pixel_K2[index_M2[:, 1]])
            same = away_M < SAME_PIXEL
            pixels.append(features.pixel_K2[index_M2[same, 0]].astype(np.float64))
            points.append(frame.point_K[place_M[same]])
        return np.concatenate(pixels), np.concatenate(points)


def corrected(images: Sequence[PosedImage], offset: Offset) -> list[Pose]:
    """Recorded poses of the camera without the recording's constant offset of mount and time."""
    if not images:
        return []
    recording = Recording.of(images)
    linear_N3, angular_N3 = recorded.velocities(recording.cameras, recording)
    poses = []
    for image, linear_3, angular_3 in zip(images, linear_N3, angular_N3, strict=True):
        pose = image.pose @ offset.T_body_camera
        back = Rotation.from_rotvec(-offset.seconds * angular_3) * Rotation.from_matrix(pose.rotation_33)
        poses.append(Pose(pose.position - offset.seconds * linear_3, back.as_quat(scalar_first=True)))
    return poses


def _recorded_points(adjustment: Adjustment) -> np.ndarray:
    """The map's points (P, 3) where the recorded poses see them."""
    frames, lens = adjustment.sparse.frames, Lens.of(adjustment.lens_after)
    counts = [len(frame.point_K) for frame in frames]
    seen = Observations(
        np.repeat(np.arange(len(frames)), counts),
        np.concatenate([frame.point_K for frame in frames]),
        lens.working_pixels(np.concatenate([frame.pixel_K2 for frame in frames])),
    )
    cameras = Cameras(
        np.array([frame.image.pose.position for frame in frames]),
        np.array([frame.image.pose.rotation_33 for frame in frames]),
    )
    return structure.points_of(cameras, lens, seen, len(adjustment.sparse.point_P3), 40.0 * lens.stated.width / 640)


def placed(pixel_K2: np.ndarray, point_K3: np.ndarray, lens: Lens) -> Pose | None:
    """``T_map_camera`` from pixels and the points that they show; None where they do not agree on one."""
    ray_K3 = lens.rays(lens.working_pixels(pixel_K2))
    good_K = np.isfinite(point_K3).all(axis=1) & (ray_K3[:, 2] > 0.1)
    if good_K.sum() < FEWEST_INLIERS:
        return None
    origin_3 = np.round(np.median(point_K3[good_K], axis=0), -3)  # far from the map's origin digits would be lost
    plane_K2, point_K3 = ray_K3[good_K, :2] / ray_K3[good_K, 2:], point_K3[good_K] - origin_3
    limit = LIMIT_PX * lens.stated.width / 640 / lens.focal
    cv2.setRNGSeed(0)
    try:
        found, rotation, shift, inliers = cv2.solvePnPRansac(
            point_K3, plane_K2, np.eye(3), None, None, None, False, 500, limit, 0.999, None, cv2.SOLVEPNP_SQPNP
        )
        if not found or inliers is None or len(inliers) < FEWEST_INLIERS:
            return None
        chosen = inliers.ravel()
        rotation, shift = cv2.solvePnPRefineLM(point_K3[chosen], plane_K2[chosen], np.eye(3), None, rotation, shift)
    except cv2.error:  # points that fix no pose, such as one point many times
        return None
    T_camera_map = np.eye(4)
    T_camera_map[:3, :3], T_camera_map[:3, 3] = cv2.Rodrigues(rotation)[0], shift.ravel()
    if not np.isfinite(T_camera_map).all():
        return None
    pose = Pose.from_matrix(T_camera_map).inverse()
    return Pose(pose.position + origin_3, pose.orientation)
