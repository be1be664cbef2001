"""Reports once, and completely, why no images arrive: topic, publishers, QoS and the node's clock."""

from __future__ import annotations

import time

from rclpy.clock import Clock, ROSClock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

from transposenet_ros.input.image_input import ImageInput, base_topic
from transposenet_ros.input.image_topics import how_to_receive, published_images
from transposenet_ros.throttled_log import ThrottledLog

CHECK_SECONDS = 0.2


class InputWatch:
    """Waits for the images of `camera`, in wall time. `input_fault` and `clock_fault` are sentences, or empty.

    Both are found after `no_frames_timeout` seconds without a frame, or with a stopped /clock that the node
    follows. Each is logged when it appears and when its text changes.
    """

    def __init__(self, node: Node, camera: ImageInput, no_frames_timeout: float) -> None:
        self._node, self._camera, self._timeout = node, camera, no_frames_timeout
        self.input_fault = self.clock_fault = ""
        self._log, self._logged = ThrottledLog(node.get_logger()), {"input": "", "clock": ""}
        self._clock_ns, self._clock_moved = node.get_clock().now().nanoseconds, time.monotonic()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(CHECK_SECONDS, self._check, clock=steady)

    def close(self) -> None:
        self._node.destroy_timer(self._timer)

    def _check(self) -> None:
        now, clock_ns = time.monotonic(), self._node.get_clock().now().nanoseconds
        if clock_ns != self._clock_ns or not follows_clock_topic(self._node):
            self._clock_ns, self._clock_moved = clock_ns, now
        still, silent = now - self._clock_moved > self._timeout, now - self._camera.heard > self._timeout
        self.clock_fault = why_no_time(self._node, self._timeout) if still else ""
        self.input_fault = why_no_frames(self._node, self._camera, self._timeout) if silent else ""
        for key, fault in (("clock", self.clock_fault), ("input", self.input_fault)):
            if fault != self._logged[key] and (not fault or self._log.warning(key, fault)):
                self._logged[key] = fault


def follows_clock_topic(node: Node) -> bool:
    """Whether the node's time is that of /clock (use_sim_time)."""
    clock = node.get_clock()
    return isinstance(clock, ROSClock) and clock.ros_time_is_active


def clock_name(node: Node) -> str:
    return "/clock (use_sim_time)" if follows_clock_topic(node) else "wall time"


def why_no_time(node: Node, seconds: float) -> str:
    """What is wrong with /clock, as one sentence."""
    publishers = [_full_name(info) for info in node.get_publishers_info_by_topic("/clock")]
    if publishers:
        state = f"of {', '.join(publishers)} has stood still for {seconds:g} s"
    else:
        state = f"has had no publisher for {seconds:g} s"
    return f"use_sim_time is true and /clock {state}; play the recording with --clock, or set use_sim_time to false"


def why_no_frames(node: Node, camera: ImageInput, seconds: float) -> str:
    """Topic, publishers with the QoS they offer against ours, and the node's clock, as one sentence."""
    ours, offers = camera.quality, node.get_publishers_info_by_topic(camera.topic)
    asked = f"no frame for {seconds:g} s on {camera.topic} ({camera.type_name}, requested as {_quality(ours)})"
    found = ["published by " + ", ".join(_offer(info, camera.type_name, ours) for info in offers)] if offers else []
    if all(info.topic_type != camera.type_name for info in offers):
        found = found or ["it has no publisher"]
        prefix = "" if node.get_name() == "localizer" else f"{node.get_name()}:"
        found += [how_to_receive(base_topic(node), camera.transport, published_images(node), prefix)]
    return "; ".join(filter(None, [f"{asked}: {found[0]}", *found[1:], f"the node's clock is {clock_name(node)}"]))


def _offer(info: TopicEndpointInfo, type_name: str, ours: QoSProfile) -> str:
    offered = f"{_full_name(info)} ({_quality(info.qos_profile)}"
    if info.topic_type != type_name:
        return f"{offered}, INCOMPATIBLE: of type {info.topic_type})"
    compatibility, _ = qos_check_compatible(info.qos_profile, ours)
    if compatibility == QoSCompatibility.ERROR:
        return f"{offered}, INCOMPATIBLE with {_quality(ours)}: set parameter 'image_qos' to auto)"
    return f"{offered})"


def _quality(profile: QoSProfile) -> str:
    return f"{profile.reliability.name} {profile.durability.name}".lower().replace("_", " ")


def _full_name(info: TopicEndpointInfo) -> str:
    if info.node_name.startswith("_NODE_NAME_UNKNOWN"):  # of no ROS node, or of one whose name is still on its way
        return "a participant without a node name"
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
