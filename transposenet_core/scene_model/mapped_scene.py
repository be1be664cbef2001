"""What a scene model knows of a scene besides the network: map, camera, frames, accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from transposenet_core import checked
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import UNITS, Scene
from transposenet_core.scene_model.keyframes import MOST_KEYFRAMES, KeyframesFile, checked_intrinsics
from transposenet_core.scene_model.known_frames import KnownFrames

KEPT = 0.99  # of held-out frames, which are all of the scene
LARGEST_STD = 1e6
LARGEST_TIME_OFFSET_S = 3600.0  # more is between clocks of another origin, and says nothing of a live camera's


@dataclass(frozen=True)
class HeldOutError:
    """Standard deviations of the error on frames the weights were not fitted to: along the map's axes, scene units and
    radians (rotation vector). ``source`` describes these frames."""

    position_std: tuple[float, float, float]
    rotation_std: tuple[float, float, float]
    source: str

    def covariance_66(self) -> np.ndarray:
        return np.diag(np.square([*self.position_std, *self.rotation_std]))


@dataclass(frozen=True)
class Calibration:
    """The factors that make a model's covariances of single frames as large as its errors on held-out frames.

    ``covariance_scale`` is what they are multiplied by, position and rotation apart. ``largest_sigma_m`` is the
    standard deviation of the position, all axes together, that they then stay within on nearly all of those frames
    (`KEPT`): beyond it a frame is taken as one of another place. None where no frames were held out."""

    covariance_scale: tuple[float, float]
    largest_sigma_m: float | None = None

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def read(cls, values: dict) -> Calibration:
        """The inverse of `to_dict`. KeyError or ValueError where something is missing or out of bounds."""
        position, rotation = checked.numbers("covariance_scale", values["covariance_scale"], 2, 0, 1e12, above=True)
        largest = values.get("largest_sigma_m")
        if largest is not None:
            largest = checked.number("largest_sigma_m", largest, 0, LARGEST_STD, above=True)
        return cls((position, rotation), largest)


@dataclass(frozen=True)
class RefinementError:
    """How large the errors of refined poses are: ``scale`` times the covariance by the matches of a frame, plus what
    matches cannot show, ``position_std`` (scene units) and ``rotation_std`` (radians) along each axis: errors of depth,
    lens and labels, which neighbouring frames share. ``source`` says on which frames they were measured."""

    scale: float
    position_std: float
    rotation_std: float
    source: str

    def covariance_66(self, by_matches_66: np.ndarray) -> np.ndarray:
        """Of a pose with this covariance (6, 6) by its matches."""
        floor_6 = np.repeat(np.square([self.position_std, self.rotation_std]), 3)
        return self.scale * by_matches_66 + np.diag(floor_6)

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def read(cls, values: dict) -> RefinementError:
        """The inverse of `to_dict`. KeyError or ValueError where something is missing or out of bounds."""
        return cls(
            checked.number("refinement.scale", values["scale"], 0, 1e12, above=True),
            checked.number("refinement.position_std", values["position_std"], 0, LARGEST_STD, above=True),
            checked.number("refinement.rotation_std", values["rotation_std"], 0, LARGEST_STD, above=True),
            checked.text("refinement.source", values["source"]),
        )


@dataclass(eq=False)
class MappedScene:
    """A scene under its map frame.

    ``frames`` are those it was made from. ``T_pose_camera`` is the scene's: the network estimates the camera's pose,
    the localizer returns that of the labelled body. ``units`` tells whether positions are metres; ``time_offset_s`` is
    added to an image's stamp to get the time of its pose. ``calibration`` is by the name of its model;
    ``keyframes`` may be left out, ``refinement`` is the error of poses refined against them.
    """

    name: str
    map_frame: str
    held_out_error: HeldOutError
    intrinsics: Intrinsics | None = None
    frames: KnownFrames = field(default_factory=KnownFrames)
    T_pose_camera: Pose | None = None
    units: str = "metres"
    time_offset_s: float = 0.0
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    keyframes: KeyframesFile | None = None
    refinement: RefinementError | None = None

    @classmethod
    def of(cls, scene: Scene, held_out_error: HeldOutError, calibration: Mapping[str, Calibration]) -> MappedScene:
        """What a scene model keeps of a scene that was trained."""
        return cls(
            name=scene.name,
            map_frame=scene.map_frame,
            held_out_error=held_out_error,
            intrinsics=scene.intrinsics,
            frames=KnownFrames.of(scene),
            T_pose_camera=scene.T_pose_camera,
            units=scene.units,
            time_offset_s=scene.time_offset_s if abs(scene.time_offset_s) <= LARGEST_TIME_OFFSET_S else 0.0,
            calibration=dict(calibration),
        )

    def in_metres(self, metres_per_unit: float) -> MappedScene:
        """The same scene with its lengths in metres: frames, mount, validation error and calibration. The network's
        own poses stay as they are."""
        mount, error = self.T_pose_camera, self.held_out_error
        frames = replace(self.frames, positions_N3=metres_per_unit * self.frames.positions_N3)
        x, y, z = (metres_per_unit * std for std in error.position_std)
        refined = self.refinement
        return replace(
            self,
            units="metres",
            refinement=refined and replace(refined, position_std=metres_per_unit * refined.position_std),
            frames=frames,
            held_out_error=replace(error, position_std=(x, y, z)),
            T_pose_camera=mount and Pose(metres_per_unit * mount.position, mount.orientation),
            calibration={
                name: replace(each, largest_sigma_m=each.largest_sigma_m and metres_per_unit * each.largest_sigma_m)
                for name, each in self.calibration.items()
            },
        )

    @property
    def training_positions_N3(self) -> np.ndarray:
        """Where the training images were taken, as labelled."""
        return self.frames.positions_N3[self.frames.places("train")]

    @property
    def training_orientations_N4(self) -> np.ndarray:
        """The orientations w x y z that go with them."""
        return self.frames.orientations_N4[self.frames.places("train")]

    def describe(self, keyframes_file: str) -> dict:
        """All but the frames, for the description; `keyframes_file` is the name that the keyframes' file gets."""
        keyframes = self.keyframes and {
            "file": keyframes_file,
            "count": self.keyframes.count,
            "sha256": self.keyframes.sha256,
        }
        return {
            "name": self.name,
            "map_frame": self.map_frame,
            "units": self.units,
            "time_offset_s": self.time_offset_s,
            "intrinsics": None if self.intrinsics is None else self.intrinsics.to_dict(),
            "T_pose_camera": None if self.T_pose_camera is None else self.T_pose_camera.to_dict(),
            "frames": self.frames.counts(),
            "test_frames": len(self.frames.test_names),
            "held_out_error": asdict(self.held_out_error),
            "calibration": {model: each.to_dict() for model, each in self.calibration.items()},
            "keyframes": keyframes,
            **({"refinement": self.refinement.to_dict()} if self.refinement else {}),
        }

    @classmethod
    def read(cls, description: dict, folder: Path) -> MappedScene:
        """The inverse of `describe`: all but the frames. KeyError, TypeError or ValueError where something is missing
        or out of bounds."""
        intrinsics, T = description["intrinsics"], description["T_pose_camera"]
        return cls(
            name=checked.text("name", description["name"]),
            map_frame=checked.text("map_frame", description["map_frame"]),
            held_out_error=_held_out_error(checked.mapping("held_out_error", description["held_out_error"])),
            intrinsics=None if intrinsics is None else checked_intrinsics(intrinsics),
            T_pose_camera=None if T is None else _pose("T_pose_camera", T),
            units=checked.text("units", description.get("units", UNITS[0]), UNITS),  # older models: metres
            time_offset_s=checked.number(
                "time_offset_s", description["time_offset_s"], -LARGEST_TIME_OFFSET_S, LARGEST_TIME_OFFSET_S
            ),
            calibration={
                checked.text("calibration", model): Calibration.read(checked.mapping("calibration", values))
                for model, values in checked.mapping("calibration", description["calibration"]).items()
            },
            keyframes=_keyframes(description["keyframes"], folder),
            refinement=_refinement(description.get("refinement")),
        )


def _held_out_error(values: dict) -> HeldOutError:
    position, rotation = (
        checked.numbers(name, values[name], 3, 0, LARGEST_STD, above=True) for name in ("position_std", "rotation_std")
    )
    return HeldOutError(position, rotation, checked.text("source", values["source"]))


def _refinement(values: dict | None) -> RefinementError | None:
    return None if values is None else RefinementError.read(checked.mapping("refinement", values))


def _pose(name: str, values: dict) -> Pose:
    checked.numbers(name, values["position"], 3)
    checked.numbers(name, values["orientation_wxyz"], 4, -2, 2)
    return Pose.from_dict(values)


def _keyframes(values: dict | None, folder: Path) -> KeyframesFile | None:
    if values is None:
        return None
    name = checked.text("keyframes.file", values["file"])
    if Path(name).name != name:
        raise ValueError(f"keyframes.file is {name!r}, the name of a file in the same folder is needed")
    count = checked.whole("keyframes.count", values["count"], 0, MOST_KEYFRAMES)
    return KeyframesFile(count, checked.text("keyframes.sha256", values["sha256"]), folder / name)
