"""Peak memory and time of `bag_to_dataset` on a large recording, made here and removed afterwards.

    python benchmarks/bag_import_memory.py [--gigabytes 2] [--storage mcap|sqlite3]

Raw 640x480 images at 30 Hz, odometry at 100 Hz, 40 joints in /tf at 50 Hz and a static camera transform. The import
runs in a separate process; the peak is the kernel's ru_maxrss, which includes pages of shared libraries.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from transposenet_ros.bags.writing import open_bag_writer

WIDTH, HEIGHT, IMAGE_HZ, POSE_HZ, TF_HZ, JOINTS = 640, 480, 30, 100, 50, 40
START_NS = 1_700_000_000 * 10**9
STORE = get_typestore(Stores.ROS2_JAZZY)


def make(kind: str, *fields: Any) -> Any:
    return STORE.types[kind](*fields)


def header(stamp_ns: int, frame: str) -> Any:
    return make("std_msgs/msg/Header", make("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9)), frame)


def transform(stamp_ns: int, parent: str, child: str, yaw: float) -> Any:
    x, y, z, w = Rotation.from_euler("z", yaw).as_quat().tolist()
    vector, rotation = (
        make("geometry_msgs/msg/Vector3", yaw, 0.0, 0.0),
        make("geometry_msgs/msg/Quaternion", x, y, z, w),
    )
    value = make("geometry_msgs/msg/Transform", vector, rotation)
    return make("geometry_msgs/msg/TransformStamped", header(stamp_ns, parent), child, value)


def odometry(stamp_ns: int, yaw: float) -> Any:
    t = transform(stamp_ns, "map", "base_link", yaw).transform
    point = make("geometry_msgs/msg/Point", t.translation.x, 0.0, 0.0)
    pose = make("geometry_msgs/msg/PoseWithCovariance", make("geometry_msgs/msg/Pose", point, t.rotation), np.zeros(36))
    still = make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
    twist = make("geometry_msgs/msg/TwistWithCovariance", make("geometry_msgs/msg/Twist", still, still), np.zeros(36))
    return make("nav_msgs/msg/Odometry", header(stamp_ns, "map"), "base_link", pose, twist)


def rows(seconds: float) -> Iterator[tuple[str, int, Any]]:
    """Messages in the order of their stamps; every image is the same noise rolled further, so that no two are equal."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, 3 * WIDTH * HEIGHT, dtype=np.uint8)
    yield (
        "/tf_static",
        START_NS,
        make("tf2_msgs/msg/TFMessage", [transform(START_NS, "base_link", "camera_optical", 0.0)]),
    )
    for tick in range(int(seconds * 600)):
        stamp_ns = START_NS + tick * 10**9 // 600
        yaw = np.sin(tick / 3000) + tick / 6000
        if tick % (600 // POSE_HZ) == 0:
            yield "/odom", stamp_ns, odometry(stamp_ns, yaw)
        if tick % (600 // TF_HZ) == 0:
            joints = [transform(stamp_ns, "base_link", f"joint_{k}", yaw) for k in range(JOINTS)]
            yield "/tf", stamp_ns, make("tf2_msgs/msg/TFMessage", joints)
        if tick % (600 // IMAGE_HZ) == 0:
            image_HW3 = np.roll(noise, tick)
            image = header(stamp_ns, "camera_optical"), HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH, image_HW3
            yield "/camera/image", stamp_ns, make("sensor_msgs/msg/Image", *image)


def write_recording(path: Path, gigabytes: float, storage: str) -> None:
    seconds = gigabytes * 1e9 / (3 * WIDTH * HEIGHT * IMAGE_HZ)
    with open_bag_writer(path, storage) as writer:
        connections: dict[str, Any] = {}
        for topic, stamp_ns, message in rows(seconds):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], stamp_ns, STORE.serialize_cdr(message, kind))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--storage", default="mcap", choices=["mcap", "sqlite3"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bag_import_memory.") as folder:
        bag, out = Path(folder, "bag"), Path(folder, "data")
        write_recording(bag, args.gigabytes, args.storage)
        size = sum(path.stat().st_size for path in bag.iterdir())
        options = ["--image", "/camera/image", "--pose", "/odom", "--out", str(out)]
        before = time.perf_counter()
        command = [sys.executable, "-m", "transposenet_ros.bag_to_dataset", str(bag), *options]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - before
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{args.storage}, {size / 1e9:.2f} GB: {seconds:.0f} s, {size / 1e6 / seconds:.0f} MB/s, peak {peak:.0f} MB RSS"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
