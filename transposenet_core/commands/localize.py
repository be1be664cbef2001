"""`transposenet localize`: where images were taken, as a table or as JSON, without ROS."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transposenet_core.command_line import next_command, next_node
from transposenet_core.commands.backend_option import add_backend_option, start_localizer
from transposenet_core.commands.data_options import MODEL_HELP
from transposenet_core.commands.image_paths import images_of
from transposenet_core.errors import UserError
from transposenet_core.printable import printable

if TYPE_CHECKING:
    import numpy as np

    from transposenet_core.estimate import Estimate
    from transposenet_core.scene_model import SceneModel

HELP = "the poses of images: a table, or JSON"
DESCRIPTION = """Print the poses of images: T_map_camera, the camera's centre in metres and its orientation as
a quaternion w x y z, optical axes (x right, y down, z forward), with one standard deviation.

  transposenet localize --model MODEL image.jpg folder_of_images ... [--json]

An image that is not localized has the reason in place of 'yes', and no pose. --json prints a list
of objects with the keys image, localized, reason, explanation, scene, scene_probability, map_frame,
units (metres or arbitrary), backend, refined, refinement (what keyframes said), position,
orientation, sigma_m and sigma_deg, null where there is none.
Exit code 0: every image was read and answered, localized or not; 2: something to mend, said in one
sentence."""
NUMBERS = ("x", "y", "z", "qw", "qx", "qy", "qz", "sigma_m", "sigma_deg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("images", nargs="+", type=Path, metavar="IMAGE", help="PNG or JPEG files, or folders of them")
    add("--model", required=True, type=Path, metavar="MODEL", help=MODEL_HELP)
    add("--json", action="store_true", help="print JSON on standard output, and nothing else there")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add_backend_option(parser)
    add(
        "--camera",
        type=Path,
        metavar="FILE",
        help="camera.json of the images: its distortion is removed for a model trained on rectified ones",
    )


def run(args: argparse.Namespace) -> None:
    paths = images_of(args.images, "IMAGE")
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such image; give files or folders of PNG and JPEG images")
    from transposenet_core.progress import ProgressBar
    from transposenet_core.scene import common_units

    localizer = start_localizer(args.model, args.device, args.backend, args.refine)
    read = image_reader(localizer.scene_model, args.camera)
    note_other_shapes(localizer.scene_model, paths)
    shown = ProgressBar(paths, desc="localize", unit="img", disable=not sys.stderr.isatty())
    found = [description(str(path), localizer.localize(read(path))) for path in shown]
    if common_units(localizer.scene_model.scenes) != "metres":
        _note("positions and sigma_m of a scene in arbitrary units are in those, not in metres (key units of --json)")
    print(json.dumps(found, indent=1, allow_nan=False) if args.json else table(found))
    print(f"next: {following(args)}", file=sys.stderr if args.json else sys.stdout)


def following(args: argparse.Namespace) -> str:
    """The live node where ROS is installed, else the same, or as much of it as fits into a line, for a program."""
    node = next_node(args.model) if importlib.util.find_spec("rclpy") else None
    return node or next_command("localize", "--model", args.model, *args.images[:3], "--json")


def image_reader(model: SceneModel, camera_file: Path | None) -> Callable[[Path], np.ndarray]:
    """Reads images (H, W, 3) uint8 as the model was trained on them, where `camera_file` has their distortion.

    Notes on stderr what an image does not show. UserError for a file that does not describe a camera.
    """
    from transposenet_core.formats.camera_files import read_camera_json
    from transposenet_core.geometry.lens_models import bears_distortion
    from transposenet_core.geometry.undistortion import Undistorter
    from transposenet_core.image_files import read_image
    from transposenet_core.preprocessing import read_rectified

    camera = read_camera_json(camera_file) if camera_file else None
    rectified = any(scene.intrinsics is not None and scene.intrinsics.rectified for scene in model.scenes)
    if camera is None:
        if rectified:
            _note("the model was trained on rectified images, and these are taken as such; if not, give their --camera")
        return read_image
    if not rectified or not bears_distortion(camera):
        why = f"{camera_file} has no distortion" if rectified else "the model was trained on images with distortion"
        _note(f"--camera changes nothing: {why}")
        camera = replace(camera, distortion_model="none", distortion=())
    undistorter = Undistorter(camera)
    return lambda path: read_rectified(path, undistorter)


def note_other_shapes(model: SceneModel, paths: Sequence[Path]) -> None:
    """Says on stderr that images are cropped or rotated, where they are not those of the training in another size."""
    from transposenet_core.geometry.intrinsics import aspect_difference
    from transposenet_core.image_files import stored_size

    cameras = [scene.intrinsics for scene in model.scenes if scene.intrinsics is not None]
    sizes = {path: size for path in paths if (size := stored_size(path)) is not None}
    other = [
        (path, size)
        for path, size in sizes.items()
        if cameras and all(aspect_difference(size, (camera.width, camera.height)) for camera in cameras)
    ]
    if other:
        (path, (width, height)), camera = other[0], cameras[0]
        _note(
            f"{len(other)} of {len(paths)} images have another aspect ratio than those of the training, "
            f"{camera.width}x{camera.height}, and are cropped ({path}: {width}x{height}); their poses may be wrong"
        )


def description(image: str, estimate: Estimate) -> dict[str, Any]:
    """What is known of one image, for JSON. A pose that is not localized is null."""
    pose = estimate.pose if estimate.localized else None
    variances_6 = estimate.covariance_66.diagonal()
    return {
        "image": printable(image),
        "localized": estimate.localized,
        "reason": estimate.reason,
        "explanation": estimate.explanation,
        "scene": estimate.scene,
        "scene_probability": estimate.scene_probability,
        "map_frame": estimate.map_frame,
        "units": estimate.units,
        "backend": estimate.backend,
        "refined": estimate.refined,
        "refinement": estimate.refinement,
        "position": None if pose is None else pose.position.tolist(),
        "orientation": None if pose is None else pose.orientation.tolist(),
        "sigma_m": None if estimate.pose is None else math.sqrt(variances_6[:3].sum()),
        "sigma_deg": None if estimate.pose is None else math.degrees(math.sqrt(variances_6[3:].sum())),
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """The same as text: a line for each image, columns aligned."""
    rows = [["image", *NUMBERS, "localized", "scene"]]
    for one in found:
        metres, unit = one["position"] or [None] * 3, one["orientation"] or [None] * 4
        values = [*metres, *unit, one["sigma_m"], one["sigma_deg"]]
        places = [3] * 3 + [4] * 4 + [3, 2]
        numbers = ["-" if v is None else f"{v:.{n}f}" for v, n in zip(values, places, strict=True)]
        rows.append([one["image"], *numbers, "yes" if one["localized"] else one["reason"], one["scene"]])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(NUMBERS)
    lines = [
        "  ".join(
            cell.rjust(width) if 0 < number <= last else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
