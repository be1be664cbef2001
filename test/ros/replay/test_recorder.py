"""The recorder on real topics: which transforms it takes for the camera's."""

from __future__ import annotations

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from live import Client, quality, stamped, wait_until
from robot import transforms
from tf2_msgs.msg import TFMessage

from transposenet_core.geometry.pose import Pose
from transposenet_ros.output.conversions import key_values, pose_to_message
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
