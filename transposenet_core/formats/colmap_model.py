"""A COLMAP model read by pycolmap, in a process of its own: files of others can hang it or fill the memory."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from transposenet_core import checked
from transposenet_core.errors import UserError
from transposenet_core.formats import colmap_child
from transposenet_core.formats.colmap_text import write_clean_model

# What pycolmap takes by itself, and for a byte of a model; seconds are those of a CPU.
BYTES, BYTES_PER_BYTE, SECONDS, BYTES_PER_SECOND = 2**30, 50, 5, 10**6


@dataclass(frozen=True)
class Camera:
    """One of COLMAP's: its model's name and the parameters that this has."""

    camera_id: int
    model_name: str
    width: int
    height: int
    params: list[float]


@dataclass(frozen=True)
class Image:
    """A registered image and its transform from the map to the camera, (3, 4) as lists."""

    name: str
    camera_id: int
    T_camera_map_34: list[list[float]]


@dataclass(frozen=True)
class ColmapModel:
    """`count` is that of all images, registered or not."""

    count: int
    images: list[Image]
    cameras: dict[int, Camera]


def read_model(folder: Path) -> ColmapModel:
    """UserError where pycolmap is not installed or cannot read the model within bounds that grow with its size."""
    if importlib.util.find_spec("pycolmap") is None:
        raise UserError(
            f"{folder}: COLMAP models need pycolmap (it is not installed); pip install pycolmap, or "
            "'transposenet_ros[colmap]'"
        )
    if not (folder / "images.bin").is_file():
        return _read_text_model(folder)
    return _read(folder, folder)


def _read_text_model(folder: Path) -> ColmapModel:
    """pycolmap reads a cleaned copy, in which names are quoted."""
    with tempfile.TemporaryDirectory() as clean:
        try:
            write_clean_model(folder, Path(clean))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: the text model cannot be read ({error}); copy it again") from None
        model = _read(Path(clean), folder)
    return replace(model, images=[replace(image, name=unquote(image.name)) for image in model.images])


def _read(files: Path, folder: Path) -> ColmapModel:
    """The model in `files`, which messages call `folder`."""
    size = sum(path.stat().st_size for path in files.iterdir() if path.suffix in (".bin", ".txt"))
    limits = BYTES + BYTES_PER_BYTE * size, SECONDS + size // BYTES_PER_SECOND
    # As text, and without the current folder: modules of ours or of the user's would stand before Python's own.
    command = [sys.executable, "-c", Path(colmap_child.__file__).read_text(), str(files), *map(str, limits)]
    safe = os.environ | {"PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=safe)
    try:
        content = checked.mapping("what pycolmap read", checked.parsed_json(done.stdout))
        if "error" in content:
            raise ValueError(content["error"])
        return ColmapModel(
            content["count"],
            [Image(*values) for values in content["images"]],
            {values[0]: Camera(*values) for values in content["cameras"]},
        )
    except ValueError as error:
        ended = f"it ended with code {done.returncode}, at most {limits[0] >> 20} MB and {limits[1]} s are granted"
        reason = f"{error}" if done.stdout else ended
        raise UserError(
            f"{folder}: pycolmap cannot read the model ({reason[:300]}); it has cameras, images and points3D, all "
            ".bin or all .txt: copy it again"
        ) from None
