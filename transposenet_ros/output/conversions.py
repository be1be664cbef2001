"""Estimates and images as ROS messages. The only place of the node where quaternions become x y z w."""

from __future__ import annotations

import array

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, Quaternion, TransformStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from transposenet_core.estimate import Estimate
from transposenet_core.geometry.covariance import position_sigma, rotation_sigma_deg
from transposenet_core.geometry.pose import Pose
from transposenet_core.scene import unit_name

# An EKF takes zero variance for certainty, and some refuse what is larger than 1e9.
VARIANCE_FLOOR, VARIANCE_CAP = 1e-6, 1e4


def nearest_sign(orientation_wxyz: np.ndarray, previous_wxyz: np.ndarray | None) -> np.ndarray:
    """Of q and -q, which are the same rotation, the one nearer to the last: filters need continuity."""
    if previous_wxyz is None or float(orientation_wxyz @ previous_wxyz) >= 0:
        return orientation_wxyz
    return -orientation_wxyz


def quaternion_to_message(orientation_wxyz: np.ndarray) -> Quaternion:
    w, x, y, z = map(float, orientation_wxyz)
    return Quaternion(x=x, y=y, z=z, w=w)


def pose_to_message(pose: Pose, orientation_wxyz: np.ndarray | None = None) -> PoseMessage:
    """`T_map_camera` in metres; `orientation_wxyz` overrides the sign of the pose's own quaternion."""
    message = PoseMessage()
    message.position.x, message.position.y, message.position.z = map(float, pose.position)
    message.orientation = quaternion_to_message(pose.orientation if orientation_wxyz is None else orientation_wxyz)
    return message


def pose_from_message(message: PoseMessage) -> Pose:
    """The pose of a message. ValueError where it is not finite or its quaternion has no direction."""
    position, orientation = message.position, message.orientation
    return Pose(
        np.array([position.x, position.y, position.z]),
        np.array([orientation.w, orientation.x, orientation.y, orientation.z]),
    )


def sound_covariance(covariance_66: np.ndarray) -> np.ndarray:
    """A (6, 6) covariance that every consumer accepts: finite, symmetric, eigenvalues between floor and cap.

    A value that is not finite has no information about the error and becomes the cap.
    """
    covariance_66 = np.asarray(covariance_66, np.float64)
    if not np.isfinite(covariance_66).all():
        return VARIANCE_CAP * np.eye(6)
    # Far beyond the cap only the decomposition would notice a difference: it fails on numbers like 1e285.
    bounded_66 = np.clip(covariance_66, -1e4 * VARIANCE_CAP, 1e4 * VARIANCE_CAP)
    values, vectors = np.linalg.eigh((bounded_66 + bounded_66.T) / 2)
    sound_66 = (vectors * np.clip(values, VARIANCE_FLOOR, VARIANCE_CAP)) @ vectors.T
    return (sound_66 + sound_66.T) / 2


def pose_stamped(header: Header, pose: PoseMessage) -> PoseStamped:
    return PoseStamped(header=header, pose=pose)


def pose_with_covariance(header: Header, pose: PoseMessage, covariance_66: np.ndarray) -> PoseWithCovarianceStamped:
    message = PoseWithCovarianceStamped(header=header)
    message.pose.pose = pose
    message.pose.covariance = sound_covariance(covariance_66).ravel()
    return message


def transform_stamped(header: Header, child_frame: str, pose: PoseMessage) -> TransformStamped:
    message = TransformStamped(header=header, child_frame_id=child_frame)
    translation = message.transform.translation
    translation.x, translation.y, translation.z = pose.position.x, pose.position.y, pose.position.z
    message.transform.rotation = pose.orientation
    return message


def status_array(header: Header, node: str, estimate: Estimate) -> DiagnosticArray:
    """One entry about one frame: localized or the reason, the scene, the confidence, and whether it was refined.

    The confidence is one sigma of the covariance, in metres and degrees, and its source; for a model of several scenes
    the probability of the scene comes first. There is no probability that the pose is right: none has been measured.
    """
    entry = DiagnosticStatus(name=f"{node}: frame", hardware_id=estimate.scene)
    entry.level = DiagnosticStatus.OK if estimate.localized else DiagnosticStatus.WARN
    entry.message = "localized" if estimate.localized else estimate.reason
    covariance_66 = sound_covariance(estimate.covariance_66)
    position_std, rotation_std = float(position_sigma(covariance_66)), float(rotation_sigma_deg(covariance_66))
    unit = unit_name(estimate.units)
    confidence = f"one sigma {position_std:.3f} {unit}, {rotation_std:.2f} deg: {estimate.covariance_source}"
    if estimate.scene_probability is not None:
        confidence = f"scene {estimate.scene_probability:.1%}, within it {confidence}"
    entry.values = key_values(
        localized=str(estimate.localized).lower(),
        reason=estimate.reason,
        scene=estimate.scene,
        confidence=confidence if estimate.localized else "none",
        refined=str(estimate.refined).lower(),
        refinement=estimate.refinement,
        rotation_std_deg=f"{rotation_std:.3f}",
        **{f"position_std_{unit}": f"{position_std:.4f}"},
        **({} if estimate.scene_probability is None else {"scene_probability": f"{estimate.scene_probability:.4f}"}),
    )
    return DiagnosticArray(header=header, status=[entry])


def key_values(**values: object) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def rgb8_message(header: Header, image_HW3: np.ndarray) -> Image:
    """An image (H, W, 3) uint8 RGB as a message without row padding."""
    height, width = image_HW3.shape[:2]
    message = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array.array("B", image_HW3.tobytes())  # rclpy checks an ndarray byte by byte: 50 ms
    return message
