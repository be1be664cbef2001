"""The small scene in the layout of Cambridge Landmarks: the same images and poses, in the other format."""

import shutil
from pathlib import Path

from small_scene import write_small_scene

from transposenet_core.formats import load_scene

HEADER = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"


def write_labels(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))


def write_small_cambridge(root: Path, frames: int = 24) -> Path:
    """Train images in seq1, test images in seq2; quaternions map-to-camera, w first, as the data set has them."""
    made = write_small_scene(root.with_name(f"{root.name}_7scenes"), frames)
    source = load_scene(f"7scenes:{made}")
    for number, split in ((1, "train"), (2, "test")):
        rows = []
        for image in source.select(split):
            name = f"seq{number}/frame{int(image.name[-16:-10]) + 1:05d}.png"
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            image.path.rename(root / name)
            # Written from matrices, not with the adapter's own arithmetic.
            q_camera_map = image.pose.inverse().orientation
            rows.append(" ".join([name, *(f"{value:.6f}" for value in (*image.pose.position, *q_camera_map))]))
        write_labels(root / f"dataset_{split}.txt", *rows)
    shutil.rmtree(made)
    return root
