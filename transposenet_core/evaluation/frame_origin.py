"""Whether a scene model knows the frames that it is evaluated on: trained on them, or of another place altogether.

A name alone does not tell: every recording that is imported begins with seq-01/frame-000000. A frame is known where
its name and its pose are, or where one similarity transform takes all poses of the same names onto the known ones:
then it is the same recording in another map frame or unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from transposenet_core.formats.image_names import same_images
from transposenet_core.geometry.pose import Pose, rotation_angle_deg, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.printable import printable
from transposenet_core.scene import Scene, unit_name
from transposenet_core.scene_model import MappedScene
from transposenet_core.scene_model.known_frames import SPLITS

SAME_SHARE, SAME_DEG = 1e-3, 0.2  # of the scene's size; labels are written with six digits
FEWEST_FRAMES = 4  # that a similarity transform is fitted to
LEAST_EQUAL = 0.5  # of the frames of equal names, in the same recording


@dataclass(frozen=True, eq=False)
class Recognised:
    """Index of a frame -> that of the same frame among the known ones, and the transform that takes the frames' map to
    the model's; None where both are one."""

    known: Mapping[int, int]
    moved: Similarity | None = None


def recognise(mapped: MappedScene, names: Sequence[str], poses: Sequence[Pose]) -> Recognised:
    """Which frames the scene model knows."""
    frames = mapped.frames
    partners = same_images(names, frames.names)
    if not partners:
        return Recognised({})
    mine_M, theirs_M = np.array(list(partners)), np.array(list(partners.values()))
    p_N3, q_N4 = stack([poses[index] for index in mine_M])
    known_N3, known_N4 = frames.positions_N3[theirs_M], frames.orientations_N4[theirs_M]
    tolerance = SAME_SHARE * float(np.linalg.norm(np.ptp(frames.positions_N3, axis=0)))
    equal_M = _equal(p_N3, q_N4, known_N3, known_N4, tolerance)
    moved = None
    if equal_M.mean() < LEAST_EQUAL and len(partners) >= FEWEST_FRAMES:
        try:
            moved = Similarity.of_points(p_N3, known_N3)
        except ValueError:  # on one line
            return Recognised({})
        there = stack([moved(poses[index]) for index in mine_M])
        equal_M = _equal(*there, known_N3, known_N4, tolerance)
    if equal_M.mean() < LEAST_EQUAL:
        return Recognised({})
    return Recognised(dict(zip(mine_M[equal_M].tolist(), theirs_M[equal_M].tolist(), strict=True)), moved)


def _equal(p_N3: np.ndarray, q_N4: np.ndarray, known_N3: np.ndarray, known_N4: np.ndarray, near: float) -> np.ndarray:
    return (np.linalg.norm(p_N3 - known_N3, axis=1) <= near) & (rotation_angle_deg(q_N4, known_N4) <= SAME_DEG)


@dataclass(frozen=True)
class FrameOrigin:
    """Of ``frames`` evaluated frames so many were ``trained_on``, ``validated_on``, or ``left_out`` between the two;
    ``problems`` are sentences about data that are not of the model's scene or not in its map."""

    frames: int
    trained_on: int
    validated_on: int
    left_out: int
    problems: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        mapped: MappedScene,
        scene: str,
        names: Sequence[str],
        poses: Sequence[Pose],
        evaluated: Sequence[int],
        units: str = "metres",
    ) -> FrameOrigin:
        """Of the `evaluated` ones (indices) among the frames of a data set, by their names and poses in `units`;
        `scene` is what the data call their scene."""
        found = recognise(mapped, names, poses)
        wanted = set(evaluated)
        splits = [mapped.frames.split_N[k] for i, k in found.known.items() if i in wanted]
        trained_on, validated_on, left_out = (splits.count(number) for number in range(len(SPLITS)))
        problems = [_moved(found.moved, mapped)] if found.moved else []
        if not found.known:
            problems += _elsewhere(mapped, scene, [poses[index] for index in evaluated])
        if not found.moved and units != mapped.units:
            problems.append(f"the data are in {units} units and the model's scene in {mapped.units}; use {OPTIONS}")
        return cls(len(evaluated), trained_on, validated_on, left_out, tuple(problems))

    def warnings(self, select: str = "test") -> list[str]:
        """What a reader of errors on these frames has to know, who asked for the split `select`."""
        found = list(self.problems)
        if self.trained_on:
            found.append(
                f"{self._share(self.trained_on)} were trained on: errors on them do not hold for new images; evaluate "
                "the model's own test frames, or another recording"
            )
        if self.validated_on and select != "val":
            found.append(f"{self._share(self.validated_on)} were validated on: weights and covariances fit them")
        return found

    def _share(self, count: int) -> str:
        return f"{count} of {self.frames} evaluated frames ({count / self.frames:.0%})"

    def to_dict(self) -> dict:
        """For JSON, with the share that was trained on."""
        figures = {key: value for key, value in asdict(self).items() if key != "problems"}
        return figures | {"share_trained_on": self.trained_on / self.frames if self.frames else None}


OPTIONS = "the --scale, --align and options of --data of the training"


def _moved(similarity: Similarity, mapped: MappedScene) -> str:
    away = float(np.linalg.norm(similarity.T_to_from.position))
    degrees = float(rotation_angle_deg(similarity.T_to_from.orientation, np.array([1.0, 0, 0, 0])))
    return (
        f"the data's poses are those of the training in another map or unit (times {similarity.scale:.3g}, moved by "
        f"{away:.2f} {unit_name(mapped.units)} and {degrees:.0f} deg): use {OPTIONS}"
    )


def _elsewhere(mapped: MappedScene, name: str, poses: Sequence[Pose]) -> list[str]:
    """Why frames of which the model knows none may be of another place."""
    training_N3 = mapped.training_positions_N3
    if not len(training_N3) or not poses:
        return []
    if name != mapped.name:
        why = (
            f"the data are of '{printable(name)}' and none of them is among the {len(mapped.frames.names)} frames that "
            f"the model knows of its scene '{printable(mapped.name)}': another place? If it is the same, give "
            "--name"
        )
        return [why]
    size = float(np.linalg.norm(np.ptp(training_N3, axis=0)))
    away = float(np.median(cKDTree(training_N3).query(stack(list(poses))[0])[0]))
    if away <= size:
        return []
    unit = unit_name(mapped.units)
    why = (
        f"the data's positions are a median {away:.3g} {unit} from the nearest training position, where all training "
        f"positions are within {size:.3g} {unit}: another place, or another map frame?"
    )
    return [why]


def origin_in(mapped: MappedScene, scene: Scene, select: str) -> FrameOrigin:
    """Of the frames of the split `select` ("all": every one) of a scene."""
    evaluated = [index for index, image in enumerate(scene.images) if select in ("all", image.split)]
    names, poses = [image.name for image in scene.images], [image.pose for image in scene.images]
    return FrameOrigin.of(mapped, scene.name, names, poses, evaluated, scene.units)
