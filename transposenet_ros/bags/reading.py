"""Rosbag2 recordings as replay and evaluation need them: stored messages by topic, poses and image names by stamp."""

from __future__ import annotations

import csv
import struct
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from mcap.records import Header
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from transposenet_core.errors import UserError
from transposenet_core.formats.labels import natural_order
from transposenet_core.geometry.pose import Pose
from transposenet_core.printable import printable
from transposenet_core.text_files import open_text
from transposenet_ros.bags.sqlite_log import SQLITE, logs_of, with_its_log
from transposenet_ros.bags.topics import GROUND_TRUTH_TOPIC, IMAGE_NAMES_FILE, IMAGE_TYPES, POSE_TYPE

STORAGE_SUFFIXES = (".mcap", SQLITE)


class BagReader(AbstractContextManager["BagReader"]):
    """A rosbag2 recording (folder, or a single .mcap or .db3 file), open from construction to `close`.

    SQLite files whose recorder did not close them are read together with their logs, whatever metadata.yaml counts.
    Raises UserError where the recording is missing, unreadable or truncated, at opening and while messages are read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        with ExitStack() as resources:
            try:
                files = _with_logs(_storage(self.path), resources)
                self._reader = AnyReader(files, default_typestore=get_typestore(Stores.ROS2_JAZZY))
                self._reader.open()
            except UserError:
                raise
            # A damaged file can fail anywhere inside the parsers, with any exception.
            except Exception as error:
                raise _foreign(self.path) or _unreadable(self.path, error) from error
            self._resources = resources.pop_all()

    def close(self) -> None:
        if self._reader.stack is not None:
            self._reader.close()
        self._resources.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def topics(self) -> dict[str, str]:
        """Message type of every topic that has messages."""
        return {c.topic: readable_type(c.msgtype) for c in self._reader.connections if c.msgcount}

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


def readable_type(kind: str) -> str:
    """The message type as ROS 2 names it: ROS 1 and the first recorders of ROS 2 have no /msg/ in it."""
    package, *between, name = kind.split("/")
    return f"{package}/msg/{name}" if package and not between and "/" in kind else kind


def _storage(path: Path) -> list[Path]:
    """The paths for rosbags: a folder without metadata.yaml stands for its storage files, by name."""
    if path.suffix == ".bag" and path.is_file():
        raise UserError(
            f"{path}: a rosbag1 recording; convert it with `rosbags-convert --src {path.name} --dst {path.stem}` and "
            "name the new folder"
        )
    if not path.exists():
        raise UserError(f"{path}: no such recording; name a rosbag2 folder or a .mcap or .db3 file")
    if path.is_file() and path.suffix not in STORAGE_SUFFIXES:
        raise UserError(f"{path}: not a rosbag2 recording; name its folder or a .mcap or .db3 file")
    if path.is_file() or (path / "metadata.yaml").exists():
        return [path]
    files = sorted(
        (file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES), key=lambda file: natural_order(file.name)
    )
    if not files or len({file.suffix for file in files}) > 1:
        raise UserError(
            f"{path}: no metadata.yaml there and {'both .mcap and .db3' if files else 'no storage'} files; name a "
            "rosbag2 folder or one of its files"
        )
    return files


def _foreign(path: Path) -> UserError | None:
    """The error for a sound MCAP file without messages of ROS 2; None for another file."""
    for file in [path] if path.is_file() else sorted(path.glob("*.mcap")):
        header = None
        with suppress(Exception), open(file, "rb") as stream:  # a damaged file can fail anywhere inside the parser
            header = next(iter(StreamReader(stream).records))
        if isinstance(header, Header) and header.profile != "ros2":
            return UserError(
                f"{file}: an MCAP file with the profile '{printable(header.profile)}', that of ROS 2 recordings is "
                "'ros2'; transposenet bag-to-dataset reads ROS 1 messages in it, and transposenet make-bag makes a "
                "recording of ROS 2 of that data set; a rosbag1 recording is converted by `rosbags-convert --src "
                "NAME.bag --dst NAME`"
            )
    return None


def _with_logs(storage: list[Path], resources: ExitStack) -> list[Path]:
    """What rosbags is to open, where a log is beside a SQLite file: each file by itself, completed with its log."""
    files = [file for path in storage for file in (sorted(path.glob(f"*{SQLITE}")) if path.is_dir() else [path])]
    if not any(logs_of(file) for file in files):
        return storage
    return [with_its_log(file, resources) for file in files]


def _unreadable(path: Path, error: object) -> UserError:
    detail = (str(error) or type(error).__name__).rstrip(".")
    return UserError(
        f"{path}: the recording cannot be read ({detail}); it is damaged or truncated: copy or record it again"
    )
