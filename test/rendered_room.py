"""Images and depth of the demo's room from given camera poses."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from demo.drives import test_drive
from demo.render import camera_matrix, check_graphics
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import DepthCamera, PosedImage

test_drive.__test__ = False
ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 320, 240
K = camera_matrix(WIDTH, HEIGHT)
CAMERA = Intrinsics(WIDTH, HEIGHT, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
POSE = test_drive().poses[90]
# Of the second camera of the fixture `room`, in the first one's frame.
ROTATION, TRANSLATION = Rotation.from_euler("YXZ", [6, -4, 5], degrees=True), np.array([0.12, -0.05, 0.1])
# In a separate process, as everywhere: the room and its depth from some cameras.
RENDER_VIEWS = """
import json, sys
import cv2, numpy as np
from demo.camera_effects import light_at
from demo.render import SEED, VIEW_ANGLE_DEG
from demo.renderer import RoomRenderer
from demo.room import build_room
from transposenet_core.geometry.pose import Pose
renderer = RoomRenderer(build_room(SEED), (320, 240), VIEW_ANGLE_DEG)
for k, matrix in enumerate(json.loads(sys.argv[2])):
    cv2.imwrite(f"{sys.argv[1]}/{k}.png", renderer.render(Pose.from_matrix(np.array(matrix)), light_at(1, 0.0)))
    cv2.imwrite(f"{sys.argv[1]}/{k}.depth.png", np.clip(1000 * renderer.depth(), 0, 65535).astype(np.uint16))
"""


def render_room(folder: Path, matrices: Sequence[np.ndarray]) -> Path:
    """K.png and K.depth.png in the folder for the K-th ``T_map_camera`` (4, 4)."""
    check_graphics()
    arguments = [str(folder), json.dumps([matrix.tolist() for matrix in matrices])]
    subprocess.run([sys.executable, "-c", RENDER_VIEWS, *arguments], cwd=ROOT, check=True, timeout=60)
    return folder


def posed(folder: Path, number: int = 0) -> PosedImage:
    image = folder / f"{number}.png"
    return PosedImage("0", image, Pose([0, 0, 0], [1, 0, 0, 0]), "train", "a", 0.0, folder / f"{number}.depth.png")


def one_camera(T_camera_depth: Pose | None = None) -> DepthCamera:
    return DepthCamera(CAMERA, 1e-3, T_camera_depth or Pose([0, 0, 0], [1, 0, 0, 0]))
