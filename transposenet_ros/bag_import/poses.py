"""The camera's poses: a pose topic or two TF frames, and the transform from the recorded body to the camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats.rows import MAX_POSITION_M
from transposenet_core.geometry.covariance import moved_covariance
from transposenet_core.geometry.pose import Pose
from transposenet_ros.bag_import.choices import CAMERA
from transposenet_ros.bag_import.names import listed, shown
from transposenet_ros.bag_import.options import ImportOptions
from transposenet_ros.bag_import.pose_jumps import Jump, find_jumps
from transposenet_ros.bag_import.survey import BODY, MAP, Survey
from transposenet_ros.bag_import.transform_log import NoPoseError, TransformLog
from transposenet_ros.bags.topics import GROUND_TRUTH_FRAME, GROUND_TRUTH_TOPIC

STILL = Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))


@dataclass(frozen=True, eq=False)
class Link:
    """`T_target_source` over time in a log of transforms, or always the same ``constant``."""

    log: TransformLog
    target: str
    source: str
    constant: Pose | None = None

    def at(self, stamp_ns: int, max_gap_ns: int) -> Pose:
        if self.constant is not None:
            return self.constant
        return self.log.lookup(self.target, self.source, stamp_ns, max_gap_ns)


class CameraPoses:
    """`T_map_camera` at any time that the recording covers; ``notes`` are sentences on how it is derived.

    ``jumps`` are the steps of the poses that neither odometry nor covariance explain: no pose is interpolated there.

    Raises UserError where frames are unknown, or the poses are not the camera's and no transform leads from them to it.
    """

    def __init__(self, name: str, survey: Survey, options: ImportOptions) -> None:
        self._name, self._survey, self._options = name, survey, options
        self._max_gap_ns = round(options.max_gap * 1e9)
        self.notes: list[str] = []
        self._T_map_body = self._from_frames() if options.frames else self._from_topic()
        self.map_frame = self._T_map_body.target
        self._T_body_camera = self._mounting()
        # A mounting that does not move is looked up once, not for every image.
        if self._T_body_camera.constant is None and survey.transforms.is_static(
            self._T_body_camera.target, self._T_body_camera.source
        ):
            fixed = self._T_body_camera.at(0, 0)
            self._T_body_camera = Link(survey.transforms, "", "", fixed)
            x, q = fixed.position, fixed.orientation
            self.notes.append(
                "mounting: the camera is at "
                + ", ".join(f"{value:.4g}" for value in x)
                + " m in that frame, quaternion w x y z "
                + ", ".join(f"{value:.4g}" for value in q)
            )

        self.jumps = self._find_jumps()
        self._jumps_M2 = np.array([(jump.before_ns, jump.after_ns) for jump in self.jumps], np.int64).reshape(-1, 2)

    def at(self, stamp_ns: int) -> Pose:
        """Raises NoPoseError where the recording has no pose."""
        number = self.segment(stamp_ns)
        if number < len(self.jumps) and self._jumps_M2[number, 0] < stamp_ns:
            raise NoPoseError("across a jump of the poses")
        T_map_body = self._T_map_body.at(stamp_ns, self._max_gap_ns)
        if np.abs(T_map_body.position).max() > MAX_POSITION_M:
            raise NoPoseError(f"further than {MAX_POSITION_M:g} m away")
        T_body_camera = self._T_body_camera.at(stamp_ns, self._max_gap_ns)
        return T_map_body if T_body_camera is STILL else T_map_body @ T_body_camera

    def segment(self, stamp_ns: int) -> int:
        """The number of jumps that were over at a time."""
        return int(np.searchsorted(self._jumps_M2[:, 1], stamp_ns, side="right"))

    def covariance_at(self, stamp_ns: int, T_map_camera: Pose) -> np.ndarray | None:
        """(6, 6) of the pose at a time: position, then rotation vector, along the map's axes; None: none published."""
        covariance_66 = self._survey.covariances.at(stamp_ns, self._max_gap_ns)
        if covariance_66 is None:
            return None
        T_map_body = self._T_map_body.at(stamp_ns, self._max_gap_ns)
        return moved_covariance(covariance_66, T_map_camera.position - T_map_body.position)

    @property
    def stamps_ns(self) -> np.ndarray:
        """(N,) int64: the stamps of the body's pose, ascending."""
        return self._T_map_body.log.stamps_ns(self._T_map_body.target, self._T_map_body.source)

    @property
    def rates(self) -> str:
        return self._T_map_body.log.rates(self._T_map_body.target, self._T_map_body.source)

    def _find_jumps(self) -> list[Jump]:
        """In the poses of the topic, or in the transform next to the map: what a localization corrects."""
        link = self._T_map_body
        stamps_N, values_N7 = link.log.samples(link.target, link.source)
        sigmas_N2 = self._survey.covariances.sigmas(stamps_N)
        log, body = self._survey.transforms, (self._options.pose_frame or self._body).removeprefix("/")
        frames = (name for name in sorted(log.frames - {link.target}) if name.rpartition("/")[2] == "odom")
        odom = next((name for name in frames if log.connects(name, body)), None)
        odometry = self._step(Link(log, odom, body)) if odom else None
        return find_jumps(stamps_N, values_N7, sigmas_N2, self._step(link), odometry)

    def _step(self, link: Link) -> Callable[[int, int], Pose | None]:
        @lru_cache(2)  # the end of a step is the beginning of the next one
        def at(stamp_ns: int) -> Pose | None:
            try:
                return link.at(stamp_ns, self._max_gap_ns)
            except NoPoseError:
                return None

        def moved(before_ns: int, after_ns: int) -> Pose | None:
            before, after = at(before_ns), at(after_ns)
            return before.inverse() @ after if before and after else None

        return moved

    def track(self, stamps_ns: np.ndarray) -> list[tuple[int, Pose]]:
        """The poses at those of the times that have one."""
        found = []
        for stamp_ns in stamps_ns.tolist():
            try:
                found.append((stamp_ns, self.at(stamp_ns)))
            except NoPoseError:
                continue
        return found

    def _from_frames(self) -> Link:
        assert self._options.frames is not None
        target, self._body = self._options.frames
        self._survey.transforms.check(target, self._body, f"{self._name}: --pose {self._options.pose}")
        self.notes.append(f"poses: of {shown(self._body)} in {shown(target)}, from the transforms")
        return Link(self._survey.transforms, target, self._body)

    def _from_topic(self) -> Link:
        survey, topic = self._survey, self._options.pose
        self._body = survey.child_frame
        target = survey.map_frame or MAP
        if not len(survey.poses.frames):
            raise UserError(f"{self._name}: every message on {shown(topic)} is damaged; name another topic with --pose")
        parent = f"in {shown(survey.map_frame)}" if survey.map_frame else f"without a frame_id, taken as {MAP}"
        child = f"of {shown(survey.child_frame)}" if survey.child_frame else "of an unnamed body"
        self.notes.append(f"poses: {survey.pose_count} {survey.pose_type} on {shown(topic)}, {child}, {parent}")
        if survey.pose_type == "nav_msgs/msg/Odometry" and "odom" in target:
            self.notes.append(
                f"warning: odometry drifts, so {shown(target)} is not a map; if the robot was localized as well, "
                f"use --pose 'tf:map->{shown(survey.child_frame or 'base_link')}'"
            )
        return Link(survey.poses, target, BODY)

    def _mounting(self) -> Link:
        options, log = self._options, self._survey.transforms
        if options.extrinsic is not None:
            self.notes.append("mounting: as given by --extrinsic")
            return Link(log, "", "", options.extrinsic)
        body = self._pose_frame()
        camera = (options.camera_frame or self._survey.image_frame or "").removeprefix("/")
        if body == CAMERA and CAMERA not in log.frames:
            self.notes.append("mounting: none, the poses are used as those of the camera's optical frame")
            return Link(log, "", "", STILL)
        if not camera and options.frames:
            camera = body
            self.notes.append(f"the images have no frame_id; {shown(body)} is used as the camera's optical frame")
        if body == camera:
            self.notes.append(f"mounting: none, {shown(camera)} is the frame of the images")
            return Link(log, "", "", STILL)
        if not camera:
            raise UserError(
                f"{self._name}: the images on {shown(options.image)} have no frame_id, so no transform leads from "
                f"{shown(body)} to the camera; name the camera's optical frame with --camera-frame, or give "
                "--extrinsic x,y,z,qw,qx,qy,qz"
            )
        try:
            log.check(body, camera, f"{self._name}: from {shown(body)} to the camera's frame {shown(camera)}")
        except UserError as error:
            raise UserError(
                f"{error}; record {shown(options.tf_static)}, give --extrinsic x,y,z,qw,qx,qy,qz, or set "
                f"--pose-frame {CAMERA} if the poses are the camera's own"
            ) from None
        moves = "" if log.is_static(body, camera) else ", which moves"
        self.notes.append(f"mounting: {shown(camera)} on {shown(body)} from the transforms{moves}")
        if "optical" not in camera:
            self.notes.append(
                f"warning: {shown(camera)} is not called optical; if its axes are not x right, y down, z forward, name "
                "the optical frame with --camera-frame (transposenet check shows it)"
            )
        return Link(log, body, camera)

    def _pose_frame(self) -> str:
        """The frame whose pose is recorded: by option, by the messages, or because we wrote the topic ourselves."""
        options = self._options
        named = (options.pose_frame or self._body).removeprefix("/")
        if options.pose_frame and self._body and named != self._body:
            self.notes.append(
                f"the poses name {shown(self._body)}; they are used as those of {shown(named)}, as set by --pose-frame"
            )
        if named:
            return named
        # Simulators have a /ground_truth/pose of the base: only make_bag's transforms name this frame.
        if options.pose == GROUND_TRUTH_TOPIC and GROUND_TRUTH_FRAME in self._survey.transforms.frames:
            return CAMERA
        raise UserError(
            f"{self._name}: the {self._survey.pose_type} on {shown(options.pose)} do not name the frame whose pose "
            f"they hold; for a robot's base set --pose-frame base_link (frames of the recording: "
            f"{listed(self._survey.transforms.frames)}), for the camera's own --pose-frame {CAMERA}"
        )
