"""A camera computed by hand, for the conventions of the formats: swapped, transposed or reordered it is another one.

In a map with z up it is upright at (10, 2, 1.5) and looks along x: its right is -y, its down is -z. R_map_camera
has the columns (0, -1, 0), (0, 0, -1), (1, 0, 0), which is the quaternion (1, -1, 1, -1) / 2, w first.
"""

from pathlib import Path

import cv2
import numpy as np

from transposenet_core.geometry.pose import Pose

POSITION = (10.0, 2.0, 1.5)
Q_MAP_CAMERA = (0.5, -0.5, 0.5, -0.5)
Q_CAMERA_MAP = (0.5, 0.5, -0.5, 0.5)
T_MAP_CAMERA = np.array([[0, 0, 1, 10], [-1, 0, 0, 2], [0, -1, 0, 1.5], [0, 0, 0, 1.0]])
T_CAMERA_MAP = np.array([[0, -1, 0, 2], [0, 0, -1, 1.5], [1, 0, 0, -10], [0, 0, 0, 1.0]])


def words(*numbers: object) -> str:
    return " ".join(str(float(number)) for row in numbers for number in np.ravel(row))


def is_known(pose: Pose) -> bool:
    """Whether its position, viewing direction and down direction are those above."""
    ahead = pose.matrix_44 @ [0, 0, 1, 1] - pose.matrix_44 @ [0, 0, 0, 1]
    down = pose.matrix_44 @ [0, 1, 0, 1] - pose.matrix_44 @ [0, 0, 0, 1]
    places = [(pose.position, POSITION), (ahead[:3], (1, 0, 0)), (down[:3], (0, 0, -1))]
    return all(np.allclose(found, meant, atol=1e-9) for found, meant in places)


def write_image(path: Path, width: int = 8, height: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 100, np.uint8))
    return path
