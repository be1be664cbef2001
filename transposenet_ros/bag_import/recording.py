"""A recording for import: its topics, and the messages of some of them, as far as it can be read."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from transposenet_core.errors import UserError
from transposenet_ros.bag_import.names import listed, shown
from transposenet_ros.bag_import.salvage import CDR
from transposenet_ros.bag_import.storage import ROS1, open_storage, storage_paths
from transposenet_ros.bags.reading import header_stamp_ns, readable_type

ENCODINGS = (CDR, ROS1)
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # no CDR message begins like this: its first byte is 0
LARGEST_MESSAGE = 2**29
LATEST_NS = 2**62  # year 2116: what is later is damage, and sums of stamps must fit into 64 bits


class StoredMessage(NamedTuple):
    """One message as it lies in the file, its time of recording in ns."""

    topic: str
    time_ns: int
    data: bytes


class Recording(AbstractContextManager["Recording"]):
    """One recording, open from construction to `close`.

    ``topics`` has the message type by name, also for messages of ROS 1 by its name in ROS 2; ``notes`` grows by a
    sentence for everything that could not be read.
    Message types are ROS's own definitions, never those in the file: nothing in it becomes code.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        paths, self._promised, self.notes = storage_paths(self.path)
        with ExitStack() as resources:
            self._files = []
            for path_of_file in paths:
                try:
                    self._files.append((path_of_file, open_storage(path_of_file, resources, self._note)))
                except UserError as error:
                    if len(paths) == 1:
                        raise
                    self._note(str(error))
            self._resources = resources.pop_all()
        self.topics: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._encodings: dict[str, str] = {}
        for _, file in self._files:
            for topic, (kind, count) in file.topics.items():
                self.topics.setdefault(topic, readable_type(kind))
                self._encodings.setdefault(topic, file.encodings[topic])
                self._counts[topic] = self._counts.get(topic, 0) + count
        self._note_faults()

    def close(self) -> None:
        self._resources.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self, topics: Collection[str]) -> int:
        return sum(self._counts.get(topic, 0) for topic in topics)

    def promised(self, topic: str) -> int:
        """How many messages of a topic were recorded, as far as the recording knows."""
        return max(self._promised.get(topic, 0), self._counts.get(topic, 0))

    def require(self, topic: str, types: Collection[str], option: str) -> str:
        """The type of a topic. UserError with what the recording holds where it is missing or of another type."""
        kind = self.topics.get(topic)
        if kind is not None and kind in types:
            return self._readable(topic, kind)
        fitting = listed((name for name, held in self.topics.items() if held in types), "no topic")
        held = listed(f"{name} ({held})" for name, held in self.topics.items())
        found = "is not in it" if kind is None else f"is of {shown(kind)}, which cannot be used"
        raise UserError(
            f"{self.path}: the topic {shown(topic)} of {option} {found}; "
            f"{' or '.join(sorted(types))} is needed, which {fitting} in it has; it holds {held}"
        )

    def _readable(self, topic: str, kind: str) -> str:
        """The type of a topic. UserError where its messages are written in a way that is not ROS's."""
        if (encoding := self._encodings[topic]) in ENCODINGS:
            return kind
        raise UserError(
            f"{self.path}: the messages on {shown(topic)} are written as {shown(encoding)}, {' and '.join(ENCODINGS)} "
            "can be read; record the topic with rosbag2, or convert the original rosbag1 recording with "
            "`rosbags-convert --src NAME.bag --dst NAME`"
        )

    def messages(self, topics: Collection[str]) -> Iterator[StoredMessage]:
        """Every message of `topics` that can be read, file after file; message-wise compression is undone."""
        for _, file in self._files:
            for topic, time_ns, data in file.messages(topics):
                if data.startswith(ZSTD_MAGIC) and not self._is_ros1(topic):
                    try:
                        data = _decompressed(data)
                    except (zstandard.ZstdError, MemoryError):
                        data = b""  # counted as damaged by the caller
                yield StoredMessage(topic, min(time_ns, LATEST_NS), data)
        self._note_faults()

    def deserialize(self, message: StoredMessage) -> Any:
        """The message's fields. Raises ValueError where the bytes are not of its type."""
        kind = self.topics[message.topic]
        try:
            if self._is_ros1(message.topic):
                return _type_store(True).deserialize_ros1(message.data, kind)
            return _type_store(False).deserialize_cdr(message.data, kind)
        except Exception as error:  # noqa: BLE001 - the parsers raise many types
            raise ValueError(f"a damaged message on {shown(message.topic)}: {error}") from None

    def header_stamp_ns(self, message: StoredMessage) -> int | None:
        """The stamp in the header that the message begins with, None where it is too short for one."""
        if not self._is_ros1(message.topic):
            return header_stamp_ns(message.data)
        if len(message.data) < 12:
            return None
        seconds, nanoseconds = struct.unpack_from("<II", message.data, 4)
        return int(seconds) * 10**9 + int(nanoseconds)

    def _is_ros1(self, topic: str) -> bool:
        return self._encodings.get(topic) == ROS1

    def _note_faults(self) -> None:
        for path, file in self._files:
            if file.fault:
                self._note(f"{path}: damaged or cut off: {shown(file.fault)}")

    def _note(self, text: str) -> None:
        if text and text not in self.notes:
            self.notes.append(text)


@cache
def _type_store(ros1: bool) -> Typestore:
    """ROS's own message types. One for all recordings: their readers take a third of a second to make."""
    if not ros1:
        return get_typestore(Stores.ROS2_JAZZY)
    store = get_typestore(Stores.ROS1_NOETIC)
    for kind in ("tf/msg/tfMessage", "tf2_msgs/msg/TFMessage"):
        if kind not in store.types:
            store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", kind))
    return store


def _decompressed(data: bytes) -> bytes:
    if zstandard.frame_content_size(data) > LARGEST_MESSAGE:
        raise zstandard.ZstdError(f"a message of more than {LARGEST_MESSAGE} bytes")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=LARGEST_MESSAGE)
