"""Rosbag2 recordings as replay and evaluation need them: stored messages by topic, poses and image names by stamp."""

from __future__ import annotations

import csv
import struct
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import Pose
from transposenet_core.text_files import open_text
from transposenet_ros.bags.topics import GROUND_TRUTH_TOPIC, IMAGE_NAMES_FILE, IMAGE_TYPES, POSE_TYPE

STORAGE_SUFFIXES = (".mcap", ".db3")


class BagReader(AbstractContextManager["BagReader"]):
    """A rosbag2 recording (folder, or a single .mcap or .db3 file), open from construction to `close`.

    Raises UserError where the recording is missing, unreadable or truncated, at opening and while messages are read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        try:
            self._reader = AnyReader([_storage(self.path)], default_typestore=get_typestore(Stores.ROS2_JAZZY))
            self._reader.open()
        except UserError:
            raise
        # A damaged file can fail anywhere inside the parsers, with any exception.
        except Exception as error:
            raise _unreadable(self.path, error) from error

    def close(self) -> None:
        if self._reader.stack is not None:
            self._reader.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def topics(self) -> dict[str, str]:
        """Message type of every topic that has messages."""
        return {c.topic: c.msgtype for c in self._reader.connections if c.msgcount}

    def find_topic(self, types: Collection[str], name: str | None, option: str) -> str:
        """The topic `name`, or the only one of these `types`. UserError names what the bag holds and the `option`."""
        fitting = sorted(topic for topic, kind in self.topics.items() if kind in types)
        if name is None and len(fitting) == 1:
            return fitting[0]
        if name in fitting:
            return name
        wanted = " or ".join(sorted(types))
        held = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(self.topics.items())) or "no messages at all"
        if name is not None:
            raise UserError(f"{self.path}: no messages of {wanted} on the topic {name}; it holds {held}: set {option}")
        if fitting:
            raise UserError(f"{self.path}: several topics of {wanted} ({', '.join(fitting)}): name one with {option}")
        raise UserError(f"{self.path}: no topic of {wanted}; it holds {held}")

    def image_topic(self, name: str | None = None) -> str:
        return self.find_topic(IMAGE_TYPES, name, "--image-topic")

    def ground_truth_topic(self, name: str | None = None) -> str:
        if name is None and self.topics.get(GROUND_TRUTH_TOPIC) == POSE_TYPE:
            return GROUND_TRUTH_TOPIC
        return self.find_topic([POSE_TYPE], name, "--ground-truth-topic")

    def count(self, topic: str) -> int:
        return sum(c.msgcount for c in self._connections(topic))

    def raw_messages(self, topic: str) -> Iterator[tuple[int, bytes]]:
        """(time of recording in ns, CDR bytes) of every message of `topic`, in the order of recording."""
        connections, seen = self._connections(topic), 0
        try:
            for _, time_ns, data in self._reader.messages(connections) if connections else ():
                yield time_ns, bytes(data)
                seen += 1
        except Exception as error:
            raise _unreadable(self.path, error) from error
        if seen < self.count(topic):
            raise _unreadable(self.path, f"{seen} of {self.count(topic)} messages on {topic} are there")

    def messages(self, topic: str) -> Iterator[tuple[int, Any]]:
        """The same, deserialised."""
        kind = self.topics.get(topic, "")
        for time_ns, data in self.raw_messages(topic):
            try:
                message = self._reader.deserialize(data, kind)
            except Exception as error:
                raise _unreadable(self.path, f"a message on {topic} is damaged: {error}") from error
            yield time_ns, message

    def poses(self, topic: str) -> dict[int, Pose]:
        """Poses of a PoseStamped topic by header stamp in ns. UserError where one is not finite or has no rotation."""
        poses = {}
        for _, message in self.messages(topic):
            p, q, stamp = message.pose.position, message.pose.orientation, message.header.stamp
            try:
                pose = Pose(np.array([p.x, p.y, p.z]), np.array([q.w, q.x, q.y, q.z]))
            except ValueError as error:
                raise UserError(f"{self.path}: {topic} at {stamp.sec}.{stamp.nanosec:09d} s is {error}") from None
            poses[stamp.sec * 10**9 + stamp.nanosec] = pose
        return poses

    def image_names(self) -> dict[int, str]:
        """Name of the source image by stamp in ns, where `make_bag` left the list beside the bag; else empty."""
        folder = self.path if self.path.is_dir() else self.path.parent
        try:
            with open_text(folder / IMAGE_NAMES_FILE) as file:
                return {int(row["stamp_ns"]): row["image"] for row in csv.DictReader(file)}
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, ValueError, csv.Error) as error:
            raise UserError(
                f"{folder / IMAGE_NAMES_FILE}: no list 'stamp_ns,image' ({error!r}); restore it or remove it"
            ) from None

    def _connections(self, topic: str) -> list[Connection]:
        return [c for c in self._reader.connections if c.topic == topic]


def header_stamp_ns(data: bytes) -> int | None:
    """Header stamp in ns of a stored message that begins with a std_msgs/Header; None where it is too short for one.

    Read from the bytes, because a damaged image must be replayed as it is and cannot be deserialised.
    """
    if len(data) < 12:
        return None
    seconds, nanoseconds = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return seconds * 10**9 + nanoseconds


def _storage(path: Path) -> Path:
    """The path for rosbags: a folder without metadata.yaml that holds a single storage file stands for that file."""
    if not path.exists():
        raise UserError(f"{path}: no such recording; name a rosbag2 folder or a .mcap or .db3 file")
    if path.is_file() and path.suffix not in STORAGE_SUFFIXES:
        raise UserError(f"{path}: not a rosbag2 recording; name its folder or a .mcap or .db3 file")
    if path.is_file() or (path / "metadata.yaml").exists():
        return path
    files = [file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES]
    if len(files) != 1:
        raise UserError(
            f"{path}: no metadata.yaml and {len(files)} storage files there; name a rosbag2 folder or one of its files"
        )
    return files[0]


def _unreadable(path: Path, error: object) -> UserError:
    detail = (str(error) or type(error).__name__).rstrip(".")
    return UserError(
        f"{path}: the recording cannot be read ({detail}); it is damaged or truncated: copy or record it again"
    )
