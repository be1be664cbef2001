"""Positions as PointCloud2: by ROS's own sensor_msgs_py where it is installed, else by the same bytes of our own."""

from __future__ import annotations

import array
import sys

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

try:
    from sensor_msgs_py.point_cloud2 import create_cloud_xyz32
except ImportError:
    create_cloud_xyz32 = None


def position_cloud(header: Header, positions_N3: np.ndarray) -> PointCloud2:
    """Positions (N, 3) in metres as an unordered cloud of float32 x, y, z."""
    return (create_cloud_xyz32 or cloud_xyz32)(header, positions_N3.astype(np.float32))


def cloud_xyz32(header: Header, points_N3: np.ndarray) -> PointCloud2:
    """What ``sensor_msgs_py.point_cloud2.create_cloud_xyz32`` makes of float32 points (N, 3)."""
    fields = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")]
    cloud = PointCloud2(header=header, height=1, width=len(points_N3), fields=fields)
    cloud.is_bigendian = sys.byteorder == "big"
    cloud.point_step, cloud.row_step = 12, 12 * len(points_N3)
    cloud.data = array.array("B", points_N3.tobytes())
    return cloud
