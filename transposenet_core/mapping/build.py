"""From a recording to a map: adjust, decide on the labels, compute depth, write, draw."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats.folder_writing import check_free, folder_dataset
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.image_files import image_size, image_stem
from transposenet_core.mapping.adjust.adjustment import Adjustment, AdjustOptions, adjust
from transposenet_core.mapping.completed_depth import complete
from transposenet_core.mapping.dense.depth_from_motion import depth_from_motion
from transposenet_core.mapping.dense.options import DenseOptions
from transposenet_core.mapping.dense.result import DenseResult
from transposenet_core.mapping.dense.sensor_comparison import compare_with_sensor
from transposenet_core.mapping.labels import LabelChoice, choose_labels, corrected
from transposenet_core.mapping.map_files import Found, write_map_files
from transposenet_core.mapping.mapped_dataset import MappedDepth, MappedPoses, write_mapped
from transposenet_core.mapping.options import MapOptions
from transposenet_core.mapping.report.map_card import MapCard
from transposenet_core.mapping.work_folder import work_folder
from transposenet_core.scene import PosedImage, Scene, unit_name
from transposenet_core.training.data.holdout import hold_out_validation

GUESSED = "guessed: none were stated"
GUESSED_FOCAL = 0.85  # of the longer side: 61 degrees across, an ordinary webcam or telephone
KEPT_SHARE, KEPT_DEG = 1e-7, 1e-5  # of the extent: errors of recorded poses that are to be kept
FEWEST = 2  # frames
NEEDED = ("pycolmap", "pyceres")


@dataclass(frozen=True, eq=False)
class Mapped:
    """What a map was made of; ``card`` has the figures, ``dense`` is None without depth from motion."""

    card: MapCard
    adjustment: Adjustment
    choice: LabelChoice
    dense: DenseResult | None


def build_map(scene: Scene, out: Path, options: MapOptions, overwrite: bool = False, progress: bool = True) -> Mapped:
    """Make the data set `out` of `scene`: poses, lens and depth from its training frames alone.

    The split is fixed first: what is validated on or tested later keeps its recorded pose and decides nothing but
    which labels the training frames get. Work that is interrupted goes on when the same is asked for again.
    UserError where `out` must not be overwritten, there are too few frames, an image cannot be read, or depth of a
    sensor is wanted and the recording has none.
    """
    check_installed()
    check_free(out, overwrite)
    held = hold_out_validation(scene) if options.hold_out else scene
    camera = held.of_the_camera()
    training = [image for image in camera.images if image.split == "train"]
    if len(training) < FEWEST:
        raise UserError(f"scene {scene.name} ({scene.root}): {len(training)} training frames, a map needs {FEWEST}")
    _check_names(training)
    if options.depth in ("sensor", "both") and not (scene.depth_camera and any(image.depth_path for image in training)):
        raise UserError(f"scene {scene.name} ({scene.root}) has no depth images: --depth motion computes them")
    clock = _Clock()
    with work_folder(out) as work:
        with clock.step("adjustment"):
            adjustment = _adjusted(training, scene.intrinsics or guessed(training), options, work, progress)
        with clock.step("labels"):
            validation = [image for image in camera.images if image.split == "val"]
            choice = _labels(adjustment, validation, options, unit_name(scene.units), work, progress)
        dense = comparison = None
        if options.depth in ("motion", "both"):
            with clock.step("depth"):
                dense = depth_from_motion(
                    adjustment.sparse, work / "depth", DenseOptions(threads=options.threads), work / "dense", progress
                )
        if dense and dense.depth_camera and scene.depth_camera:
            with clock.step("sensor"):
                best = [replace(frame.image, pose=frame.T_map_camera) for frame in adjustment.sparse.frames]
                comparison = compare_with_sensor(
                    dense.frames,
                    dense.depth_camera,
                    best,
                    scene.depth_camera,
                    metric=scene.units == "metres",
                    timed=scene.assumed_rate_hz is None,
                )
        poses = mapped_poses(held, training, adjustment, choice)
        with folder_dataset(out, scene.name, overwrite) as writer:
            with clock.step("writing"):
                depth = _depth(scene, training, dense, options, work, progress)
                copy = write_mapped(writer, held, poses, adjustment.lens_after, depth, progress)
            with clock.step("figures"):
                found = Found(adjustment, choice, dense, comparison)
                card = write_map_files(writer.folder, copy, found, options, clock.seconds, progress)
            writer.about = {"map": {"labels": choice.labels, "options": options.to_dict()}}
            if (seconds := time_offset(scene, adjustment, choice)) != 0:
                writer.about["time_offset_s"] = {scene.name: seconds}
    return Mapped(card, adjustment, choice, dense)


def _check_names(images: Sequence[PosedImage]) -> None:
    """UserError where two images would have one depth image, which is named after its image without the suffix."""
    names: dict[str, str] = {}
    for image in images:
        if (other := names.setdefault(image_stem(image.name), image.name)) != image.name:
            raise UserError(f"images {other} and {image.name} have one name but for the suffix; rename one of them")


def check_installed() -> None:
    """UserError where a package is missing that the adjustment needs: not every machine has wheels of them."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"transposenet map needs the Python packages {' and '.join(missing)}, which are not installed here; "
            "install them by pip (there are wheels for x86-64), or make the map on another machine and copy its folder"
        )


def guessed(images: list[PosedImage]) -> Intrinsics:
    """Intrinsics for a recording that has none: an ordinary lens, which the adjustment corrects."""
    width, height = image_size([image.path for image in images])
    focal = GUESSED_FOCAL * max(width, height)
    return Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2, GUESSED)


def _adjusted(
    training: list[PosedImage], intrinsics: Intrinsics, options: MapOptions, work: Path, progress: bool
) -> Adjustment:
    sigma = options.pose_sigma
    if options.poses == "keep":
        extent = max(float(abs(i.pose.position - training[0].pose.position).max()) for i in training)
        sigma = (max(KEPT_SHARE * extent, 1e-12), KEPT_DEG)
    wanted = AdjustOptions(options.lens, sigma, options.seed, options.threads)
    found = adjust(training, intrinsics, wanted, work / "adjust", progress)
    if options.poses == "keep":
        found = replace(found, sigma_source="they are kept")
    if intrinsics.source == GUESSED and found.lens_after == intrinsics:
        found.warnings.append("no intrinsics are stated, and camera.json has a guess: calibrate the camera")
    return found


def _labels(
    adjustment: Adjustment,
    validation: list[PosedImage],
    options: MapOptions,
    unit: str,
    work: Path,
    progress: bool,
) -> LabelChoice:
    if options.poses == "keep":
        return LabelChoice("recorded", "the poses were to be kept")
    if adjustment.refused:
        return LabelChoice("recorded", f"the adjustment was refused: {adjustment.refused}")
    choice = choose_labels(adjustment, validation, unit, work / "adjust", progress)
    if options.labels == "auto":
        return choice
    return replace(choice, labels=options.labels, reason=f"as asked for; {choice.reason}")


def mapped_poses(
    held: Scene, training: Sequence[PosedImage], adjustment: Adjustment, choice: LabelChoice
) -> MappedPoses:
    """The poses that a map has of its training frames `training`, and the mount that `held` has them with."""
    recorded = {image.name: image.pose for image in training}
    adjusted = {frame.image.name: frame.T_map_camera for frame in adjustment.sparse.frames}
    offset = adjustment.offset
    found = offset.position_decided or offset.rotation_decided or offset.seconds_decided
    if found and not adjustment.refused:  # a frame that keeps its recorded pose has the offset of all in it
        kept = zip(training, corrected(training, offset), adjustment.kept_N, strict=True)
        adjusted |= {image.name: pose for image, pose, moved in kept if not moved}
    mount = held.T_pose_camera
    if choice.labels == "adjusted" and (offset.position_decided or offset.rotation_decided):
        mount = offset.T_body_camera if mount is None else mount @ offset.T_body_camera
    return MappedPoses(recorded, adjusted, choice.labels, mount)


def time_offset(scene: Scene, adjustment: Adjustment, choice: LabelChoice) -> float:
    """What has to be added to the images' stamps, in seconds, to find the poses that they are labelled with: poses that
    were recorded late are those of earlier times."""
    late = adjustment.offset.seconds if choice.labels == "adjusted" else 0.0
    return scene.time_offset_s - late


def _depth(
    scene: Scene,
    training: list[PosedImage],
    dense: DenseResult | None,
    options: MapOptions,
    work: Path,
    progress: bool,
) -> MappedDepth | None:
    nothing = dense is None or dense.depth_camera is None
    if scene.depth_camera is not None and (options.depth == "sensor" or (options.depth == "both" and nothing)):
        files = {image.name: image.depth_path for image in training if image.depth_path is not None}
        return MappedDepth(scene.depth_camera, files, {})
    if dense is None or dense.depth_camera is None:
        return None
    depth: dict[str, Path] = {frame.name: frame.depth_path for frame in dense.frames if frame.depth_path is not None}
    if options.depth == "both" and scene.depth_camera is not None:
        depth = complete(dense, training, scene.depth_camera, work / "completed", progress)
    sure = {frame.name: frame.confidence_path for frame in dense.frames if frame.confidence_path is not None}
    return MappedDepth(dense.depth_camera, depth, sure)


class _Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
