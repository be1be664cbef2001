"""Refines predicted poses against the keyframes of a scene: the stage between a network's pose and an estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose, rotation_angle_deg
from transposenet_core.refinement.acceptance import FARTHEST_STEP, fault_of
from transposenet_core.refinement.covariance import covariance_of
from transposenet_core.refinement.features import Features, KnownFeatures, pose_by_features
from transposenet_core.refinement.gauss_newton import Fit, fit_pose
from transposenet_core.refinement.levels import grey_of, sizes_of
from transposenet_core.refinement.rotating import rotated_towards
from transposenet_core.refinement.selection import KeyframeIndex
from transposenet_core.refinement.template import Template
from transposenet_core.refinement.tracking import Matches, track
from transposenet_core.scene_model.keyframes import Keyframes

T = TypeVar("T", Template, KnownFeatures)
KEYFRAMES_USED = 2
# Predicted poses that are compared with small images, and that are tried.
MOST_COMPARED, MOST_TRIED = 16, 8
DISTINCT, OTHER_PLACE = 0.2, 0.3  # how differently two poses see, as `KeyframeIndex.away` says
MOST_MATCHED, MOST_FITTED = 10, 3  # keyframes whose features are matched, and poses by them that are refined
RIVALS = 1  # views of other places, the most similar ones, that must not lead to another pose
MOST_READY = 200  # templates and features kept; each takes some 0.4 MB
SMALL, WHOLE = 0, 1  # sizes of `Template.levels`
TRIES = 3  # of tracking at the whole size, while the pose still moves
MOVED, ROTATED_DEG = 0.06, 3.0  # more, as a share of the typical depth: tracked once more from there


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


@dataclass(frozen=True, eq=False)
class Query:
    """An image, the same at the sizes of `sizes_of`, the pinhole of each, and how far from its prediction a pose may
    be; ``bounded``: who predicts has stated that."""

    grey_HW: np.ndarray
    images: list[np.ndarray]
    cameras: list[Intrinsics]
    reach: float
    bounded: bool


@dataclass(frozen=True, eq=False)
class Start:
    """A predicted pose with its number, the ``pose`` that is known better by now, ``likeness`` of the images there."""

    predicted: Pose
    pose: Pose
    number: int
    likeness: float = 0.0


AMBIGUOUS = "two places fit it"
NOTHING = Refinement(None, "no keyframe shows what the predicted pose sees", np.full((6, 6), np.inf))


@dataclass(eq=False)
class Refiner:
    """Keyframes ready for use. It keeps nothing but what is made of them: the same image and poses give one answer,
    in several threads, too."""

    keyframes: Keyframes
    index: KeyframeIndex = field(init=False)

    def __post_init__(self) -> None:
        known = self.keyframes
        self.index = KeyframeIndex.of(known.depth_Khw, known.positions_K3, known.orientations_K4, known.camera)
        self._template, self._features = self._made(Template), self._made(KnownFeatures)

    def refine(
        self,
        image_HW3: np.ndarray,
        camera: Intrinsics,
        predicted: Sequence[Pose],
        far: bool = False,
        reach: float | None = None,
    ) -> Refinement:
        """The pose of an image (H, W, 3) uint8 RGB of a pinhole `camera` with these sides, from the first of the
        `predicted` poses that leads to one that is accepted; the best that is not where none does. Of several, those
        that see nearly what an earlier one sees are passed over, and at most MOST_TRIED are tried.

        ``far``: predictions may be off by more than some degrees, as those of image retrieval are; the most similar
        views are then tried first, and where views of another place fit as well, no pose is accepted. A pose that is
        farther than `reach` from its prediction (in the scene's units) is not accepted.
        """
        grey_HW = grey_of(image_HW3, self.query_size(camera))
        images = sizes_of(grey_HW)
        cameras = [camera.resized(image.shape[1], image.shape[0]) for image in images]
        limit = FARTHEST_STEP * self.index.typical
        query = Query(grey_HW, images, cameras, limit if reach is None else min(reach, limit), reach is not None)
        distinct, best = self._distinct(predicted), NOTHING
        if not far:  # near predictions are tried as such first, which takes a third of the time
            for start in distinct:
                found = self._refined(query, start)
                if found.accepted:
                    return found
                best = max(best, found, key=lambda each: each.share)
        for find in (self._from_far_away, self._by_features)[: 2 if far else 1]:
            found = find(query, distinct)
            if found.accepted or found.fault == AMBIGUOUS:
                return found
            best = max(best, found, key=lambda each: each.share)
        return best

    def _from_far_away(self, query: Query, starts: list[Start]) -> Refinement:
        """The pose that the most similar views lead to, unless views of other places lead to another one."""
        rotated = sorted((self._rotated(query, start) for start in starts), key=lambda start: -start.likeness)
        best, places = NOTHING, rotated[:MOST_TRIED]
        for number, start in enumerate(places):
            found = self._refined(query, self._tracked_small(query, start))
            if found.accepted and found.pose is not None:
                others = [s for s in places[number + 1 :] if self.index.away(s.pose, found.pose) > OTHER_PLACE]
                return self._without_rivals(query, found, found.pose, others[:RIVALS])
            best = max(best, found, key=lambda each: each.share)
        return best

    def _by_features(self, query: Query, starts: list[Start]) -> Refinement:
        """The pose that features of the keyframes around the predicted poses lead to."""
        grey_HW = query.grey_HW
        features, camera = Features.of(grey_HW), query.cameras[WHOLE]
        around = [(int(k), s) for s in starts for k in self.index.nearest(s.predicted, camera, KEYFRAMES_USED)]
        found: list[tuple[int, Start]] = []
        for place, start in list({k: s for k, s in reversed(around)}.items())[-MOST_MATCHED:]:
            if (matched := pose_by_features(features, self._features(place), camera)) is not None:
                inliers, pose = matched
                found.append((inliers, replace(start, pose=pose, predicted=start.predicted if query.bounded else pose)))
        best, fitted = NOTHING, [start for _, start in sorted(found, key=lambda each: -each[0])]
        for number, start in enumerate(fitted[:MOST_FITTED]):
            refined = self._refined(query, start)
            if refined.accepted and refined.pose is not None:
                others = [s for s in fitted[number + 1 :] if self.index.away(s.pose, refined.pose) > OTHER_PLACE]
                return self._without_rivals(query, refined, refined.pose, others[:RIVALS])
            best = max(best, refined, key=lambda each: each.share)
        return best

    def _without_rivals(self, query: Query, accepted: Refinement, pose: Pose, others: list[Start]) -> Refinement:
        """The accepted `pose`, unless one of the other places fits the image as well: then it is not accepted."""
        for start in others:
            found = self._refined(query, self._tracked_small(query, start))
            if found.accepted and found.pose is not None and self.index.away(found.pose, pose) > OTHER_PLACE:
                return replace(accepted, fault=AMBIGUOUS)
        return accepted

    def _distinct(self, predicted: Sequence[Pose]) -> list[Start]:
        """Those of the poses that are not near an earlier one: neighbours of a recording are alike."""
        chosen: list[Start] = []
        for number, pose in enumerate(predicted):
            if len(chosen) < MOST_COMPARED and all(self.index.away(pose, other.pose) > DISTINCT for other in chosen):
                chosen.append(Start(pose, pose, number))
        return chosen

    def query_size(self, camera: Intrinsics) -> tuple[int, int]:
        """Width and height that an image is shrunk to: a pixel sees the angle that a keyframe's does; both even."""
        own = self.keyframes.camera
        scale = min(1.0, own.fx / camera.fx)
        width, height = (max(16, 2 * round(side * scale / 2)) for side in (camera.width, camera.height))
        return width, height

    def _rotated(self, query: Query, start: Start) -> Start:
        near = self.index.nearest(start.pose, query.cameras[WHOLE], KEYFRAMES_USED)
        templates = [self._template(k) for k in near]
        pose, likeness = rotated_towards(templates, query.images[SMALL], query.cameras[SMALL], start.pose)
        return replace(start, pose=pose, likeness=likeness)

    def _tracked_small(self, query: Query, start: Start) -> Start:
        for _ in range(2):
            fit, _, _ = self._tracked(query, SMALL, start.pose)
            if fit is None:
                return start
            start = replace(start, pose=fit.pose)
        return start

    def _refined(self, query: Query, start: Start) -> Refinement:
        pose = start.pose
        for _ in range(TRIES):
            before, (fit, matches, near) = pose, self._tracked(query, WHOLE, pose)
            if fit is None:
                return NOTHING
            pose = fit.pose
            step = float(np.linalg.norm(pose.position - before.position)) / self.index.typical
            if step < MOVED and rotation_angle_deg(pose.orientation, before.orientation) < ROTATED_DEG:
                break
        assert fit is not None  # TRIES is at least 1
        covariance_66 = covariance_of(fit, matches)
        sigma = float(np.sqrt(np.trace(covariance_66[:3, :3])))
        fault = fault_of(fit, matches, query.cameras[WHOLE], start.predicted, self.index, sigma, query.reach)
        inliers = int(fit.inlier_N.sum())
        return Refinement(pose, fault, covariance_66, inliers, matches.tried, tuple(map(int, near)), start.number)

    def _tracked(self, query: Query, size: int, pose: Pose) -> tuple[Fit | None, Matches, np.ndarray]:
        near = self.index.nearest(pose, query.cameras[WHOLE], KEYFRAMES_USED)
        image_HW, camera = query.images[size], query.cameras[size]
        matches = Matches.joined([track(self._template(k), size, image_HW, camera, pose) for k in near])
        return fit_pose(matches.points_N3, matches.pixels_N2, camera, pose), matches, near

    def _made(self, kind: type[T]) -> Callable[[int], T]:
        """Makes a keyframe's templates or features when they are first needed: a robot that drives needs few of them,
        and again those that it needed last."""

        known = self.keyframes  # not `self`, which would keep itself alive

        def make(place: int) -> T:
            pose = Pose(known.positions_K3[place], known.orientations_K4[place])
            return kind.of(known.image_KHW[place], known.depth_Khw[place], known.camera, pose)

        return lru_cache(MOST_READY)(make)
