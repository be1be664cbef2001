"""Outputs published while they have a subscriber: path, attention, markers, training positions, expected image."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
from nav_msgs.msg import Path
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle.publisher import LifecyclePublisher
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from transposenet_core.estimate import Estimate
from transposenet_core.inspection.attention_overlay import overlay
from transposenet_core.inspection.reconstruction import has_decoder, reconstruct
from transposenet_core.scene_model import SceneModel
from transposenet_ros.output.conversions import pose_stamped, pose_to_message, rgb8_message
from transposenet_ros.output.frame import Frame
from transposenet_ros.output.path_poses import PathPoses
from transposenet_ros.output.point_cloud import position_cloud
from transposenet_ros.output.publishers import open_publisher
from transposenet_ros.output.scene_markers import SceneMarkers
from transposenet_ros.output.units import in_scene_units, shown

ENCODERS = ("position", "orientation")


class OnDemand:
    """An `Output` whose publishers send while `node` is active and they have subscribers.

    What does not depend on a frame is sent when a subscriber appears. Without subscribers only the path of the
    localized frames is kept (at most `path_length` poses, `path_spacing` metres apart), so that a view that is opened
    see how the robot got there. `scale` is the parameter: a scene in arbitrary units is shown in metres, too.
    `publish` and `forget` may come from another thread than the executor's.
    """

    def __init__(
        self,
        node: LifecycleNode,
        scene_model: SceneModel,
        map_frame: str,
        path_length: int,
        path_spacing: float,
        scale: float = 0.0,
    ) -> None:
        self._node, self._scale = node, scale
        # Held while a message is made of what the worker and the executor share.
        self._lock = threading.Lock()
        self._poses = PathPoses(path_length, path_spacing)
        self._publishers: list[LifecyclePublisher] = []
        self._reconstruction: LifecyclePublisher | None = None
        try:
            self._attention = {name: self._open(Image, f"~/attention/{name}") for name in ENCODERS}
            self._path = self._open(Path, "~/path", self._send_path)
            self._markers = self._open(MarkerArray, "~/markers", self._send_markers)
            self._positions = self._open(PointCloud2, "~/training_positions", self._send_positions)
            self.show_scene(scene_model, map_frame)
        except Exception:
            self.close()
            raise

    def _open(self, kind: type, topic: str, send: Callable[[], None] | None = None) -> LifecyclePublisher:
        """A publisher; with `send`, a transient local one that calls `send` for every new subscriber."""

        def on_match(change: Any) -> None:
            if change.current_count_change > 0 and send is not None:
                send()

        events = PublisherEventCallbacks(use_default_callbacks=False, matched=None if send is None else on_match)
        publisher = open_publisher(self._node, kind, topic, lasting=send is not None, event_callbacks=events)
        self._publishers.append(publisher)
        return publisher

    def show_scene(self, scene_model: SceneModel, map_frame: str) -> None:
        """Show another scene from now on, its poses in `map_frame`, and clear those of the last one."""
        with self._lock:
            self._scene_model, self._map_frame = scene_model, map_frame
            self._scene = shown(scene_model.scenes[0], self._scale)
            self._scene_markers = SceneMarkers(self._scene, map_frame)
            self._offer_reconstruction()
        self.forget()

    def _offer_reconstruction(self) -> None:
        """Advertise the topic only where the scene model has a decoder."""
        publisher = self._reconstruction
        if has_decoder(self._scene_model) and publisher is None:
            self._reconstruction = self._open(Image, "~/reconstruction")
            if self._path.is_activated:  # the node activated its publishers before this one existed
                self._reconstruction.on_activate(None)
        elif not has_decoder(self._scene_model) and publisher is not None:
            self._reconstruction = None
            self._publishers.remove(publisher)
            self._node.destroy_lifecycle_publisher(publisher)

    def _enter(self, frame: Frame) -> None:
        """Show another scene of the model, which a frame was found to be in; the path is cleared."""
        with self._lock:
            found = [scene for scene in self._scene_model.scenes if scene.name == frame.estimate.scene]
            if not found:  # of a model that is no longer in use
                return
            self._scene, self._map_frame = shown(found[0], self._scale), frame.map_frame
            self._scene_markers = SceneMarkers(self._scene, self._map_frame)
        self.forget()

    def forget(self) -> None:
        """Clear path and estimate, and publish that: after activation and after every reset."""
        with self._lock:
            self._poses.clear()
            self._newest: Estimate | None = None
            self._stamp = Time()
        for send in (self._send_path, self._send_markers, self._send_positions):
            send()

    def has_listeners(self) -> bool:
        """Whether an output that depends on frames has a subscriber; the training positions do not."""
        with self._lock:  # a change of the model may remove the last one
            return self.wants_attention() or any(map(_is_heard, (self._path, self._markers, self._reconstruction)))

    def wants_attention(self) -> bool:
        """Whether the next frame should be localized with attention."""
        return any(map(_is_heard, self._attention.values()))

    def publish(self, frame: Frame) -> None:
        """Show a frame; its attention where it was localized with it."""
        if frame.map_frame != self._map_frame:
            self._enter(frame)
        with self._lock:
            self._newest, self._stamp = frame.estimate, frame.stamp
            longer = self._extend_path(frame)
        if longer:
            self._send_path()
        self._send_markers()
        header = Header(stamp=frame.stamp, frame_id=frame.camera_frame)
        for name, publisher in self._attention.items():
            if name in frame.estimate.attention and _is_heard(publisher):
                attention_HW = frame.estimate.attention[name]
                drawn_HW3 = overlay(frame.image_HW3, attention_HW, self._scene_model.preprocessing)
                publisher.publish(rgb8_message(header, drawn_HW3))
        self._send_reconstruction(header, frame.estimate)

    def close(self) -> None:
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def _extend_path(self, frame: Frame) -> bool:
        estimate = frame.estimate
        if estimate.pose is None or not estimate.localized:
            return False
        return self._poses.add(pose_stamped(frame.header, pose_to_message(estimate.pose)))

    def _send_path(self) -> None:
        with self._lock:
            if _is_heard(self._path):
                header = Header(stamp=self._stamp, frame_id=self._map_frame)
                self._path.publish(Path(header=header, poses=list(self._poses.poses)))

    def _send_markers(self) -> None:
        with self._lock:
            if _is_heard(self._markers):
                self._markers.publish(self._scene_markers.message(self._newest, self._stamp))

    def _send_positions(self) -> None:
        with self._lock:
            if _is_heard(self._positions):
                header = Header(frame_id=self._map_frame)
                self._positions.publish(position_cloud(header, self._scene.training_positions_N3))

    def _send_reconstruction(self, header: Header, estimate: Estimate) -> None:
        with self._lock:  # a change of the model may remove the publisher
            publisher, scene_model = self._reconstruction, self._scene_model
            heard = _is_heard(publisher)
        if not heard or estimate.pose is None or not estimate.localized:
            return
        scenes = {scene.name: scene for scene in scene_model.scenes}
        if estimate.scene not in scenes:
            return  # it is from the previous model
        pose = in_scene_units(estimate.pose, scenes[estimate.scene], self._scale)
        drawn_HW3 = reconstruct(scene_model, pose, estimate.scene)
        with self._lock:
            if publisher is not None and publisher is self._reconstruction:
                publisher.publish(rgb8_message(header, drawn_HW3))


def _is_heard(publisher: LifecyclePublisher | None) -> bool:
    return publisher is not None and publisher.is_activated and publisher.get_subscription_count() > 0
