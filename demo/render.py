"""Render the demo's drives as images in the 7-Scenes layout: `python demo/render.py --out DIR`.

The images are rendered by child processes: VTK ends its process if a graphics library is missing or fails, and the
caller must survive to report it. `render_drives` is the same as a function.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from transposenet_core.progress import ProgressBar

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from demo.camera_effects import apply_sensor, light_at, sensor_at
from demo.drives import Drive, test_drive, training_drives
from demo.room import LENGTH, WIDTH, build_room
from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError

GRAPHICS_LIBRARIES = ("libEGL.so.1", "libGL.so.1")
VIEW_ANGLE_DEG = 60.0
SEED = 7


def camera_matrix(width: int, height: int) -> np.ndarray:
    """K (3, 3) in pixels, integer coordinates at pixel centres (OpenCV): the image's middle is ((W-1)/2, (H-1)/2)."""
    f = height / 2 / np.tan(np.radians(VIEW_ANGLE_DEG) / 2)
    return np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])


def check_graphics(libraries: Sequence[str] = GRAPHICS_LIBRARIES) -> None:
    """Raises UserError if a library that VTK needs cannot be loaded: VTK itself would end the process."""
    for library in libraries:
        try:
            ctypes.CDLL(library)
        except OSError:
            raise UserError(
                f"The system library {library}, which the demo's renderer needs, cannot be loaded; install it, "
                "on Debian or Ubuntu with: apt install libegl1 libgl1 libgl1-mesa-dri"
            ) from None


def select_drives(which: str) -> list[Drive]:
    """Drives of `train`, `test` or `all`."""
    return (training_drives() if which != "test" else []) + ([test_drive()] if which != "train" else [])


def render_drives(
    out: str | Path,
    drives: str = "all",
    frames: int | None = None,
    size: tuple[int, int] = (320, 240),
    processes: int = 2,
    depth: bool = False,
    progress: bool = True,
    keep: bool = False,
) -> Path:
    """Render drives (`train`, `test`, `all`; at most `frames` of each) to `out` in the 7-Scenes layout; returns `out`.

    With `keep` existing images are not rendered again.

    Raises UserError if a graphics library is missing or a rendering process dies.
    """
    check_graphics()
    out = Path(out)
    selected = select_drives(drives)
    for drive in selected:
        _write_poses(out / f"seq-{drive.number:02d}", drive, frames)
    _write_descriptions(out, selected, size)
    total = sum(len(drive.poses[:frames]) for drive in selected)
    arguments = ["--out", out, "--drives", drives, "--size", f"{size[0]}x{size[1]}", *(["--depth"] if depth else [])]
    arguments += ["--frames", frames] if frames is not None else []
    arguments += ["--keep"] if keep else []
    _run_workers([str(a) for a in arguments], max(1, min(processes, total)), total, progress)
    return out


def _write_poses(folder: Path, drive: Drive, frames: int | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, pose in enumerate(drive.poses[:frames]):
        np.savetxt(folder / f"frame-{index:06d}.pose.txt", pose.matrix_44, fmt="%.9f")


def _write_descriptions(out: Path, drives: list[Drive], size: tuple[int, int]) -> None:
    for name, split in (("TrainSplit.txt", "train"), ("TestSplit.txt", "test")):
        lines = [f"sequence{drive.number}" for drive in drives if drive.split == split]
        with write_atomically(out / name) as temporary:
            temporary.write_text("".join(line + "\n" for line in lines))
    with write_atomically(out / "color-intrinsics.txt") as temporary:
        np.savetxt(temporary, camera_matrix(*size), fmt="%.9f")
    # The same camera; in this layout its figures are for 640 columns, whatever the width of the images.
    with write_atomically(out / "depth-intrinsics.txt") as temporary:
        np.savetxt(temporary, np.diag([640 / size[0], 640 / size[0], 1]) @ camera_matrix(*size), fmt="%.9f")
    objects = [{"name": t.name, "kind": t.kind, "bounds_m": t.bounds} for t in build_room(SEED).things]
    rates = {f"seq-{drive.number:02d}": drive.rate for drive in drives}
    room = {"floor_size_m": [LENGTH, WIDTH], "frame_rate_hz": rates, "objects": objects}
    with write_atomically(out / "room.json") as temporary:
        temporary.write_text(json.dumps(room, indent=1))


def _run_workers(arguments: list[str], processes: int, total: int, progress: bool) -> None:
    """Start the rendering processes and count the lines, one per image, that they write to a shared pipe."""
    environment = os.environ | {"VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow", "LP_NUM_THREADS": "1"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as complaints:
        workers = []
        try:
            for k in range(processes):
                command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--worker", f"{k}/{processes}"]
                workers.append(subprocess.Popen(command, stdout=writing, stderr=complaints, env=environment))
            os.close(writing)
            with open(reading) as lines, ProgressBar(total=total, unit="frame", disable=not progress) as bar:
                for _ in lines:
                    bar.update()
            codes = [worker.wait() for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
        if any(codes):
            complaints.seek(0)
            last = ([line.strip() for line in complaints if line.strip()] or ["no message"])[-1]
            raise UserError(
                f"A rendering process ended with exit code {next(c for c in codes if c)} ({last}); check that "
                "Mesa's software renderer is installed, on Debian or Ubuntu with: apt install libgl1-mesa-dri"
            )


def _work(options: argparse.Namespace) -> None:
    """One rendering process: every n-th frame of the drives, one line to the pipe per image."""
    from demo.renderer import RoomRenderer

    cv2.setNumThreads(1)
    worker, count = (int(part) for part in options.worker.split("/"))
    jobs = [(d, i) for d in select_drives(options.drives) for i in range(len(d.poses[: options.frames]))]
    renderer = RoomRenderer(build_room(SEED), options.size, VIEW_ANGLE_DEG)
    share = -(-len(jobs) // count)
    for drive, index in jobs[worker * share : (worker + 1) * share]:
        name = Path(options.out) / f"seq-{drive.number:02d}" / f"frame-{index:06d}"
        done = [f"{name}.color.jpg", *([f"{name}.depth.png"] if options.depth else [])]
        if options.keep and all(Path(path).is_file() for path in done):
            print(name, flush=True)
            continue
        image_HW3 = renderer.render(drive.poses[index], light_at(drive.number, index / drive.rate))
        if options.depth:
            depth_HW = np.clip(np.round(renderer.depth() * 1000), 0, 65535).astype(np.uint16)
            _write_image(f"{name}.depth.png", depth_HW)
        _write_image(f"{name}.color.jpg", _photograph(image_HW3, drive, index)[..., ::-1])
        print(name, flush=True)


def _photograph(image_HW3: np.ndarray, drive: Drive, index: int) -> np.ndarray:
    """The rendering as the camera sees it: flow from the rotation between neighbouring frames."""
    last = len(drive.poses) - 1
    a, b = (drive.poses[int(np.clip(index + step, 0, last))] for step in (-1, 1))
    ahead_in_a = a.rotation_33.T @ b.rotation_33[:, 2]
    seconds = (min(index + 1, last) - max(index - 1, 0)) / drive.rate
    focal = camera_matrix(image_HW3.shape[1], image_HW3.shape[0])[0, 0]
    flow_xy = -focal * ahead_in_a[:2] / ahead_in_a[2] / seconds
    rng = np.random.default_rng([SEED, drive.number, index])
    return apply_sensor(image_HW3, sensor_at(drive.number, index / drive.rate), flow_xy, rng)


def _write_image(path: str, image: np.ndarray) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.endswith("jpg") else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    with write_atomically(path, sync=False) as temporary:
        if not cv2.imwrite(str(temporary), image, options):
            raise OSError(f"{temporary} could not be written")


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        width = height = 0
    # Even, because the renderer's own image is one and a half times as large.
    if width < 16 or height < 16 or width % 2 or height % 2:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not an image size; give WIDTHxHEIGHT in even numbers from 16x16, for example 320x240"
        )
    return width, height


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Render the demo room in the 7-Scenes layout.")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--drives", choices=("train", "test", "all"), default="all")
    parser.add_argument("--frames", type=int, help="at most this many frames of each drive")
    parser.add_argument("--size", type=_size, default=(320, 240), help="WIDTHxHEIGHT in pixels, 320x240")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--depth", action="store_true", help="also write depth in millimetres, 16-bit PNG")
    parser.add_argument("--keep", action="store_true", help="render only the images that do not exist yet")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        _work(options)
        return 0
    return exit_code(lambda: _render(options))


def _render(options: argparse.Namespace) -> None:
    size, processes = options.size, options.processes
    render_drives(options.out, options.drives, options.frames, size, processes, options.depth, keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
