"""Which keyframes show what a camera at a predicted pose should see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, rotation_angle_deg

SAMPLES = (4, 5)  # rows and columns of a keyframe's depth that stand for what it shows
COMPARED = 48  # keyframes whose points are compared with the view; nearer poses first


@dataclass(frozen=True, eq=False)
class KeyframeIndex:
    """Positions (K, 3), directions of view (K, 3) and some points (K, S, 3) of keyframes, all in the map, NaN where
    depth is unknown; ``typical`` is their median depth. Frozen arrays: looking up changes nothing."""

    positions_K3: np.ndarray
    forward_K3: np.ndarray
    points_KS3: np.ndarray
    typical: float

    @classmethod
    def of(
        cls, depth_Khw: np.ndarray, positions_K3: np.ndarray, orientations_K4: np.ndarray, camera: Intrinsics
    ) -> KeyframeIndex:
        """Of the keyframes' depth (K, h, w), 0 where unknown, of a pinhole `camera`."""
        height, width = depth_Khw.shape[1:]
        pinhole = camera.resized(width, height)
        rows, columns = (
            ((np.arange(n) + 0.5) * side / n).astype(int) for n, side in zip(SAMPLES, (height, width), strict=True)
        )
        z_KS = depth_Khw[:, rows[:, None], columns].reshape(len(depth_Khw), rows.size * columns.size).astype(np.float64)
        y_S, x_S = (a.ravel() for a in np.meshgrid(rows, columns, indexing="ij"))
        ray_S3 = np.column_stack(((x_S - pinhole.cx) / pinhole.fx, (y_S - pinhole.cy) / pinhole.fy, np.ones(len(x_S))))
        R_K33 = _rotations(orientations_K4)
        known_KS = z_KS > 0
        local_KS3 = ray_S3 * np.where(known_KS, z_KS, np.nan)[..., None]
        points_KS3 = np.einsum("kij,ksj->ksi", R_K33, local_KS3) + positions_K3[:, None]
        typical = float(np.median(z_KS[known_KS])) if known_KS.any() else 1.0
        return cls(np.asarray(positions_K3, np.float64), R_K33[:, :, 2], points_KS3, typical)

    def away(self, pose: Pose, other: Pose) -> float:
        """How differently two cameras see a thing at the typical depth: their step as a share of it, and the angle
        between them in radians."""
        step = float(np.linalg.norm(pose.position - other.position)) / self.typical
        return step + float(np.radians(rotation_angle_deg(pose.orientation, other.orientation)))

    def nearest(self, T_map_camera: Pose, camera: Intrinsics, count: int) -> np.ndarray:
        """The places of at most `count` keyframes that overlap most with the view of a pinhole `camera` at a pose, best
        first; none of those that share nothing with it."""
        R = T_map_camera.rotation_33
        step_K = np.linalg.norm(self.positions_K3 - T_map_camera.position, axis=1)
        away_K = step_K / self.typical + np.arccos(np.clip(self.forward_K3 @ R[:, 2], -1, 1))
        near_C = np.argpartition(away_K, COMPARED)[:COMPARED] if len(away_K) > COMPARED else np.arange(len(away_K))
        overlap_C = self._overlap(near_C, T_map_camera.position, R, camera)
        order_C = np.argsort(-overlap_C, kind="stable")[:count]
        return near_C[order_C[overlap_C[order_C] > 0]]

    def _overlap(self, near_C: np.ndarray, position: np.ndarray, R: np.ndarray, camera: Intrinsics) -> np.ndarray:
        """The share (C,) of each keyframe's samples that the view shows, each worth the less, the more its size and the
        angle it is seen from differ."""
        points_CS3 = self.points_KS3[near_C]
        to_query_CS3, to_keyframe_CS3 = points_CS3 - position, points_CS3 - self.positions_K3[near_C, None]
        x_CS, y_CS, z_CS = np.moveaxis(to_query_CS3 @ R, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            u_CS, v_CS = camera.fx * x_CS / z_CS + camera.cx, camera.fy * y_CS / z_CS + camera.cy
            seen_CS = (z_CS > 0) & (u_CS >= 0) & (u_CS < camera.width) & (v_CS >= 0) & (v_CS < camera.height)
            query_CS, keyframe_CS = (np.linalg.norm(d, axis=-1) for d in (to_query_CS3, to_keyframe_CS3))
            size_CS = np.minimum(query_CS / keyframe_CS, keyframe_CS / query_CS)
            cosine_CS = np.einsum("csi,csi->cs", to_query_CS3, to_keyframe_CS3) / (query_CS * keyframe_CS)
            worth_CS = np.where(seen_CS, size_CS * np.clip(cosine_CS, 0, 1) ** 4, 0)
        return np.nan_to_num(worth_CS).mean(axis=1)


def _rotations(orientations_K4: np.ndarray) -> np.ndarray:
    """Matrices (K, 3, 3); SciPy refuses none at all."""
    return (
        Rotation.from_quat(orientations_K4, scalar_first=True).as_matrix()
        if len(orientations_K4)
        else np.zeros((0, 3, 3))
    )
