"""What the text formats share: numbers of a file to poses, with a fault instead of an error for a row that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.pose import Pose
from transposenet_core.text_files import open_text

CAMERA_TO_MAP, MAP_TO_CAMERA = "camera_to_map", "map_to_camera"
CONVENTIONS = (CAMERA_TO_MAP, MAP_TO_CAMERA)
MAX_POSITION_M = 1e6  # no scene is larger; GreatCourt has a camera at 3e9 m
MAX_NORM_DEVIATION = 1e-3  # six printed digits give 1e-6; more is not rounding
MAX_ORTHONORMAL_DEVIATION = 1e-2  # of R^T R from one: beyond it the block is not a rounded rotation
REPORTED_ORTHONORMAL_DEVIATION = 1e-5  # six printed digits give 1e-5


class PoseReader:
    """Makes poses from numbers. Refused rows go to `faults`; corrected rotations are reported once, by
    :meth:`remark_on_corrected`."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.corrected = 0
        self.largest = 0.0
        self.worst = ""

    def from_quaternion(self, where: object, numbers: Sequence[str], convention: str = CAMERA_TO_MAP) -> Pose | None:
        """``T_map_camera`` of x y z (the camera's centre in map metres) qw qx qy qz; None for a row with a fault.

        With `convention` map_to_camera the quaternion rotates map axes to camera axes and is inverted.
        """
        values = self.numbers(where, numbers, 7)
        if values is None or not self._near(where, values[:3]):
            return None
        norm = float(np.linalg.norm(values[3:]))
        if abs(norm - 1) > MAX_NORM_DEVIATION:
            self.faults.refuse(where, f"a quaternion of length {norm:.6g}, allowed is 1 +- {MAX_NORM_DEVIATION:g}")
            return None
        return Pose(values[:3], values[3:] * ((1, 1, 1, 1) if convention == CAMERA_TO_MAP else (1, -1, -1, -1)))

    def from_matrix(self, where: object, T_44: np.ndarray, convention: str = CAMERA_TO_MAP) -> Pose | None:
        """``T_map_camera`` of a 4x4 transform, (inverted) with the nearest rotation; None for one with a fault."""
        T, refuse = np.asarray(T_44, np.float64), self.faults.refuse
        if not np.isfinite(T).all():
            refuse(where, "a number that is not finite")
            return None
        R = T[:3, :3]
        determinant, deviation = float(np.linalg.det(R)), float(np.abs(R.T @ R - np.eye(3)).max())
        if not np.allclose(T[3], [0, 0, 0, 1], atol=1e-6):
            refuse(where, f"the last row of the matrix is {T[3].tolist()}, it must be 0 0 0 1")
        elif determinant < 0:
            refuse(where, f"the rotation block has determinant {determinant:.3g}: a reflection; a rotation has +1")
        elif deviation > MAX_ORTHONORMAL_DEVIATION:
            refuse(
                where, f"the rotation block is {deviation:.3g} off orthonormal, {MAX_ORTHONORMAL_DEVIATION} is allowed"
            )
        elif self._near(where, T[:3, 3]):
            self._note(where, deviation)
            pose = Pose.from_matrix(T)
            return pose if convention == CAMERA_TO_MAP else pose.inverse()
        return None

    def numbers(self, where: object, texts: Sequence[str], count: int) -> np.ndarray | None:
        """`count` finite numbers, or None and a fault."""
        if len(texts) != count:
            self.faults.refuse(where, f"{len(texts)} numbers, there must be {count}")
            return None
        try:
            values = np.array([float(text) for text in texts])
        except ValueError as error:
            self.faults.refuse(where, str(error))
            return None
        if not np.isfinite(values).all():
            self.faults.refuse(where, "a number that is not finite")
            return None
        return values

    def remark_on_corrected(self, where: object) -> None:
        """One remark on all the rotation blocks that were corrected, however many."""
        if self.corrected:
            self.faults.remark(
                where,
                f"{self.corrected} rotation blocks were not orthonormal and were replaced by the nearest rotation: "
                f"at most {self.largest:.2g} off, in {self.worst}",
            )

    def _near(self, where: object, position_3: np.ndarray) -> bool:
        distance = float(np.linalg.norm(position_3))
        if distance > MAX_POSITION_M:
            self.faults.refuse(where, f"a camera at {distance:.3g} m, at most {MAX_POSITION_M:g} m is allowed")
        return distance <= MAX_POSITION_M

    def _note(self, where: object, deviation: float) -> None:
        if deviation > REPORTED_ORTHONORMAL_DEVIATION:
            self.corrected += 1
            if deviation > self.largest:
                self.largest, self.worst = deviation, str(where)


def below(name: str) -> bool:
    """Whether an image's name stays below its folder: labels come from others."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def convention_of(options: dict[str, str], default: str | None, name: str, path: Path) -> str:
    """The option `convention`, or `default`. UserError where it is neither of the two, or missing."""
    convention = options.get("convention", default)
    if convention is None:
        raise UserError(
            f"{path}: the format {name} has no fixed convention: write {name}:{path},convention={CAMERA_TO_MAP} (as "
            f"7-Scenes' files have it) or ...,convention={MAP_TO_CAMERA} (as Cambridge's have it); transposenet check "
            "measures which one explains the motion between the images"
        )
    if convention not in CONVENTIONS:
        raise UserError(f"{path}: convention={convention} is unknown; allowed are {' and '.join(CONVENTIONS)}")
    return convention


def read_lines(path: Path, what: str) -> list[str]:
    """A text file's lines. UserError that states `what` the file should be where it cannot be read."""
    try:
        with open_text(path) as file:
            return [line.rstrip("\n") for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: it cannot be read ({error}); it should be {what}") from None
