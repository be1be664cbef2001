"""Recordings -> a data set of the layout `folder`: surveyed, planned, then written image by image.

Two passes, because the images to write are known only once all poses are; no more than one image is held at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.formats.folder_writing import FolderWriter, check_free, folder_dataset
from transposenet_core.formats.splitting import split_scene
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.progress import ProgressBar
from transposenet_core.scene import SPLITS, PosedImage, Scene
from transposenet_ros.bag_import.cameras import camera_of, of_images
from transposenet_ros.bag_import.choices import AUTO, NONE
from transposenet_ros.bag_import.clock import measured_offset
from transposenet_ros.bag_import.depth import add_depth
from transposenet_ros.bag_import.images import decoded, image_file
from transposenet_ros.bag_import.names import shown, shown_sentence
from transposenet_ros.bag_import.options import ImportOptions
from transposenet_ros.bag_import.poses import CameraPoses
from transposenet_ros.bag_import.recording import Recording
from transposenet_ros.bag_import.selection import NANOSECONDS, images_wanted, keyframes, with_poses
from transposenet_ros.bag_import.survey import Survey
from transposenet_ros.bags.topics import IMAGE_TYPES
from transposenet_ros.decoding.image_decoding import DecodeError
from transposenet_ros.transforms.errors import seconds_text

SHOWN = 5  # fault matrix, T2
METHODS = {"blocks": "blocks", "sequence": "sequences"}
Log = Callable[[str], object]


@dataclass(eq=False)
class Plan:
    """What to import from one recording: ``keyframes`` by the number of their message, under the name ``sequence``."""

    bag: Recording
    sequence: str
    survey: Survey
    poses: CameraPoses
    intrinsics: Intrinsics | None
    offset_s: float
    keyframes: dict[int, Pose]

    def sequence_at(self, stamp_ns: int) -> str:
        """``sequence`` up to the first jump of the poses, then with a number: no motion leads across a jump."""
        segment = self.poses.segment(stamp_ns)
        return f"{self.sequence}-{segment + 1}" if segment else self.sequence

    def stem(self, number: int) -> str:
        """An image's name without suffix: made here, because names in a recording may be anything."""
        return f"{self.sequence}/frame-{number:06d}"


def import_bags(
    bags: Sequence[str | Path],
    out: str | Path,
    options: ImportOptions,
    *,
    overwrite: bool = False,
    progress: bool = False,
    log: Log = print,
) -> Counter[str]:
    """Write the keyframes of `bags`, each a sequence, to the folder `out`; the images by split ("" for left out).

    `log` receives a sentence for everything the user should know. Raises UserError for a recording, topic, frame or
    option that cannot be used, too few poses, a camera that changes, and an `out` that exists.
    """
    out = Path(out).expanduser()
    check_free(out, overwrite)  # before a long recording is read
    with ExitStack() as resources:
        plans = [
            _plan(resources.enter_context(Recording(path)), f"seq-{number:02d}", options, progress, log)
            for number, path in enumerate(bags, start=1)
        ]
        _check_together(plans)
        splits = _splits(out.name, plans, options, log)
        with folder_dataset(out, overwrite=overwrite) as writer:
            writer.map_frame, writer.about = shown(plans[0].poses.map_frame), _about(plans, options)
            for plan in plans:
                _write(plan, writer, options, progress, log)
            if not writer.images:
                raise UserError(f"{plans[0].bag.path}: none of the selected images can be decoded")
            images = [replace(image, split=splits[image.name.rpartition(".")[0]]) for image in writer.images]
            writer.set_splits(image for image in images if image.split)
    return Counter(image.split for image in images)


def _plan(bag: Recording, sequence: str, options: ImportOptions, progress: bool, log: Log) -> Plan:
    name = bag.path.name
    if options.depth:
        bag.require(options.depth, IMAGE_TYPES, "--depth")  # before a long recording is read
    topics = [topic for topic in bag.topics if topic in (options.image, options.pose, options.tf, options.tf_static)]
    with ProgressBar(total=bag.count(topics), unit="message", desc=f"{name}: reading", disable=not progress) as bar:
        survey = Survey(bag, options, bar.update)
    log(f"{name}: imported as {sequence}")
    for note in bag.notes:
        log(f"{name}: warning: {note}")
    for topic in survey.damaged:
        log(f"{name}: warning: {survey.damaged[topic]:,} damaged messages on {shown(topic)}")
    if refused := survey.transforms.refused + survey.poses.refused:
        log(f"{name}: warning: {refused:,} transforms that are not finite or not a rotation are left out")
    if (promised := bag.promised(options.image)) > len(survey.stamps_N):
        log(f"{name}: warning: {len(survey.stamps_N):,} of {promised:,} images could be read")
    poses = CameraPoses(str(bag.path), survey, options)
    camera, sentences = camera_of(survey.infos, survey.info_topic, options)
    for sentence in (*poses.notes, *sentences):
        log(f"{name}: {sentence}")
    for jump in poses.jumps[:SHOWN]:
        log(f"{name}: warning: the poses jump {jump}, which nothing explains; the sequence is broken there")
    if len(poses.jumps) > SHOWN:
        log(f"{name}: warning: and {len(poses.jumps) - SHOWN} more jumps")
    wanted, offset_s = _posed(bag, survey, poses, options, log)
    keys = dict(keyframes(wanted.items(), options.keyframe_distance, options.keyframe_angle))
    log(f"{name}: {len(keys):,} of them are keyframes by motion")
    return Plan(bag, sequence, survey, poses, camera, offset_s, keys)


def _posed(
    bag: Recording, survey: Survey, poses: CameraPoses, options: ImportOptions, log: Log
) -> tuple[dict[int, Pose], float]:
    """The images that have a pose, and the seconds that were added to their stamps for it."""
    name, offset_s = bag.path.name, options.time_offset or 0.0
    numbers = images_wanted(str(bag.path), survey.stamps_N, options)
    posed = with_poses(survey.stamps_N, numbers, poses, offset_s)
    measured = measured_offset(bag, options.image, survey, poses, posed.poses)
    log(f"{name}: {measured.sentence()}")
    if options.time_offset is None and measured.seconds is not None:
        offset_s = measured.seconds
        posed = with_poses(survey.stamps_N, numbers, poses, offset_s)
    elif measured.seconds is not None and abs(measured.peak - offset_s) > max(0.01, 3 * measured.sigma):
        log(f"{name}: warning: --time-offset {offset_s:g} is used; {AUTO} or {measured.seconds:.3f} fits better")
    elif options.time_offset is None:
        log(f"{name}: warning: --time-offset {AUTO} could not measure it; 0 is used")
    log(f"{name}: {posed}")
    posed.require(str(bag.path), poses, options)
    return posed.poses, offset_s


def _check_together(plans: list[Plan]) -> None:
    """One scene has one map and one camera. UserError."""
    first = plans[0]
    for plan in plans[1:]:
        if plan.poses.map_frame != first.poses.map_frame:
            raise UserError(
                f"{plan.bag.path}: its poses are in {shown(plan.poses.map_frame)}, those of {first.bag.path} in "
                f"{shown(first.poses.map_frame)}; recordings of one scene share one map"
            )
        if plan.intrinsics != first.intrinsics:
            raise UserError(
                f"{plan.bag.path}: its camera is not that of {first.bag.path} ({plan.intrinsics} and "
                f"{first.intrinsics}); a scene has one camera: import them into two folders"
            )


def _splits(name: str, plans: list[Plan], options: ImportOptions, log: Log) -> dict[str, str]:
    """The split by image's stem, "" for a left-out image; before anything is written, because it may be refused."""
    images = []
    for plan in plans:
        for number, pose in plan.keyframes.items():
            stamp = plan.survey.stamps_N[number] / NANOSECONDS
            images.append(PosedImage(plan.stem(number), Path(), pose, "train", plan.sequence, stamp))
    if options.split == NONE:
        return {image.name: "train" for image in images}
    by_default = ("sequence", "blocks") if len(plans) >= len(SPLITS) else ("blocks",)
    error: UserError | None = None
    for method in (options.split,) if options.split else by_default:
        try:
            scene = split_scene(Scene(name, images), METHODS[method], Faults())
        except UserError as refusal:
            error = refusal
            continue
        log(f"split: by {method}")
        return {image.name: "" for image in images} | {image.name: image.split for image in scene.images}
    raise UserError(f"{error}; --split {NONE} puts all images into train")


def _write(plan: Plan, writer: FolderWriter, options: ImportOptions, progress: bool, log: Log) -> None:
    """The second pass: the selected images of one recording; those that cannot be decoded are left out and counted."""
    wanted, kind, faults = plan.keyframes, plan.survey.image_type, list[str]()
    undistorter, written = None, dict[int, PosedImage]()
    size: tuple[int, int] | None = None
    with ProgressBar(
        total=len(wanted), unit="image", desc=f"{plan.bag.path.name}: writing", disable=not progress
    ) as bar:
        for number, stored in enumerate(plan.bag.messages([options.image])):
            if (pose := wanted.get(number)) is None:
                continue
            bar.update()
            stamp_ns = int(plan.survey.stamps_N[number])
            try:
                message = plan.bag.deserialize(stored)
                image_HW3 = decoded(message, kind)
            except (ValueError, DecodeError) as error:
                faults.append(f"{seconds_text(stamp_ns)}: {shown_sentence(str(error))}")
                continue
            height, width = image_HW3.shape[:2]
            if size is None:
                size = width, height
                if plan.intrinsics is not None:
                    undistorter = Undistorter(_camera_of_images(plan, width, height, log))
                    writer.intrinsics = writer.intrinsics or undistorter.rectified
            elif size != (width, height):
                faults.append(f"{seconds_text(stamp_ns)}: {width}x{height} pixels, the first has {size[0]}x{size[1]}")
                continue
            correct = undistorter if undistorter is not None and undistorter.needed else None
            suffix, image = image_file(message, kind, image_HW3, correct)
            posed_ns = stamp_ns + round(plan.offset_s * NANOSECONDS)
            sequence, covariance_66 = plan.sequence_at(posed_ns), plan.poses.covariance_at(posed_ns, pose)
            name = plan.stem(number) + suffix
            written[number] = writer.add(name, image, pose, stamp_ns, sequence, covariance_66=covariance_66)
    if options.depth:
        names = {image.name: int(plan.survey.stamps_N[number]) for number, image in written.items()}
        text = add_depth(plan.bag, options, names, plan.survey.image_frame or "", plan.intrinsics, writer)
        log(f"{plan.bag.path.name}: {text}")
    if faults:
        shown_faults = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else "")
        log(f"{plan.bag.path.name}: warning: {len(faults)} of {len(wanted)} images are left out: {shown_faults}")


def _camera_of_images(plan: Plan, width: int, height: int, log: Log) -> Intrinsics:
    """The camera of the images as they are. UserError where they are not those of the CameraInfo."""
    assert plan.intrinsics is not None
    described = plan.intrinsics
    try:
        camera = of_images(described, width, height)
    except UserError as error:
        raise UserError(f"{plan.bag.path}: {error}") from None
    if camera != described:
        sizes = f"{described.width}x{described.height} pixels, the images have {width}x{height}: scaled to these"
        log(f"{plan.bag.path.name}: warning: the {described.source} is for {sizes}")
    return camera


def _about(plans: list[Plan], options: ImportOptions) -> dict:
    """The origin of the images, for dataset.json."""
    return {
        "recordings": {plan.sequence: shown(plan.bag.path.name) for plan in plans},
        "image_topic": shown(options.image),
        "pose_source": shown(options.pose),
        "how": [shown(sentence) for sentence in plans[0].poses.notes],
        "time_offset_s": {plan.sequence: plan.offset_s for plan in plans},
    }
