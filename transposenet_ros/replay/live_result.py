"""The result of a live replay: estimates and ground truth by stamp, the outcome of every frame, errors, latencies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.evaluation.alignment import Alignment, align
from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import common_units, unit_name
from transposenet_ros import reasons
from transposenet_ros.replay.protocol import MIN_MATCH, ReplayRecord

if TYPE_CHECKING:
    from transposenet_core.evaluation.frame_origin import FrameOrigin

NOT_SENT = (reasons.DAMAGED_IN_BAG, reasons.REPEATED_STAMP)
# TF carries the same doubles as the pose; what differs by more than rounding was computed apart.
TF_TOLERANCE_M, TF_TOLERANCE_DEG = 1e-9, 1e-6


@dataclass(frozen=True, eq=False)
class LiveResult:
    """Every dictionary is by image stamp in ns. Poses are ``T_map_camera``, covariances (6, 6) in metres and radians.

    ``sent`` lists the stamps in the order of sending; ``latencies_ms`` is from before publishing the image to the
    arrival of its pose, on one clock; ``dropped`` counts frames without a pose by reason, as the node names them, and
    besides ``lost_in_transport`` (never reached the node), ``damaged_in_bag`` and ``repeated_stamp`` (both not sent).
    ``node_ms`` are the node's own latencies by stage, of its last few hundred frames. ``transforms`` are compared with
    the poses; there are none where the node's ``tf_mode`` says another frame's place. ``refined`` tells of each frame
    that was compared with keyframes whether its pose was refined. ``units`` are those of positions,
    ``origin`` says what the scene model knows of the frames with ground truth.
    """

    map_frame: str
    sent: list[int]
    seconds: float
    estimates: dict[int, Pose]
    ground_truth_poses: dict[int, Pose]
    covariances: dict[int, np.ndarray] = field(default_factory=dict)
    transforms: dict[int, Pose] = field(default_factory=dict)
    image_names: dict[int, str] = field(default_factory=dict)
    latencies_ms: dict[int, float] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    node_ms: dict[str, float] = field(default_factory=dict)
    tf_mode: str = ""
    refined: dict[int, bool] = field(default_factory=dict)
    min_match: float = MIN_MATCH
    units: str = "metres"
    origin: FrameOrigin | None = None

    @property
    def frames(self) -> int:
        """Frames of the recording, sent or not."""
        return len(self.sent) + sum(self.dropped.get(reason, 0) for reason in NOT_SENT)

    @property
    def unaccounted(self) -> int:
        """Frames that are neither localized nor dropped; 0 where all are accounted for."""
        return self.frames - len(self.estimates) - sum(self.dropped.values())

    @property
    def matched(self) -> list[int]:
        """Stamps that have an estimate and a ground-truth pose."""
        return [
            stamp_ns for stamp_ns in self.sent if stamp_ns in self.estimates and stamp_ns in self.ground_truth_poses
        ]

    def errors(self) -> tuple[np.ndarray, np.ndarray]:
        """Metres (N,) and degrees (N,) of the `matched` frames, in their order."""
        stamps = self.matched
        return pose_errors([self.estimates[s] for s in stamps], [self.ground_truth_poses[s] for s in stamps])

    def error_summary(self) -> ErrorSummary:
        return summarise(*self.errors())

    @cached_property
    def alignment(self) -> Alignment | None:
        """The `matched` estimates aligned to the ground truth by SE(3): a diagnosis of the frames, never the result."""
        stamps = self.matched
        return align([self.estimates[s] for s in stamps], [self.ground_truth_poses[s] for s in stamps])

    def warnings(self) -> list[str]:
        """What restricts the figures, to be shown before them."""
        sent, found = len(self.sent), self.origin.warnings() if self.origin else []
        if sent and len(self.ground_truth_poses) < self.min_match * sent:
            found.append(
                f"only {len(self.ground_truth_poses)} of {sent} images have the stamp of a ground-truth pose, "
                f"{self.min_match:.0%} are required (--min-match); the errors are those of a part"
            )
        if aligned := self.alignment:
            found += filter(None, [aligned.another_frame(self.error_summary(), unit_name(self.units))])
        return found

    def latency_ms(self) -> tuple[float, float] | None:
        """Median and 95th percentile; None where nothing was localized."""
        if not self.latencies_ms:
            return None
        p50, p95 = np.percentile(list(self.latencies_ms.values()), (50, 95))
        return float(p50), float(p95)

    def tf_check(self) -> tuple[int, float, float]:
        """How many estimates came with a transform of their stamp, and by how much the two differ at worst (m, deg)."""
        stamps = [stamp_ns for stamp_ns in self.estimates if stamp_ns in self.transforms]
        metres_N, degrees_N = pose_errors([self.estimates[s] for s in stamps], [self.transforms[s] for s in stamps])
        return len(stamps), float(metres_N.max(initial=0)), float(degrees_N.max(initial=0))

    def to_dict(self) -> dict:
        """The figures for summary.json."""
        latency, (transforms, worst_m, worst_deg) = self.latency_ms(), self.tf_check()
        aligned = self.alignment
        return {
            "warnings": self.warnings(),
            "units": self.units,
            **({"evaluated_frames": self.origin.to_dict()} if self.origin else {}),
            "map_frame": self.map_frame,
            "frames_sent": len(self.sent),
            "seconds": self.seconds,
            "localized": len(self.estimates),
            "refined": sum(self.refined.values()) if self.refined else None,
            "dropped": self.dropped,
            "unaccounted": self.unaccounted,
            "with_ground_truth": len(self.matched),
            "errors": self.error_summary().to_dict(self.units),
            "aligned_se3": aligned and aligned.to_dict(self.units),
            "node_ms": self.node_ms,
            "latency_ms": None if latency is None else {"p50": latency[0], "p95": latency[1]},
            "tf": {"mode": self.tf_mode, "transforms": transforms, "worst_m": worst_m, "worst_deg": worst_deg},
        }

    def table(self) -> str:
        """The same as text."""
        rows = [("WARN", warning) for warning in self.warnings()]
        rows += [("frames sent", f"{len(self.sent)} in {self.seconds:.1f} s"), ("localized", f"{len(self.estimates)}")]
        if self.refined:
            rows.append(("refined", f"{sum(self.refined.values())}"))
        rows += [(f"dropped, {reason}", f"{count}") for reason, count in self.dropped.items()]
        if self.unaccounted:
            rows.append(("UNACCOUNTED", f"{self.unaccounted}: sent is not localized + dropped"))
        rows += self._error_rows() if self.estimates else [("NOTHING LOCALIZED", "no errors, no latency")]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}s}  {value}" for name, value in rows)

    def _error_rows(self) -> list[tuple[str, str]]:
        e, latency = self.error_summary(), self.latency_ms()
        transforms, worst_m, worst_deg = self.tf_check()
        equal = worst_m <= TF_TOLERANCE_M and worst_deg <= TF_TOLERANCE_DEG
        unit = unit_name(self.units)
        difference = "equal" if equal else f"DIFFERENT by up to {worst_m:.2g} {unit}, {worst_deg:.2g} deg"
        tf = f"{difference} in {transforms} of {len(self.estimates)}" if transforms else "no TF received"
        if self.tf_mode in ("map_to_base", "map_to_odom"):
            tf = f"not compared: with tf_mode {self.tf_mode} the transform is not the camera's"
        rows = [
            ("with ground truth", f"{e.count}"),
            ("position error", f"median {e.median_m:.3f} {unit}, p95 {e.p95_m:.3f} {unit}"),
            ("orientation error", f"median {e.median_deg:.2f} deg, p95 {e.p95_deg:.2f} deg"),
            ("TF and pose", tf),
        ]
        if aligned := self.alignment:
            rows.insert(3, ("aligned by SE(3)", f"{aligned.text(unit)} (of the frames, not the result)"))
        if latency:
            rows.append(("publish to pose", f"p50 {latency[0]:.1f} ms, p95 {latency[1]:.1f} ms"))
        for stage, name in (("inference", "inference"), ("refine", "refinement")):
            if {f"{stage}_p50_ms", f"{stage}_p95_ms"} <= set(self.node_ms):
                p50, p95 = self.node_ms[f"{stage}_p50_ms"], self.node_ms[f"{stage}_p95_ms"]
                rows.append((f"of it {name}", f"p50 {p50:.1f} ms, p95 {p95:.1f} ms"))
        return rows


def evaluate_replay(
    record: ReplayRecord, ground_truth_poses: dict[int, Pose], image_names: dict[int, str], min_match: float = MIN_MATCH
) -> LiveResult:
    """Match a replay with the ground truth by stamp. UserError where no frame sent has a pose (fault matrix, E1)."""
    sent = list(record.sent)
    if sent and not any(stamp_ns in ground_truth_poses for stamp_ns in sent):
        raise UserError(
            f"no image has the stamp of a ground-truth pose: images from {_range(sent)}, "
            f"ground truth from {_range(ground_truth_poses)}; record both with the same clock"
        )
    estimates = {s: _pose(record.poses[s]) for s in sent if s in record.poses}
    moments = list(record.sent.values())
    return LiveResult(
        map_frame=record.map_frame,
        sent=sent,
        seconds=(moments[-1] - moments[0]) * 1e-9 if moments else 0.0,
        estimates=estimates,
        ground_truth_poses={s: ground_truth_poses[s] for s in sent if s in ground_truth_poses},
        covariances={s: np.reshape(record.covariances[s], (6, 6)) for s in estimates if s in record.covariances},
        transforms={s: _pose(record.transforms[s]) for s in estimates if s in record.transforms},
        image_names={s: image_names[s] for s in sent if s in image_names},
        latencies_ms={s: (record.received[s] - record.sent[s]) * 1e-6 for s in estimates},
        dropped=_drops(record),
        node_ms=record.node_ms,
        refined={s: record.refined[s] for s in sent if s in record.refined},
        tf_mode=record.tf_mode,
        min_match=min_match,
    )


def with_scenes(result: LiveResult, model: str | Path, scale: float = 0.0) -> LiveResult:
    """The result with what the scene model `model` knows of the recording (fault matrix, E10): of several scenes the
    one that knows the most of its frames. `scale` is the node's parameter. UserError where it cannot be loaded."""
    # Torch takes seconds to import, and the replay itself needs none of it.
    from transposenet_core.evaluation.frame_origin import FrameOrigin
    from transposenet_core.scene_model import SceneModel

    known = SceneModel.load(Path(model).expanduser()).scenes
    scenes = [scene.in_metres(scale) if scale and scene.units != "metres" else scene for scene in known]
    stamps = [stamp_ns for stamp_ns in result.sent if stamp_ns in result.ground_truth_poses]
    names = [result.image_names.get(stamp_ns, "") for stamp_ns in stamps]
    poses, every = [result.ground_truth_poses[stamp_ns] for stamp_ns in stamps], range(len(stamps))
    origins = [FrameOrigin.of(scene, scene.name, names, poses, every, scene.units) for scene in scenes]
    origin = max(origins, key=lambda each: (each.trained_on + each.validated_on + each.left_out, -len(each.problems)))
    return replace(result, units=common_units(scenes), origin=origin)


def _drops(record: ReplayRecord) -> dict[str, int]:
    """What the node counted during the replay, and what was lost or not sent; `superseded` is always listed."""
    counted = {reason: n - record.before.get(reason, 0) for reason, n in record.after.items()}
    received = counted.pop("received", 0)
    counted.pop("localized", None)
    drops = {reasons.SUPERSEDED: 0, **{reason.removeprefix("dropped_"): n for reason, n in counted.items() if n}}
    if (lost := len(record.sent) - received) > 0:
        drops[reasons.LOST_IN_TRANSPORT] = lost
    return drops | record.not_sent


def _pose(numbers: list[float]) -> Pose:
    return Pose(np.array(numbers[:3]), np.array(numbers[3:]))


def _range(stamps: Iterable[int]) -> str:
    seconds = [stamp_ns * 1e-9 for stamp_ns in stamps]
    return f"{min(seconds):.3f} to {max(seconds):.3f} s" if seconds else "nowhere (there is none)"
