"""PointCloud2 of positions: read back by an independent parser, and equal to ROS's own where that is installed."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from transposenet_ros.output.point_cloud import cloud_xyz32, position_cloud

POSITIONS_N3 = np.random.default_rng(1).normal(size=(7, 3)) * 10


def points_of(cloud: PointCloud2) -> np.ndarray:
    """(N, 3) by the layout in the message itself."""
    assert all(field.datatype == PointField.FLOAT32 and field.count == 1 for field in cloud.fields)
    order = ">" if cloud.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": [order + "f4"] * len(cloud.fields),
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    assert cloud.row_step == cloud.width * cloud.point_step and len(cloud.data) == cloud.height * cloud.row_step
    points = np.frombuffer(cloud.data, layout)
    return np.stack([points[name] for name in "xyz"], axis=-1)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_positions_are_read_back_from_the_layout_the_message_names(count: int) -> None:
    cloud = position_cloud(Header(frame_id="map"), POSITIONS_N3[:count])
    assert (cloud.header.frame_id, cloud.height, cloud.width, cloud.point_step) == ("map", 1, count, 12)
    np.testing.assert_array_equal(points_of(cloud), POSITIONS_N3[:count].astype(np.float32))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_our_bytes_are_those_of_sensor_msgs_py(count: int) -> None:
    theirs = pytest.importorskip("sensor_msgs_py.point_cloud2", reason="sensor_msgs_py is part of a ROS machine")
    points_N3, header = POSITIONS_N3[:count].astype(np.float32), Header(frame_id="map")
    # Every field and every byte of the data; not the serialised message, whose padding is whatever was there before.
    assert cloud_xyz32(header, points_N3) == theirs.create_cloud_xyz32(header, points_N3)
