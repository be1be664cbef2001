#!/usr/bin/env python3
"""How well `transposenet map` undoes the errors of a recording, in the demo's room, which is known exactly.

python benchmarks/mapping_demo.py --out DIR [--drives 1 2] [--every N] [--errors amcl|independent|none] [--seed S]

Renders the drives unless DIR/room has them, gives their poses the errors of `recording_errors.py` and makes a map of
them. Prints how far its poses are from the exact ones (after SE(3), after Sim(3)), the scale, the lens, and how far its
depth is from the renderer's. Development looked at drives 1 and 2; the reported figures are of drives 5 and 6.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from benchmarks.recording_errors import RecordingErrors, as_recorded
from demo.drives import training_drives
from demo.render import render_drives
from transposenet_core.command_line import exit_code
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.formats import load_scene
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.image_files import image_stem
from transposenet_core.mapping.build import build_map
from transposenet_core.mapping.mapped_dataset import ADJUSTED, RECORDED, read_poses
from transposenet_core.mapping.options import MapOptions
from transposenet_core.scene import Scene

ERRORS = {
    "amcl": RecordingErrors(),
    "independent": RecordingErrors(independent=True, drift=0, time_offset_s=0, focal_length=1),
    "none": RecordingErrors(position_m=0, rotation_deg=0, drift=0, time_offset_s=0, focal_length=1),
}


def exact_scene(room: Path, drives: list[int], every: int) -> Scene:
    """Every n-th frame of these drives with exact poses, all `train`."""
    rate = training_drives()[0].rate
    scene = load_scene(f"7scenes:{room},rate={rate:g}")
    names = {f"seq-{number:02d}" for number in drives}
    chosen = [image for image in scene.images if image.sequence in names]
    return replace(scene.of_the_camera(), images=[replace(i, split="train") for i in chosen[::every]])


def compare(args: argparse.Namespace) -> None:
    room = args.room or args.out / "room"
    if not (room / "TrainSplit.txt").is_file():
        render_drives(room, "train", depth=True, keep=True)
    exact = exact_scene(room, args.drives, args.every)
    errors = replace(ERRORS[args.errors], seed=args.seed)
    recorded = args.out / "recorded"
    bare = replace(exact, depth_camera=None, images=[replace(i, depth_path=None) for i in exact.images])
    write_folder_dataset(recorded, as_recorded(bare, errors), overwrite=True)
    shutil.rmtree(args.out / "map", ignore_errors=True)
    options = MapOptions(threads=args.threads, labels=args.labels)
    mapped = build_map(load_scene(recorded), args.out / "map", options)
    rows, report = [], {}
    true = {image.name: image.pose for image in exact.images}
    for label, file in (("recorded", RECORDED), ("adjusted", ADJUSTED)):
        figures = pose_figures(read_poses(args.out / "map" / file), true)
        report[label] = figures
        rows.append((label, *(f"{figures[key]:.4f}" for key in FIGURES)))
    print(markdown.table(("poses", *FIGURES), rows))
    lens = mapped.adjustment.lens_after
    assert exact.intrinsics is not None
    report["focal_length_error"] = lens.fx / exact.intrinsics.fx - 1
    report["time_offset_s"] = mapped.adjustment.offset.seconds
    report["labels"] = mapped.choice.labels
    report["depth"] = depth_figures(exact, args.out / "map")
    print(json.dumps(report, indent=1))
    (args.out / "mapping_demo.json").write_text(json.dumps(report, indent=1) + "\n")


FIGURES = ("se3_m", "se3_p95_m", "se3_deg", "sim3_m", "scale")


def pose_figures(poses: dict[str, Pose], exact: dict[str, Pose]) -> dict[str, float]:
    """Median distance and degrees after SE(3), median distance after Sim(3), and the scale of the poses."""
    ours, theirs = [poses[name] for name in poses], [exact[name] for name in poses]
    scaled, rigid = (Similarity.of_points(stack(ours)[0], stack(theirs)[0], with_scale) for with_scale in (True, False))
    metres_N, degrees_N = pose_errors([rigid(pose) for pose in ours], theirs)
    scaled_N, _ = pose_errors([scaled(pose) for pose in ours], theirs)
    return {
        "se3_m": float(np.median(metres_N)),
        "se3_p95_m": float(np.percentile(metres_N, 95)),
        "se3_deg": float(np.median(degrees_N)),
        "sim3_m": float(np.median(scaled_N)),
        "scale": 1 / scaled.scale,
    }


def depth_figures(room: Scene, folder: Path) -> dict[str, float]:
    """The map's depth against the renderer's: coverage, and of the relative errors the median, the bias, and how many
    are within 5 and 10 and beyond 20 %."""
    mapped = load_scene(folder)
    exact = {image_stem(image.name): image for image in room.images}
    camera, true_camera = mapped.depth_camera, room.depth_camera
    if camera is None or true_camera is None:
        return {}
    errors, pixels = [], 0
    for image in mapped.images:
        if image.split != "train":
            continue
        true_path = exact[image_stem(image.name)].depth_path
        true_HW = cv2.imread(str(true_path), cv2.IMREAD_UNCHANGED) * true_camera.metres_per_unit
        shape = camera.intrinsics.height, camera.intrinsics.width
        rows, columns = _places(camera.intrinsics, room, true_HW.shape, shape)
        inside = (rows >= 0) & (rows < true_HW.shape[0]) & (columns >= 0) & (columns < true_HW.shape[1])
        sampled_HW = true_HW[rows.clip(0, true_HW.shape[0] - 1), columns.clip(0, true_HW.shape[1] - 1)] * inside
        pixels += np.count_nonzero(sampled_HW)
        if image.depth_path is None:
            continue
        depth_HW = cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED) * camera.metres_per_unit
        both = (depth_HW > 0) & (sampled_HW > 0)
        errors.append(depth_HW[both] / sampled_HW[both] - 1)
    error_N = np.concatenate(errors)
    size_N = np.abs(error_N)
    return {
        "coverage": len(error_N) / pixels,
        "median": float(np.median(size_N)),
        "bias": float(np.median(error_N)),
        "within_5": float((size_N < 0.05).mean()),
        "within_10": float((size_N < 0.10).mean()),
        "beyond_20": float((size_N > 0.20).mean()),
    }


def _places(
    pinhole: Intrinsics, room: Scene, true_shape: tuple[int, ...], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column in the renderer's depth image of each pixel of the map's."""
    assert room.depth_camera is not None
    camera = room.depth_camera.intrinsics
    x, y = true_shape[1] / camera.width, true_shape[0] / camera.height
    row_HW, column_HW = np.indices(shape)
    columns = (column_HW - pinhole.cx) / pinhole.fx * camera.fx * x + (camera.cx + 0.5) * x - 0.5
    rows = (row_HW - pinhole.cy) / pinhole.fy * camera.fy * y + (camera.cy + 0.5) * y - 0.5
    return np.rint(rows).astype(int), np.rint(columns).astype(int)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--room", type=Path, help="a folder with the rendered drives")
    parser.add_argument("--drives", type=int, nargs="+", default=[5, 6])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--errors", choices=tuple(ERRORS), default="amcl")
    parser.add_argument("--labels", choices=("auto", "adjusted", "recorded"), default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    return exit_code(lambda: compare(args))


if __name__ == "__main__":
    sys.exit(main())
