"""Keyframes of a scene: small grey training images with depth and pose, for refining a pose against them.

They are optional, and in a separate file beside the weights, read only when needed, because they show the place and
most uses do not need them.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays

from transposenet_core import checked
from transposenet_core.errors import UserError
from transposenet_core.file_hash import sha256_of
from transposenet_core.geometry.intrinsics import DISTORTION_MODELS, Intrinsics
from transposenet_core.tensor_header import TensorHeader, Wanted, compare

FORMAT = 2  # 1 had depth at the size of the images, and was never written by a released version
ARRAYS = ("image_KHW", "depth_Khw", "positions_K3", "orientations_K4")
MOST_KEYFRAMES, LONGEST_SIDE, MOST_BYTES = 100_000, 4096, 2**31
# Of a camera that images are rectified or warped for: OpenCV's longest side, and the largest sensors' pixels.
MOST_CAMERA_SIDE, MOST_PIXELS, MOST_COEFFICIENTS = 32_767, 2**27, 14


@dataclass(frozen=True, eq=False)
class Keyframes:
    """Grey images (K, H, W) uint8 of the pinhole `camera`, their depth (K, H / 2, W / 2) float16 along the optical axis
    in the scene's units, 0 where it is not known, and their poses ``T_map_camera``: positions (K, 3), orientations
    (K, 4) w x y z. Sides are even. ValueError where they are inconsistent or a number is out of bounds."""

    image_KHW: np.ndarray
    depth_Khw: np.ndarray
    positions_K3: np.ndarray
    orientations_K4: np.ndarray
    camera: Intrinsics

    def __post_init__(self) -> None:
        shape = self.image_KHW.shape
        if len(shape) != 3 or self.image_KHW.dtype != np.uint8 or self.depth_Khw.dtype != np.float16:
            raise ValueError(f"keyframes: images {self.image_KHW.dtype} {shape}, uint8 (K, H, W) with float16 depth")
        half = (shape[0], *half_size(self.camera))
        if half != self.depth_Khw.shape or shape[0] != len(self.positions_K3) or shape[0] > MOST_KEYFRAMES:
            raise ValueError(
                f"keyframes: {shape} images, {self.depth_Khw.shape} depths, {len(self.positions_K3)} poses; as many "
                f"of each are needed, at most {MOST_KEYFRAMES}, depth at half the images' size"
            )
        if shape[1:] != (self.camera.height, self.camera.width) or max(shape[1:]) > LONGEST_SIDE:
            size = f"{self.camera.width}x{self.camera.height}"
            raise ValueError(f"keyframes: images of {shape[2]}x{shape[1]}, the camera's are {size}")
        if not (np.isfinite(self.depth_Khw).all() and (self.depth_Khw >= 0).all()):
            raise ValueError("keyframes: a depth that is not finite or below 0")
        checked.poses("keyframes", self.positions_K3, self.orientations_K4)

    def __len__(self) -> int:
        return len(self.image_KHW)

    def only(self, places_M: np.ndarray) -> Keyframes:
        """Some of them."""
        return Keyframes(**{name: getattr(self, name)[places_M] for name in ARRAYS}, camera=self.camera)

    def to_bytes(self) -> bytes:
        """The content of the file."""
        header = {"format": FORMAT, "camera": self.camera.to_dict()}
        return save_arrays(
            {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}, {"keyframes": json.dumps(header)}
        )

    @classmethod
    def from_file(cls, path: Path, camera: Intrinsics | None = None) -> Keyframes:
        """UserError names the file and its fault, which is found before its arrays are read; `camera` is that of
        `described_camera` where the file was checked with it."""
        camera = camera or described_camera(path)
        try:
            with safe_open(path, framework="np") as file:
                return cls(**{name: file.get_tensor(name) for name in ARRAYS}, camera=camera)
        except (OSError, SafetensorError, TypeError, ValueError) as error:
            raise _unreadable(path, error) from None


def half_size(camera: Intrinsics) -> tuple[int, int]:
    """Height and width of the depth of keyframes of a camera. ValueError where its sides are not even."""
    if camera.height % 2 or camera.width % 2:
        raise ValueError(f"keyframes: images of {camera.width}x{camera.height}, even sides are needed")
    return camera.height // 2, camera.width // 2


def described_camera(path: Path, counts: range = range(MOST_KEYFRAMES + 1)) -> Intrinsics:
    """The camera in the header of a keyframes file. UserError where the file does not hold as many of its images as
    `counts` allows, their depths and poses, and nothing else."""
    header = TensorHeader.of(path, MOST_BYTES)
    try:
        described = checked.mapping("keyframes", checked.parsed_json(header.metadata["keyframes"]))
        if described["format"] != FORMAT:
            raise ValueError(f"format {described['format']}, this version reads {FORMAT}")
        camera = checked_intrinsics(described["camera"])
        types = (("U8",), ("F16",), ("F64", "F32"), ("F64", "F32"))
        sides = ((camera.height, camera.width), half_size(camera), (3,), (4,))
        wanted = {name: Wanted(t, (counts, *rest)) for name, t, rest in zip(ARRAYS, types, sides, strict=True)}
        compare(header.tensors, wanted)
        return camera
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200]
    return UserError(f"{path}: the keyframes cannot be read ({reason}); copy the scene model again")


@dataclass(eq=False)
class KeyframesFile:
    """Keyframes that are in memory, or in a file until they are needed. UserError where the file is another one."""

    count: int
    sha256: str
    path: Path | None = None
    _loaded: Keyframes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, keyframes: Keyframes) -> KeyframesFile:
        return cls(len(keyframes), hashlib.sha256(keyframes.to_bytes()).hexdigest(), None, keyframes)

    def load(self) -> Keyframes:
        """Read once, and checked against its hash."""
        if self._loaded is None:
            assert self.path is not None  # else they were in memory from the beginning
            self._loaded = Keyframes.from_file(self.path, self._check(self.path))
        return self._loaded

    def data(self) -> bytes:
        """The file's bytes."""
        if self.path is None:
            assert self._loaded is not None
            return self._loaded.to_bytes()
        self._check(self.path)
        return self.path.read_bytes()

    def _check(self, path: Path) -> Intrinsics:
        """The camera in the file. UserError where the file is not the one that the description promises."""
        camera = described_camera(path, range(self.count, self.count + 1))
        if sha256_of(path) != self.sha256:
            raise UserError(
                f"{path}: its hash is not the one in the description, the file is damaged or of another model; "
                "copy the whole folder again"
            )
        return camera


def checked_intrinsics(values: dict) -> Intrinsics:
    """Intrinsics out of a description. KeyError, TypeError or ValueError where one is missing or out of bounds."""
    values = checked.mapping("intrinsics", values)
    sides = [checked.whole(f"intrinsics.{name}", values[name], 1, MOST_CAMERA_SIDE) for name in ("width", "height")]
    if math.prod(sides) > MOST_PIXELS:  # the node may warp its images into this camera's
        raise ValueError(f"intrinsics of {sides[0]} x {sides[1]} pixels, at most {MOST_PIXELS} are allowed")
    for name in ("fx", "fy"):
        checked.number(f"intrinsics.{name}", values[name], 0, above=True)
    for name in ("cx", "cy"):
        checked.number(f"intrinsics.{name}", values[name])
    for value in checked.sequence("intrinsics.distortion", values.get("distortion", ()), 0, MOST_COEFFICIENTS):
        checked.number("intrinsics.distortion", value)
    checked.text("intrinsics.distortion_model", values.get("distortion_model", "none"), DISTORTION_MODELS)
    checked.text("intrinsics.source", values.get("source", ""))
    if values.get("rectified") is not None:
        checked.flag("intrinsics.rectified", values["rectified"])
    return Intrinsics(**values)
