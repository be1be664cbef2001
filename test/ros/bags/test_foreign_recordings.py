"""ROS 1 messages in an MCAP file, SQLite files of older recorders without metadata: read, or refused with a command."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from made_bags import ROS1, ROS2, Row, check_drive, drive, imported, write_rosbag1
from mcap.writer import Writer as McapWriter

from transposenet_core.errors import UserError
from transposenet_ros.bag_import.names import shown_sentence
from transposenet_ros.bag_import.recording import Recording
from transposenet_ros.bags.reading import BagReader

FOREVER = "{sec: 2147483647, nsec: 4294967295}"
QOS = (  # as Foxy offers it
    f"- {{history: 3, depth: 0, reliability: 1, durability: 2, deadline: {FOREVER}, lifespan: {FOREVER}, "
    f"liveliness: 1, liveliness_lease_duration: {FOREVER}, avoid_ros_namespace_conventions: false}}"
)


def write_ros1_mcap(path: Path, rows: Iterable[Row], encoding: str = "ros1") -> Path:
    """As `mcap convert` writes a rosbag1 recording: the profile, schemas and types of ROS 1."""
    with open(path, "wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros1")
        channels: dict[str, int] = {}
        for topic, time_ns, message in rows:
            kind = message.__msgtype__
            if topic not in channels:
                definition = ROS1.generate_msgdef(kind, ros_version=1)[0].encode()
                schema = writer.register_schema(kind.replace("/msg/", "/"), "ros1msg", definition)
                channels[topic] = writer.register_channel(topic, encoding, schema)
            writer.add_message(channels[topic], time_ns, bytes(ROS1.serialize_ros1(message, kind)), time_ns)
        writer.finish()
    return path


def write_old_sqlite(path: Path, rows: Iterable[Row], schema: int) -> Path:
    """A storage file as recorders wrote it: 0 is Crystal (types without /msg/), 1 Dashing, 2 Foxy, 3 Iron's first."""
    with sqlite3.connect(path) as file:
        qos = ", offered_qos_profiles TEXT NOT NULL" * (schema > 1)
        columns = (
            f"id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL{qos}"
        )
        file.execute(f"CREATE TABLE topics({columns})")
        file.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, "
            "data BLOB NOT NULL)"
        )
        if schema > 2:
            file.execute("CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL)")
            file.execute("INSERT INTO schema VALUES(3, 'iron')")
        topics: dict[str, int] = {}
        for topic, time_ns, message in rows:
            kind = message.__msgtype__
            if topic not in topics:
                topics[topic] = len(topics) + 1
                written = kind.replace("/msg/", "/") if schema == 0 else kind
                values = [topics[topic], topic, written, "cdr", *[QOS] * (schema > 1)]
                file.execute(f"INSERT INTO topics VALUES({', '.join('?' * len(values))})", values)
            data = bytes(ROS2.serialize_cdr(message, kind))
            file.execute(
                "INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)", (topics[topic], time_ns, data)
            )
    file.close()
    return path


def test_e12_ros_1_messages_in_an_mcap_file_are_imported(tmp_path: Path) -> None:
    bag = write_ros1_mcap(tmp_path / "drive.mcap", drive(ros1=True, count=6))
    check_drive(imported(bag, tmp_path / "data", "--pose", "tf:map->base_link"), count=5)


def test_e12_what_replay_cannot_read_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    rows = list(drive(ros1=True, count=3))
    with pytest.raises(UserError, match="profile 'ros1'.* transposenet bag-to-dataset .* `rosbags-convert --src NAME"):
        BagReader(write_ros1_mcap(tmp_path / "drive.mcap", rows))
    with pytest.raises(UserError, match="a rosbag1 recording; convert it with `rosbags-convert --src a.bag --dst a`"):
        BagReader(write_rosbag1(tmp_path / "a.bag", rows))
    with Recording(write_ros1_mcap(tmp_path / "json.mcap", rows, encoding="json")) as bag:
        text = "the messages on /odom are written as json, cdr and ros1 can be read; record the topic"
        with pytest.raises(UserError, match=text):
            bag.require("/odom", ["nav_msgs/msg/Odometry"], "--pose")


@pytest.mark.parametrize("schema", [0, 1, 2, 3])
def test_e12_sqlite_files_of_older_recorders_are_read_without_metadata(tmp_path: Path, schema: int) -> None:
    rows = list(drive(count=6))
    bag = tmp_path / "bag"
    bag.mkdir()
    for number, part in enumerate((rows[:20], rows[20:])):
        write_old_sqlite(bag / f"bag_{number + 9}.db3", part, schema)  # bag_9 and bag_10
    with BagReader(bag) as reader:
        assert reader.topics["/odom"] == "nav_msgs/msg/Odometry" and len(reader.poses("/mocap")) == 6
        assert [time_ns for time_ns, _ in reader.messages("/odom")] == [t for topic, t, _ in rows if topic == "/odom"]
    check_drive(imported(bag, tmp_path / "data", "--pose", "/tracker", "--pose-frame", "base_link"), count=5)


def test_the_end_of_a_long_sentence_is_kept() -> None:
    """It names what is allowed; the name from the recording, which can be as long as it likes, is in its middle."""
    text = shown_sentence(f"the lens '{'x' * 5000}\x1b' is unknown; known are plumb_bob, equidistant")
    assert text.startswith("the lens 'x") and text.endswith("known are plumb_bob, equidistant") and len(text) < 700
    assert "\x1b" not in text


def test_a_camera_info_with_an_unknown_lens_names_all_that_are_known(tmp_path: Path) -> None:
    from transposenet_ros.bag_import.cameras import intrinsics_of

    info = next(message for topic, _, message in drive(count=3) if topic == "/camera/camera_info")
    info.distortion_model, info.d = "kannala_brandt_of_another_name", info.d + 0.1
    with pytest.raises(UserError, match="known are .*plumb_bob.*rational_polynomial.*equidistant"):
        intrinsics_of(info, "/camera/camera_info", False)
