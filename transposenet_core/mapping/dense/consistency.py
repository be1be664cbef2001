"""Depths of a frame, checked against those of other frames: what they agree on stays, and is their mean.

A partner's vote on a pixel is one of three: it has that depth there (agrees); it looks through the point at something
farther (contradicts); it has something nearer in between (cannot see it). A fixed number of agreeing partners would
leave nothing of a sparse recording, so what is asked for is a share of those that can see the pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose

PROPOSING = 6  # partners, the best ones, whose depths are tried where a frame has none of its own
EDGE_PIXELS, EDGE_STEP = 2, 1.15  # half a window and the filter on it, and by what factor depth grows across an edge
LEAST_SPECKLE, SPECKLE_STEP = 12, 0.1  # pixels of an island that stays; relative step of depth around an island
HIDDEN_COUNTS = 0.5  # of a partner with something nearer: mostly an edge, sometimes its error or ours


@dataclass(frozen=True, eq=False)
class DepthView:
    """A frame's depth (H, W) float32, 0 for none, how sure each pixel is (0..1), and the frame's pose."""

    depth_HW: np.ndarray
    sure_HW: np.ndarray
    T_map_camera: Pose


@dataclass(frozen=True, eq=False)
class Votes:
    """Of each pixel (H, W): how many partners agree, contradict, cannot see it; ``depth_HW`` the mean with those that
    agree."""

    agree_HW: np.ndarray
    contradict_HW: np.ndarray
    hidden_HW: np.ndarray
    depth_HW: np.ndarray

    def confidence(self, least_agreeing: int) -> np.ndarray:
        """The share (H, W) 0..1 of the partners that can see a pixel and agree; 0 with fewer than so many."""
        asked_HW = self.agree_HW + self.contradict_HW + HIDDEN_COUNTS * self.hidden_HW
        share_HW = self.agree_HW / np.maximum(asked_HW, 1)
        return np.where(self.agree_HW >= least_agreeing, share_HW, 0).astype(np.float32)


def agreed(
    frame: DepthView,
    partners: Sequence[DepthView],
    pinhole: Intrinsics,
    tolerance: float,
    least_agreeing: int,
    least_share: float,
    looks_right: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """The depth (H, W) that enough partners agree on, 0 elsewhere, and the share 0..1 that does.

    Where the frame's own depth fails, that of partners is tried, and one more of them has to agree: the proposer
    agrees with itself. The image has to show it, too, as `looks_right` tells (H, W) of depths (H, W): partners see a
    wall where this frame sees a person in front of it.
    """
    voted = votes(frame, partners, pinhole, tolerance)
    share_HW = voted.confidence(least_agreeing)
    kept_HW = share_HW >= least_share
    proposal_HW = np.where(kept_HW, 0, proposed(partners[:PROPOSING], frame.T_map_camera, pinhole))
    # Not sure at all, so that the mean is the partners'.
    proposal = DepthView(proposal_HW, np.zeros_like(proposal_HW), frame.T_map_camera)
    second = votes(proposal, partners, pinhole, tolerance)
    second_HW = second.confidence(least_agreeing + 1)
    filled_HW = ~kept_HW & (second_HW >= least_share)
    filled_HW &= looks_right(np.where(kept_HW, voted.depth_HW, np.where(filled_HW, second.depth_HW, 0)))
    depth_HW = np.where(kept_HW, voted.depth_HW, np.where(filled_HW, second.depth_HW, 0)).astype(np.float32)
    depth_HW = without_speckles(without_edges(depth_HW))
    return depth_HW, np.where(depth_HW > 0, np.where(kept_HW, share_HW, second_HW), 0)


def proposed(partners: Sequence[DepthView], T_map_camera: Pose, pinhole: Intrinsics) -> np.ndarray:
    """The partners' depths as a camera at `T_map_camera` sees them (H, W) float32: the nearest point of each pixel."""
    height, width = pinhole.height, pinhole.width
    depth_N = np.full(height * width, np.inf, np.float32)
    for partner in partners:
        pixel_N = np.flatnonzero(partner.depth_HW)
        p_map_3N = _points(partner, pixel_N, partner.depth_HW.ravel()[pixel_N].astype(np.float64), pinhole)
        z_N, index_N = _projected(p_map_3N, T_map_camera, pinhole)
        inside_N = index_N >= 0
        np.minimum.at(depth_N, index_N[inside_N], z_N[inside_N].astype(np.float32))
    return np.where(np.isfinite(depth_N), depth_N, 0).reshape(height, width)


def without_edges(depth_HW: np.ndarray) -> np.ndarray:
    """The depth without the near side of its edges, where it reaches too far out.

    A window that holds a bit of what is near looks like it, so what is near grows by half a window, in all frames
    alike: no vote finds it. What is as thin as a window goes altogether.
    """
    size = 2 * EDGE_PIXELS + 1
    farthest_HW = cv2.dilate(depth_HW, np.ones((size, size), np.uint8))
    return np.where(farthest_HW > EDGE_STEP * depth_HW, 0, depth_HW).astype(np.float32)


def without_speckles(depth_HW: np.ndarray) -> np.ndarray:
    """The depth without small islands: a few pixels that agree by accident, as in leaves and clouds."""
    level_HW = np.where(depth_HW > 0, np.log(np.maximum(depth_HW, 1e-9)), 0)
    levels_HW = np.where(depth_HW > 0, np.rint(level_HW / SPECKLE_STEP * 16), -32768)
    levels_HW = np.clip(levels_HW, -32768, 32767).astype(np.int16)
    cv2.filterSpeckles(levels_HW, -32768, LEAST_SPECKLE, 16)
    return np.where(levels_HW > -32768, depth_HW, 0).astype(np.float32)


def votes(frame: DepthView, partners: Iterable[DepthView], pinhole: Intrinsics, tolerance: float) -> Votes:
    """The votes of `partners`, whose depths agree within the relative `tolerance`; `pinhole` is common."""
    shape = frame.depth_HW.shape
    pixel_N = np.flatnonzero(frame.depth_HW)
    own_N = frame.depth_HW.ravel()[pixel_N].astype(np.float64)
    p_map_3N = _points(frame, pixel_N, own_N, pinhole)
    agree_N, contradict_N, hidden_N = (np.zeros(len(pixel_N), np.float32) for _ in range(3))
    # Means of inverse depth: its errors are even. The frame's own depth counts as one partner's.
    weight_N = frame.sure_HW.ravel()[pixel_N] + 1e-3
    ratio_N = weight_N.copy()
    for partner in partners:
        z_N, theirs_N, sure_N = _looked_up(p_map_3N, partner, pinhole)
        seen_N = theirs_N > 0
        relative_N = np.where(seen_N, z_N / np.where(seen_N, theirs_N, 1), 0)
        same_N = seen_N & (np.abs(relative_N - 1) < tolerance)
        agree_N += same_N
        contradict_N += seen_N & (relative_N <= 1 - tolerance)
        hidden_N += relative_N >= 1 + tolerance
        weight_N += same_N * sure_N
        ratio_N += same_N * sure_N * relative_N
    fused_N = own_N * weight_N / ratio_N
    return Votes(*(_image(v, pixel_N, shape) for v in (agree_N, contradict_N, hidden_N, fused_N)))


def _points(frame: DepthView, pixel_N: np.ndarray, depth_N: np.ndarray, pinhole: Intrinsics) -> np.ndarray:
    """The pixels' points in the map (3, N)."""
    rows_N, columns_N = np.divmod(pixel_N, frame.depth_HW.shape[1])
    x_N, y_N = (columns_N - pinhole.cx) / pinhole.fx * depth_N, (rows_N - pinhole.cy) / pinhole.fy * depth_N
    T = frame.T_map_camera
    return T.rotation_33 @ np.stack((x_N, y_N, depth_N)) + T.position[:, None]


def _looked_up(
    p_map_3N: np.ndarray, partner: DepthView, pinhole: Intrinsics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points' depths in the partner's camera, its own depth there (0: none, or outside), and how sure that is."""
    z_N, index_N = _projected(p_map_3N, partner.T_map_camera, pinhole)
    inside_N, index_N = index_N >= 0, np.maximum(index_N, 0)
    return z_N, partner.depth_HW.ravel()[index_N] * inside_N, partner.sure_HW.ravel()[index_N]


def _projected(p_map_3N: np.ndarray, T_map_camera: Pose, pinhole: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """The points' depths in a camera (N,), and the number of the pixel that each falls on, row by row; -1: none."""
    p_3N = T_map_camera.rotation_33.T @ (p_map_3N - T_map_camera.position[:, None])
    z_N = p_3N[2]
    ahead_N = z_N > 0
    inverse_N = 1 / np.where(ahead_N, z_N, 1)
    x_N = p_3N[0] * inverse_N * pinhole.fx + (pinhole.cx + 0.5)  # rounded by cutting off
    y_N = p_3N[1] * inverse_N * pinhole.fy + (pinhole.cy + 0.5)
    inside_N = ahead_N & (x_N >= 0) & (y_N >= 0) & (x_N < pinhole.width) & (y_N < pinhole.height)
    x_N, y_N = np.where(inside_N, x_N, 0).astype(np.int32), np.where(inside_N, y_N, 0).astype(np.int32)
    return z_N, np.where(inside_N, y_N * pinhole.width + x_N, -1)


def _image(value_N: np.ndarray, pixel_N: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image_HW = np.zeros(shape, np.float32)
    image_HW.ravel()[pixel_N] = value_N
    return image_HW
