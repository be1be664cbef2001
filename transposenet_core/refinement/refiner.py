"""Refines predicted poses against the keyframes of a scene: the stage between a network's pose and an estimate."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.refinement.acceptance import fault_of
from transposenet_core.refinement.covariance import covariance_of
from transposenet_core.refinement.gauss_newton import Fit, fit_pose
from transposenet_core.refinement.levels import grey_of, sizes_of
from transposenet_core.refinement.selection import KeyframeIndex
from transposenet_core.refinement.template import Template
from transposenet_core.refinement.tracking import Matches, track
from transposenet_core.refinement.turning import turned_towards
from transposenet_core.scene_model.keyframes import Keyframes

KEYFRAMES_USED = 2
MOST_TRIED, DISTINCT = 8, 0.2  # predicted poses; how differently two of them see, as `KeyframeIndex.away` says
MOST_READY = 200  # templates kept; each takes some 0.4 MB
SMALL, WHOLE = 0, 1  # sizes of `Template.levels`
TRIES = 3  # of tracking at the whole size, while the pose still moves
MOVED, TURNED_DEG = 0.06, 3.0  # more, as a share of the typical depth: tracked once more from there


@dataclass(frozen=True, eq=False)
class Refinement:
    """The outcome for one image. ``pose`` is ``T_map_camera``, to be believed only where `accepted`; ``fault`` says why
    it is not. ``covariance_66`` is by the matches alone, along the map's axes; ``inliers`` of ``tried`` corners of the
    ``keyframes`` agree with it; ``prior`` numbers the predicted pose that it began at."""

    pose: Pose | None
    fault: str
    covariance_66: np.ndarray
    inliers: int = 0
    tried: int = 0
    keyframes: tuple[int, ...] = ()
    prior: int = 0

    @property
    def accepted(self) -> bool:
        return not self.fault

    @property
    def share(self) -> float:
        """Of the corners that should be seen, how many agree."""
        return self.inliers / self.tried if self.tried else 0.0


NOTHING = Refinement(None, "no keyframe shows what the predicted pose sees", np.full((6, 6), np.inf))


@dataclass(eq=False)
class Refiner:
    """Keyframes ready for use. Stateless but for a store of templates: the same image and poses give the same answer.
    Several threads may use it."""

    keyframes: Keyframes
    index: KeyframeIndex = field(init=False)
    _ready: OrderedDict[int, Template] = field(init=False, default_factory=OrderedDict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        known = self.keyframes
        self.index = KeyframeIndex.of(known.depth_Khw, known.positions_K3, known.orientations_K4, known.camera)

    def refine(
        self, image_HW3: np.ndarray, camera: Intrinsics, predicted: Sequence[Pose], far: bool = False
    ) -> Refinement:
        """The pose of an image (H, W, 3) uint8 RGB of a pinhole `camera` with these sides, from the first of the
        `predicted` poses that leads to one that is accepted; the best that is not where none does. Predicted poses that
        see nearly what an earlier one sees are passed over, and at most MOST_TRIED are tried.

        ``far``: predictions may be off by more than some degrees, as those of image retrieval are.
        """
        size = self.query_size(camera)
        images = sizes_of(grey_of(image_HW3, size))
        cameras = [camera.resized(image.shape[1], image.shape[0]) for image in images]
        best, distinct = NOTHING, self._distinct(predicted)
        # Near predictions are tried as such first, which takes a third of the time.
        for wide in (True,) if far else (False, True):
            for number, prior in enumerate(distinct):
                found = self._refined(images, cameras, prior, wide, number)
                if found.accepted:
                    return found
                best = max(best, found, key=lambda each: each.share)
        return best

    def _distinct(self, predicted: Sequence[Pose]) -> list[Pose]:
        """The first MOST_TRIED of the poses that are not near an earlier one: neighbours of a recording are alike."""
        chosen: list[Pose] = []
        for pose in predicted:
            if len(chosen) < MOST_TRIED and all(self.index.away(pose, other) > DISTINCT for other in chosen):
                chosen.append(pose)
        return chosen

    def query_size(self, camera: Intrinsics) -> tuple[int, int]:
        """Width and height that an image is shrunk to: a pixel sees the angle that a keyframe's does; both even."""
        own = self.keyframes.camera
        scale = min(1.0, own.fx / camera.fx)
        width, height = (max(16, 2 * round(side * scale / 2)) for side in (camera.width, camera.height))
        return width, height

    def _refined(
        self, images: list[np.ndarray], cameras: list[Intrinsics], prior: Pose, wide: bool, number: int
    ) -> Refinement:
        pose = prior
        if wide:
            near = self.index.nearest(pose, cameras[WHOLE], KEYFRAMES_USED)
            if not len(near):
                return NOTHING
            pose = turned_towards([self._template(k) for k in near], images[SMALL], cameras[SMALL], pose)
            for _ in range(2):
                fit, _, _ = self._tracked(SMALL, images, cameras, pose)
                if fit is None:
                    return NOTHING
                pose = fit.pose
        for _ in range(TRIES):
            before, (fit, matches, near) = pose, self._tracked(WHOLE, images, cameras, pose)
            if fit is None:
                return NOTHING
            pose = fit.pose
            step = float(np.linalg.norm(pose.position - before.position)) / self.index.typical
            if step < MOVED and rotation_angle_deg(pose.orientation, before.orientation) < TURNED_DEG:
                break
        assert fit is not None  # TRIES is at least 1
        covariance_66 = covariance_of(fit, matches)
        sigma = float(np.sqrt(np.trace(covariance_66[:3, :3])))
        fault = fault_of(fit, matches, cameras[WHOLE], prior, self.index, sigma)
        inliers = int(fit.inlier_N.sum())
        return Refinement(pose, fault, covariance_66, inliers, matches.tried, tuple(map(int, near)), number)

    def _tracked(
        self, size: int, images: list[np.ndarray], cameras: list[Intrinsics], pose: Pose
    ) -> tuple[Fit | None, Matches, np.ndarray]:
        near = self.index.nearest(pose, cameras[WHOLE], KEYFRAMES_USED)
        found = [track(self._template(k), size, images[size], cameras[size], pose) for k in near]
        matches = Matches.joined(found)
        return fit_pose(matches.points_N3, matches.pixels_N2, cameras[size], pose), matches, near

    def _template(self, place: int) -> Template:
        """Made when first needed: a robot that stands or drives needs few of them."""
        with self._lock:
            if place in self._ready:
                self._ready.move_to_end(place)
                return self._ready[place]
        known = self.keyframes
        pose = Pose(known.positions_K3[place], known.orientations_K4[place])
        template = Template.of(known.image_KHW[place], known.depth_Khw[place], known.camera, pose)
        with self._lock:
            self._ready[place] = template
            if len(self._ready) > MOST_READY:
                self._ready.popitem(last=False)
        return template
