"""A scene and the newest estimate as RViz markers: training poses as small axes, the camera, its covariance."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Vector3
from scipy.spatial.transform import Rotation
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from transposenet_core.estimate import Estimate
from transposenet_core.scene_model import MappedScene
from transposenet_ros.output.conversions import quaternion_to_message, sound_covariance

# Every message holds all of them, for late-joining subscribers (transient local): 200 take 1.5 ms to send.
MAX_TRAINING_POSES = 200
AXIS_SHARE, DEFAULT_EXTENT = 0.02, 5.0
CAMERA_SIZE = 4.0  # times a training pose
SIGMAS_95 = 2.7955  # square root of the 95 % quantile of chi-square with three degrees of freedom
AXIS_COLOURS = ((1.0, 0.2, 0.2), (0.2, 0.9, 0.2), (0.3, 0.4, 1.0))  # x red, y green, z blue: RViz's own
ELLIPSOID_COLOUR = (1.0, 0.8, 0.1, 0.35)


class SceneMarkers:
    """Markers of one scene in `map_frame`; the training poses are drawn once, when the first message is asked for."""

    def __init__(self, scene: MappedScene, map_frame: str) -> None:
        self._positions_N3 = scene.training_positions_N3
        self._orientations_N4 = scene.training_orientations_N4
        self._map_frame = map_frame

    def message(self, estimate: Estimate | None, stamp: Time) -> MarkerArray:
        """Namespaces `training`, `camera` and `covariance` (95 % ellipsoid of the position).

        The last two are deleted where there is no estimate or it is not localized: an old one would look new.
        """
        camera = self._marker("camera", Marker.LINE_LIST, stamp)
        ellipsoid = self._marker("covariance", Marker.SPHERE, stamp)
        if estimate is not None and estimate.localized and estimate.pose is not None:
            length = CAMERA_SIZE * self._axis_length
            _draw_axes(camera, estimate.pose.position[None], estimate.pose.orientation[None], length)
            _draw_ellipsoid(ellipsoid, estimate.pose.position, estimate.covariance_66)
        else:
            camera.action = ellipsoid.action = Marker.DELETE
        return MarkerArray(markers=[self._training, camera, ellipsoid])

    @cached_property
    def _training(self) -> Marker:
        # Without a stamp a marker is valid at any time: these stand still.
        marker = self._marker("training", Marker.LINE_LIST, Time())
        if count := len(self._positions_N3):
            chosen = np.linspace(0, count - 1, min(count, MAX_TRAINING_POSES)).round().astype(int)
            _draw_axes(marker, self._positions_N3[chosen], self._orientations_N4[chosen], self._axis_length)
        else:
            marker.action = Marker.DELETE  # of the previous scene
        return marker

    @cached_property
    def _axis_length(self) -> float:
        extent = np.linalg.norm(np.ptp(self._positions_N3, axis=0)) if len(self._positions_N3) else 0.0
        return AXIS_SHARE * float(extent or DEFAULT_EXTENT)

    def _marker(self, namespace: str, kind: int, stamp: Time) -> Marker:
        marker = Marker(header=Header(stamp=stamp, frame_id=self._map_frame), ns=namespace, type=kind)
        marker.pose.orientation.w = 1.0
        return marker


def _draw_axes(marker: Marker, positions_N3: np.ndarray, orientations_N4: np.ndarray, length: float) -> None:
    """Three lines from each position along the axes of its frame; quaternions w x y z."""
    marker.scale.x = length / 15  # of a line list: its width
    marker.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
    axes_N33 = Rotation.from_quat(orientations_N4, scalar_first=True).as_matrix()
    for position, axes_33 in zip(positions_N3, axes_N33, strict=True):
        for axis, (red, green, blue) in zip(axes_33.T, AXIS_COLOURS, strict=True):
            marker.points += [_point(position), _point(position + length * axis)]
            marker.colors += [ColorRGBA(r=red, g=green, b=blue, a=1.0)] * 2


def _draw_ellipsoid(marker: Marker, position: np.ndarray, covariance_66: np.ndarray) -> None:
    variances, axes_33 = np.linalg.eigh(sound_covariance(covariance_66)[:3, :3])
    axes_33[:, 2] *= np.sign(np.linalg.det(axes_33))  # a rotation, no reflection
    marker.pose.position = _point(position)
    orientation_wxyz = Rotation.from_matrix(axes_33).as_quat(scalar_first=True)
    marker.pose.orientation = quaternion_to_message(orientation_wxyz)
    x, y, z = 2 * SIGMAS_95 * np.sqrt(variances)
    marker.scale = Vector3(x=float(x), y=float(y), z=float(z))
    red, green, blue, alpha = ELLIPSOID_COLOUR
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _point(position: np.ndarray) -> Point:
    x, y, z = map(float, position)
    return Point(x=x, y=y, z=z)
