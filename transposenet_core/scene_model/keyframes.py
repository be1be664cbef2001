"""Keyframes of a scene: small grey training images with depth and pose, for refining a pose against them.

They are optional, and in a separate file beside the weights, read only when needed, because they show the place and
most uses do not need them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.scene_model import checked

FORMAT = 1
ARRAYS = ("image_KHW", "depth_KHW", "positions_K3", "orientations_K4")
MOST_KEYFRAMES, LONGEST_SIDE = 100_000, 4096


@dataclass(frozen=True, eq=False)
class Keyframes:
    """Grey images (K, h, w) uint8 of `camera`, their depth (K, h, w) float16 along the optical axis in the scene's
    units, 0 where it is not known, and their poses ``T_map_camera``: positions (K, 3), orientations (K, 4) w x y z.
    ValueError where they are inconsistent or a number is out of bounds."""

    image_KHW: np.ndarray
    depth_KHW: np.ndarray
    positions_K3: np.ndarray
    orientations_K4: np.ndarray
    camera: Intrinsics

    def __post_init__(self) -> None:
        shape = self.image_KHW.shape
        if len(shape) != 3 or self.image_KHW.dtype != np.uint8 or self.depth_KHW.dtype != np.float16:
            raise ValueError(f"keyframes: images {self.image_KHW.dtype} {shape}, uint8 (K, h, w) with float16 depth")
        if shape != self.depth_KHW.shape or shape[0] != len(self.positions_K3) or shape[0] > MOST_KEYFRAMES:
            raise ValueError(
                f"keyframes: {shape} images, {self.depth_KHW.shape} depths, {len(self.positions_K3)} poses; as many "
                f"of each are needed, at most {MOST_KEYFRAMES}"
            )
        if shape[1:] != (self.camera.height, self.camera.width) or max(shape[1:]) > LONGEST_SIDE:
            size = f"{self.camera.width}x{self.camera.height}"
            raise ValueError(f"keyframes: images of {shape[2]}x{shape[1]}, the camera's are {size}")
        if not (np.isfinite(self.depth_KHW).all() and (self.depth_KHW >= 0).all()):
            raise ValueError("keyframes: a depth that is not finite or below 0")
        checked.poses("keyframes", self.positions_K3, self.orientations_K4)

    def __len__(self) -> int:
        return len(self.image_KHW)

    def to_bytes(self) -> bytes:
        """The content of the file."""
        header = {"format": FORMAT, "camera": self.camera.to_dict()}
        return save_arrays(
            {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}, {"keyframes": json.dumps(header)}
        )

    @classmethod
    def from_file(cls, path: Path) -> Keyframes:
        """UserError names the file and its fault."""
        try:
            with safe_open(path, framework="np") as file:
                header = json.loads((file.metadata() or {})["keyframes"])
                if header["format"] != FORMAT:
                    raise ValueError(f"format {header['format']}, this version reads {FORMAT}")
                camera = checked_intrinsics(header["camera"])
                arrays = {name: file.get_tensor(name) for name in ARRAYS}
                return cls(**arrays, camera=camera)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{path}: the keyframes cannot be read ({reason}); copy the scene model again") from None


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
            self.data()
            assert self.path is not None  # else they were in memory from the beginning
            self._loaded = Keyframes.from_file(self.path)
        return self._loaded

    def data(self) -> bytes:
        """The file's bytes."""
        if self.path is None:
            assert self._loaded is not None
            return self._loaded.to_bytes()
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise UserError(
                f"{self.path}: the keyframes cannot be read ({error}); copy the scene model again"
            ) from None
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise UserError(
                f"{self.path}: {len(data)} bytes whose hash is not the one in the description, the file is truncated "
                "or of another model; copy the whole folder again"
            )
        return data


def checked_intrinsics(values: dict) -> Intrinsics:
    """Intrinsics out of a description. KeyError, TypeError or ValueError where one is missing or out of bounds."""
    values = checked.mapping("intrinsics", values)
    checked.whole("intrinsics.width", values["width"], 1, 100_000)
    checked.whole("intrinsics.height", values["height"], 1, 100_000)
    for name in ("fx", "fy"):
        checked.number(f"intrinsics.{name}", values[name], 0, above=True)
    for name in ("cx", "cy"):
        checked.number(f"intrinsics.{name}", values[name])
    checked.every_number("intrinsics.distortion", values.get("distortion", ()))
    checked.text("intrinsics.source", values.get("source", ""))
    return Intrinsics(**values)
