"""The points of the adjustment with colours, for a map without depth images."""

from __future__ import annotations

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.image_files import read_image
from transposenet_core.mapping.report.depth_points import Points
from transposenet_core.mapping.sparse_map import SparseMap

MOST_READ = 500  # images, evenly over the recording
FARTHEST = 5.0  # times the 95th percentile of the depths: farther points have no parallax that means anything


def sparse_points(sparse: SparseMap) -> Points:
    """The map points in the colours of an image that sees them, without those far beyond all others.

    Of a long recording, points that none of the images that are read sees are left out; images that cannot be read
    are passed over.
    """
    count = len(sparse.point_P3)
    colour_P3, depth_P = np.zeros((count, 3), np.uint8), np.full(count, np.nan)
    for frame in sparse.frames[:: -(-len(sparse.frames) // MOST_READ) or 1]:
        new_K = np.isnan(depth_P[frame.point_K])
        if not new_K.any():
            continue
        try:
            image_HW3 = read_image(frame.image.path)
        except UserError:
            continue
        height, width = image_HW3.shape[:2]
        columns_K, rows_K = np.rint(frame.pixel_K2[new_K]).astype(int).T
        chosen = frame.point_K[new_K]
        colour_P3[chosen] = image_HW3[np.clip(rows_K, 0, height - 1), np.clip(columns_K, 0, width - 1)]
        depth_P[chosen] = sparse.depths(frame)[new_K]
    known_P = depth_P > 0  # not NaN, and in front of the camera
    if known_P.any():
        known_P &= depth_P < FARTHEST * np.percentile(depth_P[known_P], 95)
    return Points(sparse.point_P3[known_P], colour_P3[known_P], depth_P[known_P])
