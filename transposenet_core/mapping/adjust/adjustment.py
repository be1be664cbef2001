"""The adjustment of a recording: from posed images to a `SparseMap`, with the evidence for and against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import image_size
from transposenet_core.mapping.adjust import correspondences, recorded, rounds, structure, tracks, verdict
from transposenet_core.mapping.adjust.bundle import Cameras, Observations
from transposenet_core.mapping.adjust.correspondences import Correspondences
from transposenet_core.mapping.adjust.lens import Lens
from transposenet_core.mapping.adjust.recorded import RecordedModel, Recording
from transposenet_core.mapping.adjust.sparse_result import sparse_map_of
from transposenet_core.mapping.adjust.stated_errors import believed, stated_covariances
from transposenet_core.mapping.adjust.structure import Structure
from transposenet_core.mapping.sparse_map import SparseMap
from transposenet_core.scene import PosedImage

# Times the positions' spread, from the map's origin: beyond it, as in a national grid's coordinates, digits are lost.
FAR = 1000


@dataclass(frozen=True)
class AdjustOptions:
    """``lens`` is "adjust" or "keep"; ``pose_sigma`` the errors of the recorded poses, position in the map's units and
    rotation in degrees, one sigma of an axis (None: the recording's covariances, else estimated)."""

    lens: str = "adjust"
    pose_sigma: tuple[float, float] | None = None
    seed: int = 0
    threads: int = 0


@dataclass(frozen=True, eq=False)
class Offset:
    """A constant difference between the recorded poses and the camera: ``T_body_camera``, by which the labelled body
    is corrected (``recorded = adjusted @ inverse``), and ``seconds`` by which the recorded poses are late.

    Each with its sigma (position in the map's units, degrees, seconds) and whether the data decide it; what they do
    not decide is identity or 0.
    """

    T_body_camera: Pose
    position_sigma: float
    rotation_sigma_deg: float
    position_decided: bool
    rotation_decided: bool
    seconds: float
    seconds_sigma: float
    seconds_decided: bool


@dataclass(frozen=True, eq=False)
class Adjustment:
    """What the adjustment of a recording found, with the figures that it is assessed by.

    ``sparse`` holds every frame, with its recorded pose where its adjustment was refused (``kept_N`` False, with the
    reason in ``refused_frames`` by name) or the whole was (``refused``, "" otherwise); its points are then those of
    the recorded poses, where these fit the images. ``before_px`` and ``after_px`` are median reprojection errors of the
    same observations. ``moved_m_N`` (in the map's units) and ``rotated_deg_N`` are how far poses moved, beside the
    constant ``offset``. ``position_sigma`` and ``rotation_sigma_deg`` are the errors that the recorded poses are
    believed to have, one sigma of an axis, as ``sigma_source`` says (of covariances the median frame's); estimated ones
    last over ``correlated_frames``. ``lens_freed`` are the parameters that were adjusted.
    """

    sparse: SparseMap
    refused: str
    refused_frames: dict[str, str]
    kept_N: np.ndarray
    before_px: float
    after_px: float
    tracks: int
    observations: int
    track_length: float
    moved_m_N: np.ndarray
    rotated_deg_N: np.ndarray
    offset: Offset
    scale_of_images: float
    position_sigma: float
    rotation_sigma_deg: float
    correlated_frames: float
    sigma_source: str
    lens_before: Intrinsics
    lens_freed: tuple[str, ...]
    warnings: list[str]

    @property
    def lens_after(self) -> Intrinsics:
        return self.sparse.intrinsics

    def worst(self, count: int = 10) -> list[tuple[str, float, float]]:
        """Name, distance and degrees of the frames whose poses moved most."""
        order = np.argsort(-self.moved_m_N, kind="stable")[:count]
        return [
            (self.sparse.frames[i].image.name, float(self.moved_m_N[i]), float(self.rotated_deg_N[i])) for i in order
        ]


def adjust(
    images: Sequence[PosedImage],
    intrinsics: Intrinsics,
    options: AdjustOptions = AdjustOptions(),
    cache: Path | None = None,
    progress: bool = True,
) -> Adjustment:
    """Adjust the poses and the lens of a recording to its images, in the map frame and scale of the recorded poses.

    The images carry poses of the colour camera itself (`Scene.of_the_camera`). Features and matches are kept in the
    folder `cache` by content: a stopped run goes on from there. The same input, options and number of threads give the
    same result. UserError where an image cannot be read, or its size or the lens do not fit.
    """
    images = list(images)
    camera = intrinsics.for_images(*image_size([image.path for image in images]))
    lens = Lens.of(camera)
    recording = Recording.of(images)
    found = correspondences.find(images, recording.cameras, lens, cache, options.seed, options.threads, progress)
    return adjust_tracks(images, lens, found, options, progress)


def adjust_tracks(
    images: Sequence[PosedImage], lens: Lens, found: Correspondences, options: AdjustOptions, progress: bool = False
) -> Adjustment:
    """The same from what the images show in common."""
    recording = Recording.of(images)
    origin_3 = np.median(recording.cameras.position_N3, axis=0)
    if np.linalg.norm(origin_3) <= FAR * recording.spread:
        return _adjusted(images, lens, found, options, progress)
    near = [replace(i, pose=Pose(i.pose.position - origin_3, i.pose.orientation)) for i in images]
    result = _adjusted(near, lens, found, options, progress)
    return replace(result, sparse=_moved(result.sparse, images, result.kept_N, origin_3))


def _moved(sparse: SparseMap, images: Sequence[PosedImage], kept_N: np.ndarray, by_3: np.ndarray) -> SparseMap:
    """A map of `images` from one of the same images whose positions are `by_3` less."""
    frames = []
    for frame, image, kept in zip(sparse.frames, images, kept_N, strict=True):
        T = frame.T_map_camera
        pose = Pose(T.position + by_3, T.orientation) if kept else image.pose
        frames.append(replace(frame, image=image, T_map_camera=pose))
    return replace(sparse, frames=frames, point_P3=sparse.point_P3 + by_3)


def _adjusted(
    images: Sequence[PosedImage], lens: Lens, found: Correspondences, options: AdjustOptions, progress: bool
) -> Adjustment:
    """Of a recording that is not far from the map's origin."""
    recording = Recording.of(images)
    seen = tracks.join(found.matches, found.working)
    stated, source = stated_covariances(images, options.pose_sigma)
    solution = rounds.solve(recording, lens, seen, options.lens == "adjust", stated, max(1, options.threads), progress)
    good_N = solution.good_N
    model = recorded.fit(solution.cameras, recording, good_N, recording.spread)
    cameras = recorded.in_the_recordings_frame(model.parameter_14, solution.cameras)
    built = structure.build(cameras, solution.lens, seen, len(solution.structure.point_P3), _limit(lens))
    before_px, after_px = _before_and_after(recording.cameras, lens, built, seen)
    refused_frames = verdict.refused_frames(images, built, model, good_N)
    kept_N = placed_N = np.array([image.name not in refused_frames for image in images])
    refused = verdict.refused(built, kept_N, before_px, after_px, lens, solution.lens)
    if refused:
        kept_N = np.zeros(len(images), bool)
        solution, model = replace(solution, lens=lens), replace(model, parameter_14=np.zeros(14))
        if before_px <= _limit(lens):  # there may be depth of the recorded poses, with points of theirs
            built = structure.build(recording.cameras, lens, seen, len(built.point_P3), _limit(lens))
            placed_N = np.ones(len(images), bool)
        else:
            placed_N = kept_N
    poses = [pose if kept else i.pose for i, pose, kept in zip(images, _poses(cameras), kept_N, strict=True)]
    sparse, sparse_tracks = sparse_map_of(images, poses, solution.lens, built, placed_N, found)
    residual_N6 = np.where(kept_N[:, None], model.residual_N6, 0)
    lens_warning = verdict.lens_warning(lens, solution.fitting_lens, options.lens == "adjust" and not refused)
    if stated is None and good_N.sum() < recorded.FEWEST_FRAMES:
        source = f"assumed: {good_N.sum()} frames are too few to estimate it"
    return Adjustment(
        sparse,
        refused,
        refused_frames,
        kept_N,
        before_px,
        after_px,
        *sparse_tracks,
        np.linalg.norm(residual_N6[:, :3], axis=1),
        np.degrees(np.linalg.norm(residual_N6[:, 3:], axis=1)),
        _offset(model),
        solution.model.scale,
        *believed(model, stated),
        float(max(model.position_frames, model.rotation_frames)),
        source,
        lens.stated,
        ("focal length", "principal point", "k1", "k2") if options.lens == "adjust" and not lens.beyond_colmap else (),
        [text for text in (lens_warning,) if text],
    )


def _limit(lens: Lens) -> float:
    return rounds.ROUNDS[-1].limit_px * lens.stated.width / 640


def _poses(cameras: Cameras) -> list[Pose]:
    orientation_N4 = Rotation.from_matrix(cameras.rotation_N33).as_quat(scalar_first=True)
    return [Pose(position, orientation) for position, orientation in zip(cameras.position_N3, orientation_N4)]


def _before_and_after(
    recorded_cameras: Cameras, lens: Lens, built: Structure, seen: Observations
) -> tuple[float, float]:
    """Median reprojection errors in pixels with recorded poses and stated lens, and after adjustment."""
    if not len(built.seen.frame_O):
        return float("nan"), float("nan")
    points = len(built.point_P3)
    before = structure.errors(
        recorded_cameras, lens, structure.points_of(recorded_cameras, lens, built.seen, points, 40.0), built.seen
    )
    return float(np.median(before)), float(np.median(built.error_O))


def _offset(model: RecordedModel) -> Offset:
    parameter_14, sigma_14 = model.parameter_14, model.sigma_14
    rotation = Rotation.from_rotvec(parameter_14[recorded.MOUNT])
    # T_camera_body of the model takes the body to the camera: the correction is its inverse.
    T_camera_body = Pose(parameter_14[recorded.LEVER], rotation.as_quat(scalar_first=True))
    lever, mount, time = (bool(parameter_14[part].any()) for part in (recorded.LEVER, recorded.MOUNT, recorded.TIME))
    return Offset(
        T_camera_body.inverse(),
        float(np.max(sigma_14[recorded.LEVER])),
        float(np.degrees(np.max(sigma_14[recorded.MOUNT]))),
        lever,
        mount,
        float(parameter_14[13]),
        float(sigma_14[13]),
        time,
    )
