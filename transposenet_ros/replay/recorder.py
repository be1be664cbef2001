"""Records what the localizer publishes: poses, transforms, frame status, each under the image's stamp, and counts."""

from __future__ import annotations

import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from transposenet_ros.replay.protocol import ReplayRecord

RELIABLE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)


class Recorder:
    """Subscribes to the outputs of the localizer `target` (fully qualified name) and keeps them in ``record``."""

    def __init__(self, node: Node, target: str) -> None:
        self.record = ReplayRecord()
        self.changed = threading.Condition()
        self.diagnostics: dict[str, str] = {}
        self.fault = ""
        self.reports = 0
        self._entry = f"{target}: localization"
        self._every_transform: dict[int, list[Any]] = {}
        self._outputs = [
            node.create_subscription(PoseStamped, f"{target}/pose", self._on_pose, RELIABLE),
            node.create_subscription(
                PoseWithCovarianceStamped, f"{target}/pose_with_covariance", self._on_covariance, RELIABLE
            ),
            node.create_subscription(DiagnosticArray, f"{target}/status", self._on_status, RELIABLE),
        ]
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self._listen_to_tf(node)

    def connected(self) -> bool:
        """Whether the node's outputs have been discovered."""
        return all(subscription.get_publisher_count() for subscription in self._outputs)

    def counts(self) -> dict[str, int]:
        """The node's own counts: received, localized, and dropped_REASON for every reason so far."""
        names = [name for name in self.diagnostics if name in ("received", "localized") or name.startswith("dropped_")]
        return {name: int(self.diagnostics[name]) for name in names}

    def wait_for_report(self, timeout: float) -> None:
        """Until the node's next diagnostics: the current counts may be as old as its `diagnostics_period`."""
        with self.changed:
            reports = self.reports
            self.changed.wait_for(lambda: self.reports > reports, timeout)

    def replied(self, stamp_ns: int) -> bool:
        """Whether pose, covariance and status of a frame have arrived, or its status as not localized."""
        r = self.record
        return (stamp_ns in r.poses and stamp_ns in r.covariances) or stamp_ns in r.not_localized

    def finish(self) -> ReplayRecord:
        """The record with the transforms that belong to its poses: those of `tf_mode` map_to_camera alone."""
        with self.changed:
            self.record.tf_mode = self.diagnostics.get("tf_mode", "")
            transforms = self._every_transform if self.record.tf_mode == "map_to_camera" else {}
            for stamp_ns in self.record.poses:
                for transform in transforms.get(stamp_ns, ()):
                    if transform.header.frame_id == self.record.map_frame:
                        t, q = transform.transform.translation, transform.transform.rotation
                        self.record.transforms[stamp_ns] = [t.x, t.y, t.z, q.w, q.x, q.y, q.z]
            self.record.after = self.counts()
            self.record.node_ms = {k: float(v) for k, v in self.diagnostics.items() if k.endswith("_ms")}
        return self.record

    def _listen_to_tf(self, node: Node) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            return  # then the node cannot publish any either
        node.create_subscription(TFMessage, "/tf", self._on_tf, RELIABLE)

    def _on_pose(self, message: PoseStamped) -> None:
        now_ns = time.monotonic_ns()
        stamp_ns = _stamp_ns(message)
        with self.changed:
            self.record.map_frame = message.header.frame_id
            self.record.received.setdefault(stamp_ns, now_ns)
            self.record.poses[stamp_ns] = _numbers(message.pose)
            self.changed.notify_all()

    def _on_covariance(self, message: PoseWithCovarianceStamped) -> None:
        with self.changed:
            self.record.covariances[_stamp_ns(message)] = message.pose.covariance.tolist()
            self.changed.notify_all()

    def _on_status(self, message: DiagnosticArray) -> None:
        values = {pair.key: pair.value for status in message.status for pair in status.values}
        with self.changed:
            if values.get("refinement"):
                self.record.refined[_stamp_ns(message)] = values.get("refined") == "true"
            if values.get("localized") == "false":
                self.record.not_localized[_stamp_ns(message)] = values.get("reason", "")
                self.changed.notify_all()

    def _on_tf(self, message: Any) -> None:
        with self.changed:
            for transform in message.transforms:
                self._every_transform.setdefault(_stamp_ns(transform), []).append(transform)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._entry:
                with self.changed:
                    self.diagnostics = {pair.key: pair.value for pair in status.values}
                    self.reports += 1
                    failed = status.level == DiagnosticStatus.ERROR and self.diagnostics.get("state") != "active"
                    self.fault = status.message if failed else ""
                    self.changed.notify_all()


def _stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def _numbers(pose: Any) -> list[float]:
    p, q = pose.position, pose.orientation
    return [p.x, p.y, p.z, q.w, q.x, q.y, q.z]
