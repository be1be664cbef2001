#!/usr/bin/env python3
"""How far the poses of each back end are from torch's on real frames, and what that does to the error.

python benchmarks/parity.py MODEL [MODEL ...] --data FORMAT:PATH [--split FILE] [--select test]

Each back end that is installed runs every frame, OpenVINO also in bfloat16 where the processor has it, whether the
scene model allows it or not. The difference is between the poses of one frame; the rise is that of the median errors.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks import markdown
from transposenet_core.backends.contract import Backend, BackendError, TorchBackend
from transposenet_core.backends.onnx_file import onnx_file
from transposenet_core.backends.onnxruntime_backend import OnnxRuntimeBackend
from transposenet_core.backends.openvino_backend import OpenVinoBackend
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.evaluation.offline import find_mapped_scene, image_reader
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.pose_averaging import output_of_images
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import PosedImage, Scene, unit_name
from transposenet_core.scene_model import SceneModel

HEADER = ("model, back end", "median error", "rise", "difference, median", "p95", "largest")


def back_ends(model: SceneModel, folder: Path, threads: int) -> dict[str, Backend]:
    """By name and precision, torch first; one that cannot run the model is left out with a note."""
    found: dict[str, Backend] = {"torch float32": TorchBackend(model.network.to(memory_format=torch.channels_last))}
    for name, make, precision in (
        ("onnxruntime", OnnxRuntimeBackend, ()),
        ("openvino", OpenVinoBackend, ("float32",)),
        ("openvino", OpenVinoBackend, ("bfloat16",)),
    ):
        if importlib.util.find_spec(name) is None:
            continue
        try:
            back_end = make(model.network, onnx_file(model, folder), threads, *precision)
            found[f"{name} {back_end.precision}"] = back_end
        except BackendError as error:
            print(f"note: {folder}: {name} {' '.join(precision)} {error}", file=sys.stderr)
    return found


@torch.inference_mode()
def poses_of(run: Backend, model: SceneModel, images: Sequence[torch.Tensor]) -> list[Pose]:
    """Of the labelled body, as `Localizer` gives them, without its abstention."""
    T_pose_camera, poses = model.scenes[0].T_pose_camera, []
    for image_N3HW in images:
        output = output_of_images(run, image_N3HW, images=1)
        pose = Pose(*(output[name][0].double().numpy() for name in ("position", "orientation")))
        poses.append(pose @ T_pose_camera.inverse() if T_pose_camera else pose)
    return poses


def rows_of(folder: Path, scene: Scene, frames: Sequence[PosedImage]) -> list[tuple[str, ...]]:
    model, rows = SceneModel.load(folder), []
    if len(model.scenes) > 1:
        raise UserError(f"{folder}: a model of {len(model.scenes)} scenes; give models of one")
    unit = unit_name(model.scenes[0].units)
    read = image_reader(scene, find_mapped_scene(model, scene))
    reading = ProgressBar(frames, total=len(frames), unit="image", mininterval=1)
    images = [model.preprocessing(read(frame)) for frame in reading]
    labels, reference, before = [frame.pose for frame in frames], None, (0.0, 0.0)
    for name, run in back_ends(model, folder, torch.get_num_threads()).items():
        poses = poses_of(run, model, images)
        medians = [float(np.median(errors_N)) for errors_N in pose_errors(poses, labels)]
        cells = [f"{folder.name} {name}", f"{medians[0]:.4f} {unit} / {medians[1]:.3f} deg"]
        if reference is None:
            reference, before = poses, (medians[0], medians[1])
            rows.append((*cells, *[""] * 4))
            continue
        rises = [f"{100 * (after / one - 1):+.2f} %" for after, one in zip(medians, before, strict=True)]
        metres_N, degrees_N = pose_errors(poses, reference)
        percentiles = [(np.percentile(metres_N, at), np.percentile(degrees_N, at)) for at in (50, 95, 100)]
        rows.append((*cells, " / ".join(rises), *(f"{m:.2g} {unit} / {d:.2g} deg" for m, d in percentiles)))
    return rows


def run(args: argparse.Namespace) -> None:
    scene = load_scene(args.data, args.split)
    frames = scene.select(args.select)
    rows = [row for folder in args.models for row in rows_of(folder, scene, frames)]
    print(f"{len(frames)} frames ({args.select}) of {scene.name}")
    print(markdown.table(HEADER, rows))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Parity of the back ends on the frames of a data set.")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH")
    parser.add_argument("--split", metavar="FILE")
    parser.add_argument("--select", default="test", choices=("train", "val", "test"))
    return exit_code(lambda: run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
