"""Kinds of files for `file_fuzz.py` that are a data set's or a user's: each format's, split files, presets, images."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.file_kinds import IMAGE_HW3, Good, Kind
from transposenet_core.formats import load_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import read_image
from transposenet_core.presets import preset_path
from transposenet_core.scene import DepthCamera, PosedImage
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.data.depth import registered_depth

FRAMES = range(6)
NAMES = [f"images/{number:03d}.png" for number in FRAMES]
STAMPS_NS = [10**18 + number * 10**8 for number in FRAMES]
PLACES = [f"{0.1 * number:.3f} 0.5 1.2" for number in FRAMES]
MATRICES = [f"1 0 0 {0.1 * number:.3f} 0 1 0 0.5 0 0 1 1.2 0 0 0 1" for number in FRAMES]
PINHOLE = "7 0 3\n0 7 2\n0 0 1\n"
CAMERA = {"width": 8, "height": 6, "fx": 7.0, "fy": 7.1, "cx": 3.5, "cy": 2.5}
LENS = {"distortion_model": "plumb_bob", "distortion": [0.1, 0, 0, 0], "source": "made up"}
NERFSTUDIO = {"camera_model": "OPENCV", "w": 8, "h": 6, "fl_x": 7.0, "fl_y": 7.1, "cx": 4.0, "cy": 3.0, "k1": 0.1}
NOWHERE = {"position": [0, 0, 0], "orientation_wxyz": [1, 0, 0, 0]}
SENSOR = """%YAML:1.0
T_BS: !!opencv-matrix
  rows: 4
  cols: 4
  data: [0, 0, 1, 0.1, -1, 0, 0, 0, 0, -1, 0, 0.2, 0, 0, 0, 1]
resolution: [8, 6]
camera_model: pinhole
intrinsics: [7.0, 7.1, 3.5, 2.5]
distortion_model: radial-tangential
distortion_coefficients: [-0.28, 0.07, 0.0002, 1.7e-05]
"""


def _lines(rows: Iterable[str], head: str = "") -> str:
    return head + "".join(f"{row}\n" for row in rows)


def _texts() -> dict[str, dict[str, str]]:
    """Six frames in each layout: text by file, by the name of the format."""
    commas, seconds = [place.replace(" ", ",") for place in PLACES], [stamp / 1e9 for stamp in STAMPS_NS]
    each = list(zip(FRAMES, NAMES, STAMPS_NS, commas, strict=True))
    around = [(stamp + off, place) for stamp, place in zip(STAMPS_NS, PLACES, strict=True) for off in (-(10**7), 10**7)]
    pose = {"transform_matrix": np.eye(4).tolist(), "fl_x": 7.0}
    nerfstudio = {**NERFSTUDIO, "applied_transform": np.eye(4)[:3].tolist(), "applied_scale": 1.0}
    nerfstudio |= {"frames": [{"file_path": name} | pose for name in NAMES], "train_filenames": NAMES}
    return {
        "folder": {
            "poses.csv": _lines(
                (f"{name},{stamp},{place},1,0,0,0,train,a,{name}" for _, name, stamp, place in each),
                "image,stamp_ns,x,y,z,qw,qx,qy,qz,split,sequence,depth\n",
            ),
            "camera.json": json.dumps(CAMERA | LENS),
            "depth_camera.json": json.dumps(CAMERA | {"metres_per_unit": 0.001, "T_camera_depth": NOWHERE}),
            "dataset.json": json.dumps({"name": "desk", "map_frame": "map", "time_offset_s": {"a": 0.1}}),
        },
        "7scenes": {
            **{f"seq-01/frame-{number:06d}.pose.txt": matrix for number, matrix in enumerate(MATRICES)},
            "TrainSplit.txt": "sequence1\n",
            "TestSplit.txt": "",
            "color-intrinsics.txt": PINHOLE,
        },
        "cambridge": {
            "dataset_train.txt": _lines(
                (f"images/{number:03d}.png {place} 1 0 0 0" for number, place in enumerate(PLACES)),
                "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n",
            ),
            "dataset_test.txt": "V1\nImageFile\n\n\n",
        },
        "labels_csv": {
            "chess_train.csv": _lines(
                (f"chess,train,1,{name},{place},1,0,0,0" for _, name, _, place in each),
                "scene,split,seq,img_path,t1,t2,t3,q1,q2,q3,q4\n",
            )
        },
        "matrix_rows": {"poses.txt": _lines(MATRICES), "K.txt": PINHOLE},
        "tum": {
            "rgb.txt": _lines(f"{second:.6f} {name}" for second, name in zip(seconds, NAMES, strict=True)),
            "depth.txt": _lines(f"{second:.6f} {name}" for second, name in zip(seconds, NAMES, strict=True)),
            "groundtruth.txt": _lines(f"{stamp / 1e9:.6f} {place} 0 0 0 1" for stamp, place in around),
            "camera.json": json.dumps(CAMERA),
        },
        "euroc": {
            "mav0/cam0/data.csv": _lines(f"{stamp},{number:03d}.png" for number, _, stamp, _ in each),
            "mav0/cam0/sensor.yaml": SENSOR,
            "mav0/state_groundtruth_estimate0/data.csv": _lines(
                f"{stamp},{place.replace(' ', ',')},1,0,0,0,0" for stamp, place in around
            ),
        },
        "nerfstudio": {"transforms.json": json.dumps(nerfstudio)},
        "colmap": {
            "sparse/0/cameras.txt": "1 OPENCV 8 6 7 7.1 4 3 0.1 0 0 0\n",
            "sparse/0/images.txt": _lines(
                f"{number + 1} 1 0 0 0 {place} 1 {number:03d}.png\n" for number, place in enumerate(PLACES)
            ),
            "sparse/0/points3D.txt": "# 3D point list\n",
        },
    }


def _write(root: Path, texts: dict[str, str]) -> list[Good]:
    """The texts, and images under all names that a layout may have for them."""
    for number in FRAMES:
        for name in (NAMES[number], f"seq-01/frame-{number:06d}.color.png", f"mav0/cam0/data/{number:03d}.png"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / name), IMAGE_HW3[:6, :8])
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return [Good(root, name) for name in texts]


def _kind(layout: str) -> Kind:
    def read(folder: Path, file: str) -> None:
        load_scene(f"{layout}:{folder / file if file.startswith('chess') else folder}")

    return Kind(lambda root: _write(root, _texts()[layout]), read)


def _split_file(root: Path) -> list[Good]:
    _write(root, _texts()["folder"] | {"split.csv": _lines((f"train,{name}" for name in NAMES), "split,image\n")})
    return [Good(root, "split.csv")]


def _binary_colmap(root: Path) -> list[Good]:
    import pycolmap

    _write(root, _texts()["colmap"])
    folder = root / "sparse" / "0"
    pycolmap.Reconstruction(str(folder)).write_binary(str(folder))
    for path in folder.glob("*.txt"):
        path.unlink()
    return [Good(root, str(path.relative_to(root))) for path in sorted(folder.glob("*.bin"))]


def _presets(root: Path) -> list[Good]:
    names = ("scene_coordinates", "transposenet_indoor", "coarse_to_fine")
    return _write(root, {f"{name}.yaml": preset_path(name).read_text() for name in names})


def _pictured(root: Path) -> list[Good]:
    for name in ("image.png", "image.jpg"):
        cv2.imwrite(str(root / name), IMAGE_HW3)
    cv2.imwrite(str(root / "depth.png"), IMAGE_HW3[..., 0].astype(np.uint16) * 30)
    return [Good(root, name) for name in ("image.png", "image.jpg", "depth.png")]


def _read_image(folder: Path, file: str) -> None:
    if file != "depth.png":
        read_image(folder / file)
        return
    camera, pose = Intrinsics(128, 96, 100.0, 100.0, 63.5, 47.5), Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
    image = PosedImage("a", folder / file, pose, "train", "a", 0.0, folder / file)
    registered_depth(image, DepthCamera(camera, 0.001, pose), camera)


LAYOUTS: dict[str, Kind] = {
    **{name: _kind(name) for name in _texts()},
    "colmap, binary": Kind(_binary_colmap, lambda folder, _: load_scene(f"colmap:{folder}")),
    "split file": Kind(_split_file, lambda folder, file: load_scene(f"folder:{folder}", folder / file)),
    "preset": Kind(_presets, lambda folder, file: load_config(folder / file)),
    "image": Kind(_pictured, _read_image),
}
