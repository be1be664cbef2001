"""The storage files of a recording, opened one by one: rosbag2 (MCAP, SQLite, split, zstd) and rosbag1.

Each file is opened by itself, so that a missing or damaged file of a split recording loses only its own messages. What
cannot be read is not an error here but a note on how much was lost.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import zstandard
from rosbags import rosbag1, rosbag2
from rosbags.rosbag2.storage_mcap import McapReader

from transposenet_core.errors import UserError
from transposenet_core.formats.labels import natural_order
from transposenet_core.plain_yaml import parsed_yaml
from transposenet_ros.bag_import.names import shown
from transposenet_ros.bag_import.salvage import SalvagedMcap, SalvagedSqlite, Stored
from transposenet_ros.bags.sqlite_log import SQLITE, UnusableLogError, log_note, with_its_log

ROSBAG1, ROS1 = ".bag", "ros1"
STORAGES = (".mcap", SQLITE, ROSBAG1)
ZSTD = (".zstd", ".zst")
METADATA = "metadata.yaml"
KINDS = "a rosbag2 folder, a .mcap or .db3 file (also .zstd), or a rosbag1 .bag file"


class StorageFile(Protocol):
    """``topics`` gives message type and count by name, ``encodings`` how its messages are written: cdr, ros1, or
    another name that MCAP has; ``fault`` says why reading ended early, "" where it did not."""

    topics: dict[str, tuple[str, int]]
    encodings: dict[str, str]
    fault: str

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        """(topic, time of recording in ns, bytes) of the messages on `topics`."""
        ...

    def close(self) -> None: ...


class IndexedFile:
    """A file whose index is whole. Raises whatever `rosbags` raises where it is not."""

    def __init__(self, path: Path) -> None:
        self.fault = ""
        self._reader = rosbag1.Reader(path) if path.suffix == ROSBAG1 else rosbag2.Reader(path)
        self._reader.open()
        storage = getattr(self._reader, "storage", None)
        if isinstance(storage, McapReader) and not storage.chunks:
            self._reader.close()
            raise ValueError("an MCAP file without an index")
        self.topics: dict[str, tuple[str, int]] = {}
        self.encodings: dict[str, str] = {}
        for connection in self._reader.connections:
            count = self.topics.get(connection.topic, ("", 0))[1] + connection.msgcount
            if count:
                self.topics[connection.topic] = connection.msgtype, count
                self.encodings[connection.topic] = getattr(connection.ext, "serialization_format", ROS1)

    def messages(self, topics: Collection[str]) -> Iterator[Stored]:
        wanted = [c for c in self._reader.connections if c.topic in topics and c.msgcount]
        read, total = 0, sum(c.msgcount for c in wanted)
        try:
            for connection, time_ns, data in self._reader.messages(wanted) if wanted else ():
                yield connection.topic, time_ns, bytes(data)
                read += 1
        # A damaged file can fail anywhere inside the parsers, with any exception.
        except Exception as error:  # noqa: BLE001
            self.fault = f"{read:,} of {total:,} messages could be read, then {str(error) or type(error).__name__}"

    def close(self) -> None:
        self._reader.close()


def storage_paths(bag: Path) -> tuple[list[Path], dict[str, int], list[str]]:
    """The files of a recording in their order, the counts that its metadata promise by topic, and notes.

    UserError where there is no recording.
    """
    if not bag.exists():
        raise UserError(f"{bag}: no such recording; name {KINDS}")
    if bag.is_file():
        if not _is_storage(bag):
            raise UserError(f"{bag}: not a recording; name {KINDS}")
        return [bag], {}, []
    try:
        names, counts = _metadata(bag / METADATA)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        files = sorted((file for file in bag.iterdir() if _is_storage(file)), key=lambda file: natural_order(file.name))
        if not files:
            raise UserError(f"{bag}: neither a complete {METADATA} nor storage files in it; name {KINDS}") from None
        missing = isinstance(error, FileNotFoundError)
        why = f"no {METADATA}" if missing else f"{METADATA} cannot be read ({type(error).__name__})"
        return files, {}, [f"{bag}: {why}: its {len(files)} storage files are read in the order of their names"]
    # Names alone: metadata of unknown origin must not lead out of the folder.
    paths = [bag / PurePath(name).name for name in names]
    there = [path for path in paths if path.is_file()]
    if not there:
        raise UserError(f"{bag}: none of the {len(paths)} storage files that {METADATA} lists exists; copy them too")
    lost = [path for path in paths if path not in there]
    return there, counts, [f"{bag}: the storage file {shown(path.name)} is missing" for path in lost]


def open_storage(path: Path, resources: ExitStack, note: Callable[[str], object]) -> StorageFile:
    """The file, with its index or read from the beginning. UserError where nothing at all can be read.

    `resources` gets what is to be closed; a compressed file, and one that its recorder did not close, is copied to the
    temporary folder. `note` gets a sentence on the log of the latter.
    """
    original = path
    if path.suffix in ZSTD:
        path = _unpacked(path, Path(resources.enter_context(TemporaryDirectory(prefix="bag_to_dataset."))))
    else:
        try:
            path = with_its_log(path, resources)
            note(log_note(original))
        except UnusableLogError as error:
            note(f"{error}; it is read without")
    try:
        file: StorageFile = IndexedFile(path)
    except Exception as error:  # noqa: BLE001
        file = _salvaged(path, original, error)
    resources.callback(file.close)
    return file


def _salvaged(path: Path, original: Path, error: Exception) -> StorageFile:
    if path.suffix == ROSBAG1:
        raise UserError(f"{original}: it cannot be read ({error}); repair it with `rosbag reindex` or copy it again")
    file: StorageFile | None = None
    try:
        file = SalvagedMcap(path) if path.suffix == ".mcap" else SalvagedSqlite(path)
    except Exception as second:  # noqa: BLE001
        error = second
    if file is None or not file.topics:
        detail = (file.fault if file else str(error)) or "no messages"
        raise UserError(f"{original}: nothing in it can be read ({detail}); copy or record it again") from None
    return file


def _unpacked(path: Path, folder: Path) -> Path:
    """The decompressed file; of a truncated one the part that can be read."""
    out = folder / path.stem
    if out.suffix not in STORAGES:
        raise UserError(f"{path}: a compressed file of unknown content; its name should end like .mcap.zstd")
    with open(path, "rb") as packed, open(out, "wb") as file:
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream:
                shutil.copyfileobj(stream, file, 2**20)
        except zstandard.ZstdError as error:
            if not file.tell():
                raise UserError(f"{path}: it cannot be unpacked ({error}); copy it again") from None
    return out


def _metadata(path: Path) -> tuple[list[str], dict[str, int]]:
    information: dict[str, Any] = parsed_yaml(path.read_text(), most_characters=2**23)["rosbag2_bagfile_information"]
    topics = information["topics_with_message_count"]
    counts = {str(topic["topic_metadata"]["name"]): int(topic["message_count"]) for topic in topics}
    return [str(name) for name in information["relative_file_paths"]], counts


def _is_storage(path: Path) -> bool:
    inner = path.with_suffix("") if path.suffix in ZSTD else path
    return path.is_file() and inner.suffix in STORAGES and not path.name.startswith(".")
