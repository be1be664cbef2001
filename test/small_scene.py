"""A small scene in the 7-Scenes layout, generated: a camera slides over a random texture, so it can be learnt."""

from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

WIDTH, HEIGHT = 80, 60


def write_small_scene(root: Path, frames: int = 24) -> Path:
    """Two sequences of `frames` images (train, test); the window on the texture follows the position."""
    rng = np.random.default_rng(3)
    texture = cv2.resize(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), (480, 320), interpolation=cv2.INTER_CUBIC)
    for number, split in ((1, "Train"), (2, "Test")):
        folder = root / f"seq-{number:02d}"
        folder.mkdir(parents=True)
        (root / f"{split}Split.txt").write_text(f"sequence{number}\n")
        for index in range(frames):
            share = (index + 0.5 * (number - 1)) / frames
            left, top = int(share * (480 - WIDTH)), int((0.5 + 0.4 * np.sin(7 * share)) * (320 - HEIGHT))
            T = np.eye(4)
            T[:3, 3] = left / 100, top / 100, 0.5
            T[:3, :3] = Rotation.from_euler("zyx", [20 * share, 5 * share, 3], degrees=True).as_matrix()
            cv2.imwrite(str(folder / f"frame-{index:06d}.color.png"), texture[top : top + HEIGHT, left : left + WIDTH])
            np.savetxt(folder / f"frame-{index:06d}.pose.txt", T)
    return root
