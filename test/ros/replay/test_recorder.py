"""The recorder on real topics: which transforms it takes for the camera's."""

from __future__ import annotations

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from live import Client, quality, stamped, wait_until
from robot import transforms
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from transposenet_core.estimate import Estimate
from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.conversions import key_values, pose_to_message, status_array
from transposenet_ros.replay.live_result import evaluate_replay
from transposenet_ros.replay.recorder import Recorder


@pytest.mark.parametrize(
    ("mode", "child", "row"),
    [
        ("map_to_camera", "camera", "equal in 1 of 1"),
        ("map_to_base", "base_link", "not compared: with tf_mode map_to_base"),
        ("map_to_odom", "odom", "not compared: with tf_mode map_to_odom"),
        ("none", "other", "no TF received"),
    ],
)
def test_only_the_cameras_own_transform_is_compared_with_its_pose(domain: int, mode: str, child: str, row: str) -> None:
    seconds, T_44 = float(round(time.time())), np.eye(4)
    T_44[0, 3] = 2.0
    translated_44 = T_44 if child == "camera" else T_44 + np.eye(4, k=3) * 0.5
    with Client(domain, "evaluator") as evaluator, Client(domain, "localizer") as node:
        recorder = Recorder(evaluator.node, "/localizer")
        poses = node.node.create_publisher(PoseStamped, "/localizer/pose", quality())
        tf = node.node.create_publisher(TFMessage, "/tf", quality())
        health = node.node.create_publisher(DiagnosticArray, "/diagnostics", quality())
        wait_until(lambda: all(p.get_subscription_count() for p in (poses, tf, health)), "the recorder")
        time.sleep(0.2)
        tf.publish(transforms(seconds, "map", child, translated_44))
        poses.publish(stamped(PoseStamped(pose=pose_to_message(Pose.from_matrix(T_44))), seconds, "map"))
        status = DiagnosticStatus(name="/localizer: localization", values=key_values(tf_mode=mode))
        health.publish(DiagnosticArray(status=[status]))
        wait_until(lambda: recorder.reports and recorder.record.poses and recorder._every_transform, "the messages")
        record = recorder.finish()
    stamp_ns = round(seconds * 1e9)
    record.sent = {stamp_ns: 0}
    result = evaluate_replay(record, {stamp_ns: Pose.from_matrix(T_44)}, {})
    assert row in result.table() and result.to_dict()["tf"]["mode"] == mode


def test_what_keyframes_said_is_recorded_of_the_frames_that_they_were_asked_of(domain: int) -> None:
    poses = {1: "", 2: "400 of 500 corners of 2 keyframes agree", 3: "not accepted: 7 of 310 corners agree"}
    with Client(domain, "evaluator") as evaluator, Client(domain, "localizer") as node:
        recorder = Recorder(evaluator.node, "/localizer")
        publisher = node.node.create_publisher(DiagnosticArray, "/localizer/status", quality())
        wait_until(lambda: publisher.get_subscription_count(), "the recorder")
        time.sleep(0.2)
        for seconds, text in poses.items():
            pose = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
            refined = text.endswith("keyframes agree")
            estimate = Estimate(pose, np.eye(6), True, "", "s", "map", refined=refined, refinement=text)
            header = stamped(DiagnosticArray(header=Header()), seconds, "map").header
            publisher.publish(status_array(header, "/localizer", estimate))
        wait_until(lambda: 3 * 10**9 in recorder.record.refined, "the last status")
    assert recorder.record.refined == {2 * 10**9: True, 3 * 10**9: False} and not recorder.record.not_localized
